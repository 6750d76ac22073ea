"""IDX files, the format in which the MNIST family is published.

Files come from outside: nothing in them is trusted before it has been checked, and what is
read is only ever taken as bytes.
"""

import gzip
import math
import struct
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bnsweep.errors import DataError

_CHUNK = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_DEFLATE_LIMIT = 1032  # a deflate stream grows at most so many times when it is decompressed


def read_idx(
    path: Path, *, rank: int, first: int | None = None, whole: bool = True
) -> tuple[NDArray[np.uint8], int]:
    """Read an IDX file of unsigned bytes, gzipped or not.

    A header of 4 + 4 * `rank` bytes (0, 0, the type, the rank, then the sizes, big-endian)
    is followed by the samples, and these by nothing.

    Args:
        path: the file.
        rank: its number of dimensions, the samples' included.
        first: how many samples to keep, all by default; no memory is taken for the others.
        whole: read on to the end, so that damage behind the samples kept is found too.

    Returns:
        The samples (first, ...), and how many the file holds.

    Raises:
        DataError: the file cannot be read, or is not what its header says.
    """
    try:
        zipped = _is_gzip(path)
        limit = path.stat().st_size * (_DEFLATE_LIMIT if zipped else 1)
        with gzip.open(path) if zipped else path.open("rb") as file:
            shape = _read_shape(file, path, rank)
            claim = f"{' x '.join(map(str, shape))} bytes"
            size, sample = math.prod(shape), math.prod(shape[1:])
            if not 0 < size <= limit:
                raise _damaged(path, f"claims {claim}, which a file of its size cannot hold")
            kept = shape[0] if first is None else min(first, shape[0])
            # One byte more than claimed, so that a file that holds more is found out.
            end = size + 1 if whole else kept * sample
            data, seen = bytearray(), 0
            while seen < end and (chunk := file.read(min(_CHUNK, end - seen))):
                data += chunk[: max(0, kept * sample - seen)]
                seen += len(chunk)
    except EOFError as error:
        raise _damaged(path, "is cut short inside its compressed data") from error
    except (OSError, zlib.error) as error:
        raise _damaged(path, f"cannot be read ({error})") from error
    if seen < min(end, size):
        raise _damaged(path, f"claims {claim}, but is cut short after {seen}")
    if seen > size:
        raise _damaged(path, f"claims {claim}, but holds more")
    return np.frombuffer(data, np.uint8).reshape(kept, *shape[1:]), shape[0]


def _read_shape(file: BufferedIOBase, path: Path, rank: int) -> tuple[int, ...]:
    wanted = bytes((0, 0, 8, rank))  # 8: unsigned bytes
    found = file.read(4)
    if found != wanted:
        raise _damaged(
            path,
            f"starts with {found.hex(' ') or 'nothing'}, not with the {wanted.hex(' ')} "
            f"of an IDX file of {rank} dimension{'s' if rank > 1 else ''}",
        )
    sizes = file.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise _damaged(path, "is cut short inside its header")
    return struct.unpack(f">{rank}I", sizes)


def _is_gzip(path: Path) -> bool:
    # By content, not by name: some browsers unpack what they download and keep the name.
    with path.open("rb") as file:
        return file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"{path} {what}; an undamaged copy in its place would do")
