"""Ctrl-C, SIGTERM, and the hang-up of a closed terminal."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AT_ONCE_SECONDS = 0.2
_exit = os._exit  # the true one, also while the user's own code may not call it

Handler = Callable[[int, FrameType | None], object] | int | None


class Interrupts:
    """A context in which each of `SIGNALS` raises `KeyboardInterrupt`.

    After `hold` it is only noted in `seen`, so that closing is not interrupted. A second Ctrl-C or
    SIGTERM ends the process at once.
    """

    def __init__(self) -> None:
        self.seen = False
        self._first = 0.0
        self._held = False
        self._before: dict[int, Handler] = {}

    def __enter__(self) -> Self:
        """Take over the signals; Python allows that in the main thread only."""
        if threading.current_thread() is threading.main_thread():
            self._before = _handle(self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Restore the handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def hold(self) -> None:
        """From now on only note a signal."""
        self._held = True

    def end(self) -> None:
        """From now on, and behind the context, ignore signals: there is nothing left to end."""
        self._before = dict.fromkeys(self._before, signal.SIG_IGN)
        self._held = True

    def _receive(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        now = time.monotonic()
        if self.seen:
            # Terminals, `timeout` and systemd send more than one at a time.
            if number != signal.SIGHUP and now > self._first + AT_ONCE_SECONDS:
                _exit(130)
            return
        self.seen, self._first = True, now
        if not self._held:
            raise KeyboardInterrupt


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let a signal wait until the end of the context: what it holds is done whole or not begun."""
    waiting: list[int] = []
    before: dict[int, Handler] = {}
    if threading.current_thread() is threading.main_thread():
        before = _handle(lambda received, _: waiting.append(received))
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        for received in waiting:
            signal.raise_signal(received)


def _handle(handler: Callable[[int, FrameType | None], object]) -> dict[int, Handler]:
    """Let a function handle the signals, and return the handlers before.

    What `nohup` has made deaf to a hang-up stays so.
    """
    deaf = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    numbers = [number for number in SIGNALS if not (deaf and number == signal.SIGHUP)]
    return {number: signal.signal(number, handler) for number in numbers}
