"""The command line as it was typed, without credentials.

Hydra stands between the command line and the sweep, and hands on overrides alone.
"""

from contextvars import ContextVar

TYPED: ContextVar[tuple[str, ...]] = ContextVar("TYPED", default=())
