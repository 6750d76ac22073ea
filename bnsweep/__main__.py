"""`python -m bnsweep`, and the console script of the same name."""

import sys


def main() -> None:
    """Run what the command line asks for, and exit with its status."""
    # A console script lacks what `python -m` has: the user's own `_target_`s beside it.
    if "" not in sys.path:
        sys.path.insert(0, "")
    from bnsweep.cli.app import main as app

    sys.exit(app())


if __name__ == "__main__":
    main()
