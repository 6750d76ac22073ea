"""IDX files, the format of the MNIST family.

The files come from outside: check everything before using it, and read nothing but bytes.
"""

import contextlib
import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bnsweep.errors import DataError

_CHUNK = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_DEFLATE_LIMIT = 1032  # decompressed size / compressed size of a deflate stream is at most this


def shape_of(path: Path, *, rank: int) -> tuple[int, ...]:
    """Return the shape that an IDX file claims, which its size allows; its content is not read.

    Raises:
        DataError: the file cannot be read, or cannot hold what its header claims.
    """
    with _opened(path) as (file, zipped):
        return _read_shape(file, path, rank, zipped=zipped)


def read_idx(
    path: Path, *, rank: int, first: int | None = None, whole: bool = True
) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, gzipped or not.

    The file is a header of 4 + 4 * `rank` bytes (0, 0, the type, the rank, then the sizes,
    big-endian), followed by the samples.

    Args:
        path: the file.
        rank: the number of dimensions, including the one that counts the samples.
        first: how many samples to keep, all by default; the others take no memory.
        whole: whether to unpack a file to its end, to find damage behind the samples kept.

    Returns:
        The samples (first, ...).

    Raises:
        DataError: the file cannot be read, or its content does not match its header.
    """
    with _opened(path) as (file, zipped):
        shape = _read_shape(file, path, rank, zipped=zipped)
        size, sample = math.prod(shape), math.prod(shape[1:])
        kept = shape[0] if first is None else min(first, shape[0])
        # Ask for one byte more than the header claims, to notice a file that holds more.
        end = size + 1 if whole and zipped else kept * sample
        data, seen = bytearray(), 0
        while seen < end and (chunk := file.read(min(_CHUNK, end - seen))):
            data += chunk[: max(0, kept * sample - seen)]
            seen += len(chunk)
    if seen < min(end, size):
        raise _damaged(path, f"claims {_claim(shape)}, but is cut short after {seen}")
    if seen > size:
        raise _damaged(path, f"claims {_claim(shape)}, but holds more")
    return np.frombuffer(data, np.uint8).reshape(kept, *shape[1:])


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[BufferedIOBase, bool]]:
    """Yield the content of a file, and whether it is unpacked on the way."""
    try:
        zipped = _is_gzip(path)
        with gzip.open(path) if zipped else path.open("rb") as file:
            yield file, zipped
    except EOFError as error:
        raise _damaged(path, "is cut short inside its compressed data") from error
    except (OSError, zlib.error) as error:
        raise _damaged(path, f"cannot be read ({error})") from error


def _read_shape(file: BufferedIOBase, path: Path, rank: int, *, zipped: bool) -> tuple[int, ...]:
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
    shape = struct.unpack(f">{rank}I", sizes)
    size, on_disk = math.prod(shape), path.stat().st_size
    most = on_disk * _DEFLATE_LIMIT if zipped else on_disk - len(magic + sizes)
    if not 0 < size <= most:
        raise _damaged(path, f"claims {_claim(shape)}, which a file of its size cannot hold")
    if size < most and not zipped:
        raise _damaged(path, f"claims {_claim(shape)}, but holds more")
    return shape


def _claim(shape: tuple[int, ...]) -> str:
    return f"{' x '.join(map(str, shape))} bytes"


def _is_gzip(path: Path) -> bool:
    # Look at the content: some browsers unpack a download and keep its name.
    with path.open("rb") as file:
        return file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"{path} {what}; replace it with an undamaged copy")
