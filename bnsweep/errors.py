"""Errors that are reported in one line, without a traceback.

UserError                     an error the user can fix             exit status 2
├── ConfigError               a key, its value or an argument
├── DataError                 a data set
├── TrackingError             the tracking store
│   ├── StoreUnreachable      it does not answer: wait for it
│   └── StoreRefused          it does not take this: go on with the rest
├── ReadingError              results that are read back
└── IncompleteError           runs failed or are missing            exit status 1
    └── InterruptedSweepError  the sweep was interrupted            exit status 130
"""


class UserError(Exception):
    """An error the user can fix. The message says what was wrong, what was given, what to do."""

    exit_status = 2  # nothing was started


class ConfigError(UserError, ValueError):
    """A configuration that cannot be run.

    It is a ValueError, too: the constructors in `nn` raise it for their arguments.
    """


class UnknownKeyError(ConfigError):
    """A key that does not exist; made with the key."""

    def __str__(self) -> str:
        """Return what is wrong; what may be meant, who knows the keys can say."""
        return f"{self.args[0]}: there is no such key"


class DataError(UserError):
    """Data that are missing, damaged, or fewer than asked for."""


class TrackingError(UserError):
    """The tracking store cannot be used."""


class StoreUnreachable(TrackingError):  # noqa: N818  (names what happened to the store)
    """The tracking store does not answer, or fails by itself; later it may work again."""


class StoreRefused(TrackingError):  # noqa: N818
    """The tracking store answers, and does not take what it was given."""


class ReadingError(UserError):
    """Results that cannot be read back."""


class IncompleteError(UserError):
    """Runs failed, were interrupted, or are not in the tracking store."""

    exit_status = 1


class InterruptedSweepError(IncompleteError):
    """The sweep was interrupted, and closed what it had begun."""

    exit_status = 130
