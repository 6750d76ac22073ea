"""The entry of `python -m bnsweep` and of the console script `bnsweep`."""

import resource
import sys
from typing import NoReturn

from bnsweep.redact import first_line
from bnsweep.screen import outlive_screen
from bnsweep.sweep.interrupts import Interrupts

# With less, libraries break in the middle of something, each in its own way.
LIMITS = {"n": (resource.RLIMIT_NOFILE, 32, 1), "v": (resource.RLIMIT_AS, 1_000_000, 1024)}


def main() -> None:
    """Run the command line and exit with its status."""
    outlive_screen()
    _check_limits()
    # As with `python -m`: the user's own `_target_`s are found in the working directory.
    if "" not in sys.path:
        sys.path.insert(0, "")
    interrupts = Interrupts()
    try:
        with interrupts:
            try:
                from bnsweep.cli.app import run_command_line

                status = run_command_line()
            finally:
                interrupts.end()
    except KeyboardInterrupt:
        _end("interrupted", 130)
    except Exception as error:
        # A library that is interrupted, as it is imported for instance, may raise any error.
        if interrupts.seen:
            _end("interrupted", 130)
        if isinstance(error, ImportError):
            _end(f"cannot start ({first_line(error)}); is everything installed?")
        raise
    # The same where that error has been explained as the user's own.
    sys.exit(130 if interrupts.seen and status == 2 else status)


def _check_limits() -> None:
    for option, (number, least, unit) in LIMITS.items():
        limit = resource.getrlimit(number)[0]
        if limit != resource.RLIM_INFINITY and limit < least * unit:
            _end(f"ulimit -{option} {limit // unit}: too little; it must be {least} at least")


def _end(message: str, status: int = 2) -> NoReturn:
    print(f"bnsweep: {message}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
