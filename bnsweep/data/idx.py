"""IDX files, the format of the MNIST family.

The files come from outside: check everything before using it, and read nothing but bytes.
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
_DEFLATE_LIMIT = 1032  # decompressed size / compressed size of a deflate stream is at most this


def read_idx(
    path: Path, *, rank: int, first: int | None = None, whole: bool = True
) -> tuple[NDArray[np.uint8], int]:
    """Read an IDX file of unsigned bytes, gzipped or not.

    The file is a header of 4 + 4 * `rank` bytes (0, 0, the type, the rank, then the sizes,
    big-endian), followed by the samples.

    Args:
        path: the file.
        rank: the number of dimensions, including the one that counts the samples.
        first: how many samples to keep, all by default; the others take no memory.
        whole: whether to read to the end, to find damage behind the samples kept.

    Returns:
        The samples (first, ...), and the number of samples in the file.

    Raises:
        DataError: the file cannot be read, or its content does not match its header.
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
            # Ask for one byte more than the header claims, to notice a file that holds more.
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
    expected = bytes((0, 0, 8, rank))  # 8: unsigned bytes
    magic = file.read(4)
    if magic != expected:
        raise _damaged(
            path,
            f"starts with {magic.hex(' ') or 'nothing'}, not with the {expected.hex(' ')} "
            f"of an IDX file of {rank} dimension{'s' if rank > 1 else ''}",
        )
    sizes = file.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise _damaged(path, "is cut short inside its header")
    return struct.unpack(f">{rank}I", sizes)


def _is_gzip(path: Path) -> bool:
    # Look at the content: some browsers unpack a download and keep its name.
    with path.open("rb") as file:
        return file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"{path} {what}; replace it with an undamaged copy")
