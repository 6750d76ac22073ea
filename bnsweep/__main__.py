"""The entry of `python -m bnsweep` and of the console script `bnsweep`."""

import sys


def main() -> None:
    """Run the command line and exit with its status."""
    # As with `python -m`: the user's own `_target_`s are found in the working directory.
    if "" not in sys.path:
        sys.path.insert(0, "")
    from bnsweep.cli.app import run_command_line

    sys.exit(run_command_line())


if __name__ == "__main__":
    main()
