"""One run: its configuration, its parts, its training, and the files it leaves."""
