"""Data sets: scikit-learn's digits, and the MNIST family.

`digits`, `mnist` and `fashion_mnist` are the `_target_`s in `conf/data/`. Each returns the first
samples of its files as a `Dataset`. The last few are cached, so that only the first run of a
process reads the files.
"""

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from bnsweep.data.download import FASHION_MNIST, MNIST, LocalFile, Source, cached_files, files_in
from bnsweep.data.idx import read_idx, shape_of
from bnsweep.errors import DataError
from bnsweep.records.keys import check

_CLASSES = 10
_DIGITS_TOTAL = 1797
_TRAIN_TOTAL, _TEST_TOTAL = 60_000, 10_000

_Samples = NDArray[np.floating[Any]]  # (samples, features)
_Labels = NDArray[np.int64]  # (samples,)


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Samples and labels for training, testing and, optionally, validation.

    `x_train`, `x_test` and `x_validation` are (samples, features), finite, and of one
    floating-point dtype. `y_train`, `y_test` and `y_validation` are (samples,), integers from 0 to
    `classes` - 1. Without validation samples, `x_validation` and `y_validation` are None. The
    arrays become read-only.

    Raises:
        DataError: an array breaks this contract.
    """

    name: str
    x_train: _Samples
    y_train: _Labels
    x_test: _Samples
    y_test: _Labels
    classes: int
    x_validation: _Samples | None = None
    y_validation: _Labels | None = None

    def __post_init__(self) -> None:
        self._check()
        # All runs of a process share one Dataset: none of them may change it for the next.
        for array in self._arrays():
            array.setflags(write=False)

    def __repr__(self) -> str:
        facts = (f"{key}={value!r}" for key, value in self.facts.items() if key != "digest")
        return f"Dataset({', '.join(facts)})"

    def _arrays(self) -> list[_Samples | _Labels]:
        parts = (
            *(self.x_train, self.y_train, self.x_test, self.y_test),
            *(self.x_validation, self.y_validation),
        )
        return [array for array in parts if array is not None]

    def _check(self) -> None:
        # Training checks none of this, and NumPy takes a label of -1 for the last class.
        if not isinstance(self.classes, int) or self.classes < 2:
            self._refuse("classes", f"got {self.classes!r}; must be a whole number of at least 2")
        self._check_part("train", self.x_train, self.y_train)
        self._check_part("test", self.x_test, self.y_test)
        if self.x_validation is not None or self.y_validation is not None:
            self._check_part("validation", self.x_validation, self.y_validation)

    def _check_part(self, part: str, x: object, y: object) -> None:
        samples = self._check_samples(f"x_{part}", x)
        self._check_labels(f"y_{part}", y, samples)

    def _check_samples(self, name: str, x: object) -> int:
        """Check the samples of one part and return their number."""
        if not isinstance(x, np.ndarray) or x.ndim != 2 or 0 in x.shape:
            self._refuse(name, f"got {_described(x)}; it must be an array of (samples, features)")
        if x.dtype not in (np.float32, np.float64):
            self._refuse(name, f"has dtype {x.dtype}; it must have float32 or float64")
        first = self.x_train
        if (x.shape[1], x.dtype) != (first.shape[1], first.dtype):
            self._refuse(
                name,
                f"has {x.shape[1]} features of {x.dtype}, x_train has {first.shape[1]} of "
                f"{first.dtype}; they must match",
            )
        if not np.isfinite(x).all():
            row = int(np.argmin(np.isfinite(x).all(axis=1)))
            self._refuse(name, f"sample {row} holds a value that is not finite")
        return len(x)

    def _check_labels(self, name: str, y: object, samples: int) -> None:
        if not isinstance(y, np.ndarray) or y.shape != (samples,):
            self._refuse(
                name,
                f"got {_described(y)}; it must be an array of {samples} labels, one for each "
                "sample",
            )
        if y.dtype.kind not in "iu":
            self._refuse(name, f"has dtype {y.dtype}; labels must be whole numbers")
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
        """A hash of all samples and labels; it does not depend on where they came from."""
        sha = hashlib.sha256()
        for array in self._arrays():
            sha.update(f"{array.dtype} {array.shape}".encode())
            sha.update(np.ascontiguousarray(array).data)
        return sha.hexdigest()

    @property
    def features(self) -> int:
        """The number of values in a sample."""
        return int(self.x_train.shape[1])

    @property
    def facts(self) -> dict[str, str | int]:
        """What describes the data set in a run's records: its name, digest and sizes."""
        return {
            "name": self.name,
            "digest": self.digest,
            "train_samples": len(self.x_train),
            "validation_samples": 0 if self.x_validation is None else len(self.x_validation),
            "test_samples": len(self.x_test),
            "features": self.features,
            "classes": self.classes,
        }


