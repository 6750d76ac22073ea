"""What is looked at every now and then while something goes on."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from bnsweep.report.terminal import Progress

PROGRESS_SECONDS = 0.3


@contextlib.contextmanager
def every(seconds: float, call: Callable[[], None]) -> Iterator[None]:
    """Call a function every few seconds, in a thread, while the context lasts."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(seconds):
            call()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def displayed(progress: Progress, state: Callable[[], tuple[int, str]]) -> Iterator[None]:
    """Show, while the context lasts, how much is done and what is said of it: `state()`.

    What goes on is not held up: a thread looks at the state, and shows it.
    """
    with progress:
        progress.update(*state())
        try:
            with every(PROGRESS_SECONDS, lambda: progress.update(*state())):
                yield
        finally:
            progress.update(*state())
