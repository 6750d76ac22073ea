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
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from bnsweep.data.download import FASHION_MNIST, MNIST, Source, cached_files, files_in
from bnsweep.data.idx import read_idx
from bnsweep.errors import DataError

_CLASSES = 10
_DIGITS_TOTAL = 1797
_TRAIN_TOTAL, _TEST_TOTAL = 60_000, 10_000


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples to train on, to test on and, where something is to be chosen, to choose by.

    `x_train`, `x_test` and `x_validation` are (samples, features), all of one floating-point
    dtype and finite; `y_train`, `y_test` and `y_validation` are (samples,) with integers from
    0 to `classes` - 1. Without a validation split, its two are None. All are read-only.

    Raises:
        DataError: one of them is something else; the message says which, and what is wrong.
    """

    name: str
    x_train: NDArray[np.floating[Any]]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.floating[Any]]
    y_test: NDArray[np.int64]
    classes: int
    x_validation: NDArray[np.floating[Any]] | None = None
    y_validation: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        self._check()
        # One Dataset serves every run of a process: a run that wrote to it would change the next.
        for array in self._arrays():
            array.setflags(write=False)

    def _parts(self) -> dict[str, tuple[Any, Any]]:
        """Return the samples and labels of each part that there is."""
        parts: dict[str, tuple[Any, Any]] = {
            "train": (self.x_train, self.y_train),
            "test": (self.x_test, self.y_test),
        }
        if self.x_validation is not None or self.y_validation is not None:
            parts["validation"] = (self.x_validation, self.y_validation)
        return parts

    def _arrays(self) -> list[NDArray[Any]]:
        return [array for part in self._parts().values() for array in part]

    def _check(self) -> None:
        """Check what training relies on: NumPy takes a label of -1 for the last class."""
        if not isinstance(self.classes, int) or self.classes < 2:
            self._refuse("classes", f"got {self.classes!r}; it must be a whole number from 2 on")
        for part, (x, y) in self._parts().items():
            self._check_samples(f"x_{part}", x)
            self._check_labels(f"y_{part}", y, samples=len(x))

    def _check_samples(self, name: str, x: Any) -> None:
        if not isinstance(x, np.ndarray) or x.ndim != 2 or 0 in x.shape:
            self._refuse(name, f"got {_described(x)}; it must be an array of (samples, features)")
        if x.dtype not in (np.float32, np.float64):
            self._refuse(name, f"is of {x.dtype}; it must be of float32 or float64")
        first = self.x_train
        if (x.shape[1], x.dtype) != (first.shape[1], first.dtype):
            self._refuse(
                name,
                f"has {x.shape[1]} features of {x.dtype}, x_train {first.shape[1]} of "
                f"{first.dtype}; they must be alike",
            )
        if not np.isfinite(x).all():
            row = int(np.argmin(np.isfinite(x).all(axis=1)))
            self._refuse(name, f"sample {row} holds a value that is not finite")

    def _check_labels(self, name: str, y: Any, *, samples: int) -> None:
        if not isinstance(y, np.ndarray) or y.shape != (samples,):
            self._refuse(
                name, f"got {_described(y)}; it must be an array of {samples} labels, one a sample"
            )
        if y.dtype.kind not in "iu":
            self._refuse(name, f"is of {y.dtype}; labels must be whole numbers")
        if y.min() < 0 or y.max() >= self.classes:
            wrong = y[(y < 0) | (y >= self.classes)]
            self._refuse(
                name,
                f"holds the label {wrong[0]} ({len(wrong)} such samples); labels of "
                f"{self.classes} classes must be from 0 to {self.classes - 1}",
            )

    def _refuse(self, name: str, problem: str) -> NoReturn:
        raise DataError(f"data set {self.name!r}: {name} {problem}")

    @cached_property
    def digest(self) -> str:
        """A hash of all samples and labels: what the data are, wherever they came from."""
        sha = hashlib.sha256()
        for array in self._arrays():
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
    validation_size: int = 0,
    root: str | None = None,  # noqa: ARG001  (a sweep over data= may set it for the others)
    dtype: str = "float32",
) -> Dataset:
    """Return scikit-learn's handwritten digits: 8 x 8 pixels, x = value / 16.

    Training samples are taken from the front, the last `validation_size` of them are held out
    to choose by, and test samples are taken from what follows.

    Raises:
        DataError: a size is not a whole number, too small, or more than there are.
    """
    _check_size("data.train_size", train_size, _DIGITS_TOTAL - 1)
    _check_size("data.test_size", test_size, _DIGITS_TOTAL - train_size)
    _check_size("data.validation_size", validation_size, train_size - 1, least=0)
    return _load_digits(train_size, test_size, validation_size, dtype)


def mnist(
    *,
    train_size: int = 1000,
    test_size: int = 1000,
    validation_size: int = 0,
    root: str | None = None,
    dtype: str = "float32",
) -> Dataset:
    """Return the first samples of MNIST: 28 x 28 pixels, x = value / 255.

    The last `validation_size` of the training samples are held out to choose by.
    Its files come from the folder `root`; without one from the user's cache (the folder in
    the environment variable BNSWEEP_CACHE, if set), where they are downloaded to first.

    Raises:
        DataError: a size is wrong, or a file is missing, damaged or not to be had.
    """
    return _mnist_family(MNIST, train_size, test_size, validation_size, root, dtype)


def fashion_mnist(
    *,
    train_size: int = 1000,
    test_size: int = 1000,
    validation_size: int = 0,
    root: str | None = None,
    dtype: str = "float32",
) -> Dataset:
    """Return the first samples of Fashion-MNIST, from the same places as `mnist` does."""
    return _mnist_family(FASHION_MNIST, train_size, test_size, validation_size, root, dtype)


@lru_cache(maxsize=2)
def _load_digits(train_size: int, test_size: int, validation_size: int, dtype: str) -> Dataset:
    table = _digits_table()
    x = (table[:, :-1] / 16).astype(dtype)
    y = table[:, -1].astype(np.int64)
    train, test = slice(train_size), slice(train_size, train_size + test_size)
    return _split("digits", (x[train], y[train]), (x[test], y[test]), validation_size)


def _split(
    name: str,
    train: tuple[NDArray[Any], NDArray[np.int64]],
    test: tuple[NDArray[Any], NDArray[np.int64]],
    validation_size: int,
) -> Dataset:
    """Return the data set in which the last of the training samples are held out."""
    (x, y), kept = train, len(train[0]) - validation_size
    held_out = (x[kept:], y[kept:]) if validation_size else (None, None)
    return Dataset(name, x[:kept], y[:kept], *test, _CLASSES, *held_out)


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
    source: Source,
    train_size: int,
    test_size: int,
    validation_size: int,
    root: str | None,
    dtype: str,
) -> Dataset:
    # How much a folder of the user's own holds is seen when it is read.
    published = root is None
    _check_size("data.train_size", train_size, _TRAIN_TOTAL if published else None)
    _check_size("data.test_size", test_size, _TEST_TOTAL if published else None)
    _check_size("data.validation_size", validation_size, train_size - 1, least=0)
    folder = None if root is None else str(root)
    return _load_mnist(source, train_size, test_size, validation_size, folder, dtype)


@lru_cache(maxsize=2)
def _load_mnist(
    source: Source,
    train_size: int,
    test_size: int,
    validation_size: int,
    root: str | None,
    dtype: str,
) -> Dataset:
    files = cached_files(source) if root is None else files_in(root, source)
    x_train, y_train = _read_part(source, files, "train", "data.train_size", train_size)
    x_test, y_test = _read_part(source, files, "t10k", "data.test_size", test_size)
    if x_train.shape[1:] != x_test.shape[1:]:
        raise DataError(
            f"data.root={root}: training images are of {x_train.shape[1:]} pixels, test images "
            f"of {x_test.shape[1:]}; files of one data set would do"
        )
    train, test = (_scaled(x_train, dtype), y_train), (_scaled(x_test, dtype), y_test)
    return _split(source.name, train, test, validation_size)


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


def _check_size(key: str, size: object, most: int | None, *, least: int = 1) -> None:
    whole = isinstance(size, int) and not isinstance(size, bool)
    if isinstance(size, int) and whole and least <= size <= (size if most is None else most):
        return
    wanted = f"of at least {least}" if most is None else f"from {least} to {most}"
    raise DataError(f"{key}={size}: must be a whole number {wanted}")


def _described(value: object) -> str:
    """Return what an array should have been, in a few words."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return f"a {type(value).__name__}"