class Sizes(NamedTuple):
    """How many samples to take; the validation samples are the last of the training samples."""

    train: int
    test: int
    validation: int

    @classmethod
    def checked(cls, train: int, test: int, validation: int) -> Self:
        """Return the sizes.

        Raises:
            ConfigError: a size is not a whole number, or too small.
            DataError: validation leaves no sample to train on.
        """
        sizes = cls(train, test, validation)
        for part, size in sizes._asdict().items():
            check(f"data.{part}_size", size)
        _check_most("data.validation_size", validation, train - 1)
        return sizes


def digits(
    *,
    train_size: int = 1000,
    test_size: int = 797,
    validation_size: int = 0,
    root: str | None = None,  # noqa: ARG001  (a sweep over data= may set it for the others)
    dtype: str = "float32",
) -> Dataset:
    """Return scikit-learn's handwritten digits: 8 x 8 pixels, x = value / 16.

    Training samples come from the front, and test samples from what follows. The last
    `validation_size` of the training samples are held out for validation.

    Raises:
        ConfigError: a size is not a whole number, or too small.
        DataError: a size is larger than the number of samples.
    """
    sizes = Sizes.checked(train_size, test_size, validation_size)
    _check_most("data.train_size", train_size, _DIGITS_TOTAL - 1)
    _check_most("data.test_size", test_size, _DIGITS_TOTAL - train_size)
    return _load_digits(sizes, dtype)


def mnist(
    *,
    train_size: int = 1000,
    test_size: int = 1000,
    validation_size: int = 0,
    root: str | None = None,
    dtype: str = "float32",
) -> Dataset:
    """Return the first samples of MNIST: 28 x 28 pixels, x = value / 255.

    The last `validation_size` of the training samples are held out for validation. The files are
    read from the folder `root`. If it is None, they are downloaded to the user's cache (set the
    environment variable BNSWEEP_CACHE to use another folder) and read from there.

    Raises:
        ConfigError: a size is not a whole number, or too small.
        DataError: a size is larger than the number of samples, or a file is missing, damaged or
            cannot be downloaded.
    """
    sizes = Sizes.checked(train_size, test_size, validation_size)
    return _load_idx(MNIST, sizes, root, dtype)


def fashion_mnist(
    *,
    train_size: int = 1000,
    test_size: int = 1000,
    validation_size: int = 0,
    root: str | None = None,
    dtype: str = "float32",
) -> Dataset:
    """Return the first samples of Fashion-MNIST; arguments and errors are those of `mnist`."""
    sizes = Sizes.checked(train_size, test_size, validation_size)
    return _load_idx(FASHION_MNIST, sizes, root, dtype)


@lru_cache(maxsize=2)
def _load_digits(sizes: Sizes, dtype: str) -> Dataset:
    table = _digits_table()
    x = (table[:, :-1] / 16).astype(dtype)
    y = table[:, -1].astype(np.int64)
    train, test = slice(sizes.train), slice(sizes.train, sizes.train + sizes.test)
    return _split("digits", (x[train], y[train]), (x[test], y[test]), sizes.validation)


