"""The entry of `python -m bnsweep` and of the console script `bnsweep`."""

import sys

from bnsweep.screen import outlive_screen


def main() -> None:
    """Run the command line and exit with its status."""
    outlive_screen()
    # As with `python -m`: the user's own `_target_`s are found in the working directory.
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        from bnsweep.cli.app import run_command_line
    except (ImportError, MemoryError) as error:
        sys.exit(f"bnsweep: cannot start ({type(error).__name__}: {error})")
    sys.exit(run_command_line())


if __name__ == "__main__":
    main()
