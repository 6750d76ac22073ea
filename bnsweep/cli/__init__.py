"""The command line: its arguments, the Hydra entry, and error messages."""