@lru_cache(maxsize=2)
def _load_idx(source: Source, sizes: Sizes, root: str | None, dtype: str) -> Dataset:
    if root is None:
        # Check before a download; the size of the user's own files is known once they are read.
        _check_most("data.train_size", sizes.train, _TRAIN_TOTAL)
        _check_most("data.test_size", sizes.test, _TEST_TOTAL)
    files = cached_files(source) if root is None else files_in(str(root), source)
    # All headers come before any content: what cannot be is refused at once, however large.
    _check_headers(files, sizes, root)
    train = _read_part(files, "train", sizes.train, dtype)
    test = _read_part(files, "t10k", sizes.test, dtype)
    return _split(source.name, train, test, sizes.validation)


def _split(
    name: str,
    train: tuple[_Samples, _Labels],
    test: tuple[_Samples, _Labels],
    validation_size: int,
) -> Dataset:
    """Return the data set, with the last of the training samples held out for validation."""
    (x, y), kept = train, len(train[0]) - validation_size
    held_out = (x[kept:], y[kept:]) if validation_size else (None, None)
    return Dataset(name, x[:kept], y[:kept], *test, _CLASSES, *held_out)


def _digits_table() -> NDArray[np.float64]:
    """Return the digits as (samples, 64 pixels and the label)."""
    # Importing scikit-learn takes a second in each process; finding its file takes no time.
    spec = importlib.util.find_spec("sklearn")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if path.is_file():
            return np.loadtxt(path, delimiter=",")
    from sklearn.datasets import load_digits

    return np.column_stack(load_digits(return_X_y=True))


def _check_headers(files: Mapping[str, LocalFile], sizes: Sizes, root: str | None) -> None:
    """Check by their headers that the files belong together and hold as much as asked for."""
    pixels = []
    for part, key, size in (
        ("train", "data.train_size", sizes.train),
        ("t10k", "data.test_size", sizes.test),
    ):
        image_file, label_file = (files[_file_name(part, rank)].path for rank in (3, 1))
        total, *shape = shape_of(image_file, rank=3)
        (label_total,) = shape_of(label_file, rank=1)
        if total != label_total:
            raise DataError(
                f"{image_file} holds {total} images, {label_file} {label_total} labels; "
                "use the files of one data set"
            )
        _check_most(key, size, total)
        pixels.append(tuple(shape))
    if pixels[0] != pixels[1]:
        raise DataError(
            f"data.root={root}: training images have {pixels[0]} pixels, test images "
            f"{pixels[1]}; use the files of one data set"
        )


def _read_part(
    files: Mapping[str, LocalFile], part: str, size: int, dtype: str
) -> tuple[_Samples, _Labels]:
    """Return the first `size` samples (size, pixels), scaled, and labels (size,) of a part."""
    image_file, label_file = (files[_file_name(part, rank)] for rank in (3, 1))
    images = _read_first(image_file, 3, size)
    labels = _read_first(label_file, 1, size)
    if labels.max() >= _CLASSES:
        raise DataError(
            f"{label_file.path} holds the label {labels.max()}; labels must be from 0 to "
            f"{_CLASSES - 1}"
        )
    return _scaled(images, dtype), labels.astype(np.int64)


def _read_first(file: LocalFile, rank: int, size: int) -> NDArray[np.uint8]:
    # A published checksum vouches for the whole file. Any other file is read to its end, which
    # takes ten times as long, to find damage behind the first samples.
    return read_idx(file.path, rank=rank, first=size, whole=not file.genuine)


def _file_name(part: str, rank: int) -> str:
    return f"{part}-{'images' if rank == 3 else 'labels'}-idx{rank}-ubyte.gz"


def _scaled(images: NDArray[np.uint8], dtype: str) -> _Samples:
    x: _Samples = images.reshape(len(images), -1).astype(dtype)
    x /= 255
    return x


def _check_most(key: str, size: int, most: int) -> None:
    if size > most:
        raise DataError(f"{key}={size}: must be at most {most}")


def _described(value: object) -> str:
    """Return a short description of a value that should have been an array."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return f"a {type(value).__name__}"
