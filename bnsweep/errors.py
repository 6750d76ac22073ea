"""What the person at the shell is told in one line, without a traceback."""


class UserError(Exception):
    """Something the user can mend. The message says what was wrong, given, and would do."""

    exit_status = 2  # nothing was started


class IncompleteError(UserError):
    """Runs failed, were interrupted, or are not in the tracking store."""

    exit_status = 1


class InterruptedSweepError(IncompleteError):
    """The sweep was interrupted, and closed what it had begun."""

    exit_status = 130


class DataError(UserError):
    """Data that are not there, are damaged, or are less than was asked for."""
