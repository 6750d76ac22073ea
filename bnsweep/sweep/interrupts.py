"""Ctrl-C and SIGTERM."""

import os
import signal
import threading
from types import TracebackType
from typing import Any, Self


class Interrupts:
    """While it lasts, SIGTERM does what Ctrl-C does, and a second of either ends all at once.

    The first raises `KeyboardInterrupt`; after `hold` it is only noted in `seen`, so that
    what is being closed is closed.
    """

    def __init__(self) -> None:
        self.seen = False
        self._held = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Take over the signals; elsewhere than in the main thread Python cannot."""
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
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def hold(self) -> None:
        """Raise nothing from now on."""
        self._held = True

    def _receive(self, *_: Any) -> None:
        if self.seen:
            os._exit(130)
        self.seen = True
        if not self._held:
            raise KeyboardInterrupt
