"""Ctrl-C and SIGTERM."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

Handler = Callable[[int, FrameType | None], object] | int | None


class Interrupts:
    """A context in which SIGTERM acts like Ctrl-C, and a second signal ends the process at once.

    The first one raises `KeyboardInterrupt`; after `hold` it is only noted in `seen`, so that
    closing is not interrupted.
    """

    def __init__(self) -> None:
        self.seen = False
        self._held = False
        self._before: dict[int, Handler] = {}

    def __enter__(self) -> Self:
        """Take over the signals; Python allows that in the main thread only."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._receive)
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

    def _receive(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.seen:
            os._exit(130)
        self.seen = True
        if not self._held:
            raise KeyboardInterrupt
