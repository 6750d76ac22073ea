"""Output that cannot fail: the terminal, or what stands in its place, may go away."""

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Screen(io.FileIO):
    """A file that loses what cannot be written, because nobody is there to read it."""

    def write(self, data: "ReadableBuffer", /) -> int:
        written = None
        with contextlib.suppress(OSError):
            written = super().write(data)  # None: a pipe that is full, and does not block
        return memoryview(data).nbytes if written is None else written


def outlive_screen() -> None:
    """Let no output of this process fail, whoever closes the pipe, the file or the terminal.

    A character that cannot be encoded is shown as a question mark.
    """
    for number in range(3):
        with contextlib.suppress(OSError):
            os.fstat(number)
            continue
        # The next file to be opened would take its place, and be written over by messages.
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name, number in (("stdout", 1), ("stderr", 2)):
        before = getattr(sys, name)
        if before is not None:
            before.flush()
        after = io.TextIOWrapper(
            io.BufferedWriter(_Screen(number, "w", closefd=False)),
            encoding=getattr(before, "encoding", "utf-8"),
            errors="replace" if number == 1 else "backslashreplace",
            line_buffering=number == 2 or os.isatty(number),
            write_through=getattr(before, "write_through", False),
        )
        setattr(sys, name, after)
