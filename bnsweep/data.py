"""Data sets: scikit-learn's digits, and the MNIST family.

The functions `digits`, `mnist` and `fashion_mnist` are what `conf/data/` names as
`_target_`. Each returns the first samples as a `Dataset`, which is kept for the life of the
process, so that only the first of its runs pays for reading them.
"""

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnsweep.errors import DataError
from bnsweep.idx import read_idx
from bnsweep.sources import FASHION_MNIST, MNIST, Source, cached_files, files_in

_CLASSES = 10
_DIGITS_TOTAL = 1797
_TRAIN_TOTAL, _TEST_TOTAL = 60_000, 10_000


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples to learn from and samples to be tested on.

    `x_train` and `x_test` are (samples, features) with values from 0 to 1; `y_train` and
    `y_test` are (samples,) with integers from 0 to `classes` - 1. All are read-only.
    """

    name: str
    x_train: NDArray[np.floating[Any]]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.floating[Any]]
    y_test: NDArray[np.int64]
    classes: int

    def __post_init__(self) -> None:
        # One Dataset serves every run of a process: a run that wrote to it would change the next.
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            array.setflags(write=False)

    @cached_property
    def digest(self) -> str:
        """A hash of all samples and labels: what the data are, wherever they came from."""
        sha = hashlib.sha256()
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            sha.update(f"{array.dtype} {array.shape}".encode())
            sha.update(np.ascontiguousarray(array).data)
        return sha.hexdigest()

    @property
    def features(self) -> int:
        """Number of values in a sample."""
        return int(self.x_train.shape[1])


def digits(
    *,
    train_size: int = 1000,
    test_size: int = 797,
    root: str | None = None,  # noqa: ARG001  (a sweep over data= may set it for the others)
    dtype: str = "float32",
) -> Dataset:
    """Return scikit-learn's handwritten digits: 8 x 8 pixels, x = value / 16.

    Training samples are taken from the front, test samples from what follows.

    Raises:
        DataError: a size is no whole number, below 1, or more than there are.
    """
    _check_size("data.train_size", train_size, _DIGITS_TOTAL - 1)
    _check_size("data.test_size", test_size, _DIGITS_TOTAL - train_size)
    return _load_digits(train_size, test_size, dtype)


def mnist(
    *,
    train_size: int = 1000,
    test_size: int = 1000,
    root: str | None = None,
    dtype: str = "float32",
) -> Dataset:
    """Return the first samples of MNIST: 28 x 28 pixels, x = value / 255.

    Its files come from the folder `root`; without one from the user's cache (the folder in
    the environment variable BNSWEEP_CACHE, if set), where they are downloaded to first.

    Raises:
        DataError: a size is wrong, or a file is missing, damaged or not to be had.
    """
    return _mnist_family(MNIST, train_size, test_size, root, dtype)


def fashion_mnist(
    *,
    train_size: int = 1000,
    test_size: int = 1000,
    root: str | None = None,
    dtype: str = "float32",
) -> Dataset:
    """Return the first samples of Fashion-MNIST, from the same places as `mnist` does."""
    return _mnist_family(FASHION_MNIST, train_size, test_size, root, dtype)


@lru_cache(maxsize=2)
def _load_digits(train_size: int, test_size: int, dtype: str) -> Dataset:
    table = _digits_table()
    x = (table[:, :-1] / 16).astype(dtype)
    y = table[:, -1].astype(np.int64)
    train, test = slice(train_size), slice(train_size, train_size + test_size)
    return Dataset("digits", x[train], y[train], x[test], y[test], _CLASSES)


def _digits_table() -> NDArray[np.float64]:
    """Return the digits as (samples, 64 pixels and the label)."""
    # Importing scikit-learn takes each process a second, finding its file takes none.
    spec = importlib.util.find_spec("sklearn")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if path.is_file():
            return np.loadtxt(path, delimiter=",")
    from sklearn.datasets import load_digits

    return np.column_stack(load_digits(return_X_y=True))


def _mnist_family(
    source: Source, train_size: int, test_size: int, root: str | None, dtype: str
) -> Dataset:
    # How much a folder of the user's own holds is seen when it is read.
    published = root is None
    _check_size("data.train_size", train_size, _TRAIN_TOTAL if published else None)
    _check_size("data.test_size", test_size, _TEST_TOTAL if published else None)
    return _load_mnist(source, train_size, test_size, None if root is None else str(root), dtype)


@lru_cache(maxsize=2)
def _load_mnist(
    source: Source, train_size: int, test_size: int, root: str | None, dtype: str
) -> Dataset:
    files = cached_files(source) if root is None else files_in(root, source)
    x_train, y_train = _read_part(source, files, "train", "data.train_size", train_size)
    x_test, y_test = _read_part(source, files, "t10k", "data.test_size", test_size)
    if x_train.shape[1:] != x_test.shape[1:]:
        raise DataError(
            f"data.root={root}: training images are of {x_train.shape[1:]} pixels, test images "
            f"of {x_test.shape[1:]}; files of one data set would do"
        )
    return Dataset(
        source.name, _scaled(x_train, dtype), y_train, _scaled(x_test, dtype), y_test, _CLASSES
    )


def _read_part(
    source: Source, files: Mapping[str, Path], part: str, key: str, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the first `size` images (size, rows, columns) and labels (size,) of a part."""
    image_file = files[f"{part}-images-idx3-ubyte.gz"]
    label_file = files[f"{part}-labels-idx1-ubyte.gz"]
    images, total = _read_first(source, image_file, 3, size)
    labels, label_total = _read_first(source, label_file, 1, size)
    if total != label_total:
        raise DataError(
            f"{image_file} holds {total} images, {label_file} {label_total} labels; "
            "files of one data set would do"
        )
    _check_size(key, size, total)
    if labels.max() >= _CLASSES:
        raise DataError(
            f"{label_file}: label {labels.max()} is none of 0 to {_CLASSES - 1}; "
            "a file of such labels would do"
        )
    return images, labels.astype(np.int64)


def _read_first(source: Source, path: Path, rank: int, size: int) -> tuple[NDArray[np.uint8], int]:
    # A file with the published checksum needs no second look behind the samples asked for,
    # which takes ten times as long as the checksum.
    genuine = path.name in source.checksums and source.is_genuine(path)
    return read_idx(path, rank=rank, first=size, whole=not genuine)


def _scaled(images: NDArray[np.uint8], dtype: str) -> NDArray[np.floating[Any]]:
    x = images.reshape(len(images), -1).astype(dtype)
    x /= 255
    return x


def _check_size(key: str, size: object, most: int | None) -> None:
    if isinstance(size, int) and not isinstance(size, bool) and 1 <= size <= (most or size):
        return
    wanted = f"from 1 to {most}" if most else "of at least 1"
    raise DataError(f"{key}={size}: a whole number {wanted} is needed")
