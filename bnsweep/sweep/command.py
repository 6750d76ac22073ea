"""The command line as it was typed, without credentials.

`sys.argv` is rewritten for Hydra, which stands between the command line and the sweep, and hands
on overrides alone.
"""

from contextvars import ContextVar

TYPED: ContextVar[tuple[str, ...]] = ContextVar("TYPED", default=())
