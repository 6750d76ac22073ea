"""Data sets: their numbers, wrong requests, and damaged files."""

import contextlib
import gzip
import math
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import needs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from bnsweep.data import datasets, download
from bnsweep.data import idx as reader
from bnsweep.data.idx import read_idx, shape_of
from bnsweep.errors import ConfigError, DataError
from bnsweep.hydra_inside import instantiate

CONF = Path(__file__).parents[2] / "conf" / "data"


def idx(array, *, shape=None):
    """Return `array` as the content of an IDX file, optionally with a false shape in its header."""
    shape = array.shape if shape is None else shape
    return bytes((0, 0, 8, len(shape))) + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()


def images(count, *, side=4):
    return (np.arange(count * side * side) % 256).astype(np.uint8).reshape(count, side, side)


def labels(count):
    return (np.arange(count) % 10).astype(np.uint8)


def contents(*, train=30, test=20):
    return {
        "train-images-idx3-ubyte.gz": idx(images(train)),
        "train-labels-idx1-ubyte.gz": idx(labels(train)),
        "t10k-images-idx3-ubyte.gz": idx(images(test)),
        "t10k-labels-idx1-ubyte.gz": idx(labels(test)),
    }


@pytest.fixture
def root(tmp_path):
    """Return a folder with a small data set in files named like MNIST's."""
    folder = tmp_path / "files"
    folder.mkdir()
    for name, content in contents().items():
        (folder / name).write_bytes(gzip.compress(content))
    return folder


# Data sets


def test_digits_are_scikit_learns_in_order():
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    dataset = datasets.digits(train_size=1000, test_size=797, dtype="float64")
    assert np.array_equal(np.vstack((dataset.x_train, dataset.x_test)), x / 16)
    assert np.array_equal(np.hstack((dataset.y_train, dataset.y_test)), y)
    assert (dataset.name, dataset.features, dataset.classes) == ("digits", 64, 10)


def test_digits_do_not_wait_for_the_import_of_scikit_learn():
    code = "import sys, bnsweep.data.datasets as d; d.digits(); sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_digits_come_from_scikit_learns_own_reader_when_its_file_has_moved(monkeypatch):
    usual = datasets._digits_table()
    monkeypatch.setattr(datasets.importlib.util, "find_spec", lambda name: None)
    assert np.array_equal(datasets._digits_table(), usual)


def test_digits_test_samples_follow_the_training_samples():
    most = datasets.digits(train_size=1000, test_size=797)
    few = datasets.digits(train_size=990, test_size=10)
    assert np.array_equal(few.x_test, most.x_train[990:])


@pytest.mark.parametrize("load", [datasets.mnist, datasets.fashion_mnist])
def test_idx_files_give_the_first_samples_scaled(root, load):
    dataset = load(train_size=7, test_size=20, root=str(root), dtype="float64")
    assert np.array_equal(dataset.x_train, images(7).reshape(7, 16) / 255)
    assert np.array_equal(dataset.y_train, labels(7))
    assert dataset.x_test.shape == (20, 16)
    assert dataset.features == 16


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_samples_have_the_dtype_asked_for_and_labels_are_integers(root, dtype):
    for dataset in (
        datasets.digits(dtype=dtype),
        datasets.mnist(train_size=3, test_size=3, root=str(root), dtype=dtype),
    ):
        assert dataset.x_train.dtype == dataset.x_test.dtype == dtype
        assert dataset.y_train.dtype == dataset.y_test.dtype == np.int64


def test_unpacked_files_are_read_whatever_their_name(root):
    zipped = datasets.mnist(train_size=9, test_size=9, root=str(root))
    for path in [*root.iterdir()]:
        path.write_bytes(gzip.decompress(path.read_bytes()))
    (root / "train-images-idx3-ubyte.gz").rename(root / "train-images-idx3-ubyte")
    datasets._load_idx.cache_clear()
    assert datasets.mnist(train_size=9, test_size=9, root=str(root)).digest == zipped.digest


def test_a_run_cannot_change_the_data_of_the_next(root):
    first = datasets.mnist(train_size=9, test_size=9, root=str(root))
    assert datasets.mnist(train_size=9, test_size=9, root=str(root)) is first
    for array in (first.x_train, first.y_train, first.x_test, first.y_test):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_a_data_set_shows_its_sizes():
    assert repr(datasets.digits(validation_size=200)) == (
        "Dataset(name='digits', train_samples=800, validation_samples=200, test_samples=797, "
        "features=64, classes=10)"
    )


def test_the_digest_tells_data_apart_and_not_their_place(root, tmp_path):
    folder = tmp_path / "elsewhere"
    root_digest = datasets.mnist(train_size=9, test_size=9, root=str(root)).digest
    assert datasets.mnist(train_size=9, test_size=8, root=str(root)).digest != root_digest
    root.rename(folder)
    assert datasets.mnist(train_size=9, test_size=9, root=str(folder)).digest == root_digest


@pytest.mark.parametrize("name", ["digits", "mnist", "fashion_mnist"])
def test_configurations_make_their_data_set(root, name):
    config = OmegaConf.load(CONF / f"{name}.yaml")
    assert config.root is None
    config.merge_with({"train_size": 5, "test_size": 5, "root": str(root)})
    dataset = instantiate(config, dtype="float32")
    assert dataset.name == name
    assert len(dataset.x_train) == len(dataset.y_test) == 5


@needs.mnist
def test_mnist_itself(tmp_path, monkeypatch):
    folder = needs.mnist_folder()
    dataset = datasets.mnist(train_size=1000, test_size=10_000, root=str(folder))
    counts = [97, 116, 99, 93, 105, 92, 94, 117, 87, 100]
    assert np.bincount(dataset.y_train).tolist() == counts
    assert dataset.x_train.shape == (1000, 784)
    assert (dataset.x_train.min(), dataset.x_train.max()) == (0, 1)

    (tmp_path / "mnist").symlink_to(folder)  # the cache checks the checksums
    monkeypatch.setenv("BNSWEEP_CACHE", str(tmp_path))
    assert datasets.mnist(train_size=1000, test_size=10_000).digest == dataset.digest

    with pytest.raises(DataError, match="files of mnist; use data=mnist"):
        datasets.fashion_mnist(root=str(folder))


def test_validation_samples_are_the_last_of_the_training_samples():
    whole = datasets.digits(train_size=100, test_size=50)
    split = datasets.digits(train_size=100, test_size=50, validation_size=30)
    np.testing.assert_array_equal(
        np.concatenate([split.x_train, split.x_validation]), whole.x_train
    )
    np.testing.assert_array_equal(
        np.concatenate([split.y_train, split.y_validation]), whole.y_train
    )
    np.testing.assert_array_equal(split.x_test, whole.x_test)
    assert len(split.x_validation) == 30
    assert split.digest != whole.digest
    assert whole.x_validation is None


def good(**changes):
    """Return valid arguments of a `Dataset`, with `changes`."""
    x, y = np.zeros((4, 3), "float32"), np.array([0, 1, 2, 1])
    arrays = {"x_train": x, "y_train": y, "x_test": x.copy(), "y_test": y.copy()}
    return {"name": "mine", **arrays, "classes": 3, **changes}


X, Y = np.zeros((4, 3), "float32"), np.array([0, 1, 2, 1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": np.array([0, -1, 2, -1])}, r"y_train holds the label -1 \(2 such samples\)"),
        ({"y_test": np.array([0, 1, 2, 3])}, "y_test holds the label 3.* from 0 to 2"),
        ({"y_train": Y[:3]}, r"y_train got an array of shape \(3,\).* 4 labels"),
        ({"y_train": Y[:, None]}, r"y_train got an array of shape \(4, 1\)"),
        ({"y_train": Y.astype(float)}, "y_train has dtype float64; labels must be whole numbers"),
        ({"x_train": X.reshape(4, 3, 1)}, r"x_train got an array of shape \(4, 3, 1\)"),
        ({"x_train": X[:0]}, r"x_train got an array of shape \(0, 3\)"),
        ({"x_train": X.tolist()}, "x_train got a list"),
        ({"x_train": X.astype(int)}, "x_train has dtype int64; it must have float32 or float64"),
        ({"x_test": np.zeros((4, 2), "float32")}, "x_test has 2 features .* x_train has 3"),
        ({"x_test": X.astype("float64")}, "x_test has 3 features of float64, x_train .* float32"),
        (
            {"x_test": X * np.array([[1], [1], [np.nan], [1]], "float32")},
            "x_test sample 2 .* not f",
        ),
        ({"x_train": X + np.float32(np.inf)}, "x_train sample 0 holds a value that is not finite"),
        ({"classes": 1}, "classes got 1"),
        ({"classes": 3.0}, "classes got 3.0"),
        ({"x_validation": X}, "y_validation got a NoneType"),
        ({"x_validation": X, "y_validation": Y + 1}, "y_validation holds the label 3"),
    ],
)
def test_a_data_set_that_breaks_its_contract_is_refused_and_what_is_wrong_is_named(
    changes, message
):
    datasets.Dataset(**good())
    with pytest.raises(DataError, match=f"data set 'mine': {message}"):
        datasets.Dataset(**good(**changes))


# Wrong requests


def test_a_validation_size_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(DataError, match=r"data\.validation_size=100: must be at most 99"):
        datasets.digits(train_size=100, validation_size=100)


@pytest.mark.parametrize("size", [-1, 1.5, "many", None, True])
def test_a_validation_size_that_is_no_count_is_named(size):
    with pytest.raises(ConfigError, match=r"data\.validation_size=.*whole number of at least 0"):
        datasets.digits(train_size=100, validation_size=size)


@pytest.mark.parametrize("size", [0, -1, 1.5, "many", None, True, [1], float("nan")])
@pytest.mark.parametrize("key", ["train_size", "test_size"])
@pytest.mark.parametrize("load", [datasets.digits, datasets.mnist])
def test_a_size_that_is_no_count_is_named_before_anything_is_fetched(load, key, size):
    with pytest.raises(ConfigError, match=rf"data\.{key}=.*whole number of at least 1"):
        load(**{key: size})


@pytest.mark.parametrize(
    ("load", "sizes", "message"),
    [
        (datasets.digits, {"train_size": 1797}, r"data\.train_size=1797: must be at most 1796"),
        (datasets.digits, {"test_size": 798}, r"data\.test_size=798: must be at most 797"),
        (datasets.mnist, {"train_size": 60_001}, r"data\.train_size=60001: must be at most 60000"),
        (datasets.mnist, {"test_size": 10_001}, r"data\.test_size=10001: must be at most 10000"),
    ],
)
def test_more_than_there_is_names_the_most(load, sizes, message):
    with pytest.raises(DataError, match=message):
        load(**sizes)


def test_more_than_the_files_hold_names_the_most(root):
    with pytest.raises(DataError, match=r"data\.train_size=31: must be at most 30"):
        datasets.mnist(train_size=31, test_size=1, root=str(root))
    with pytest.raises(DataError, match=r"data\.test_size=21: must be at most 20"):
        datasets.mnist(train_size=1, test_size=21, root=str(root))


@pytest.mark.parametrize("name", ["nowhere", ""])
def test_a_root_that_is_not_there_is_named(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=rf"data\.root={name}: there is no such folder"):
        datasets.mnist(root=name)


def test_a_root_without_the_files_names_the_missing(root):
    (root / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"data\.root=.*: t10k-labels-idx1-ubyte\.gz not found"):
        datasets.mnist(train_size=1, test_size=1, root=str(root))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-labels-idx1-ubyte.gz", idx(labels(29)), "30 images, .* 29 labels"),
        (
            "t10k-labels-idx1-ubyte.gz",
            idx(labels(20) + 9),
            "the label 18; labels must be from 0 to 9",
        ),
        ("t10k-images-idx3-ubyte.gz", idx(images(20, side=5)), "test images"),
    ],
    ids=["counts", "labels", "pixels"],
)
def test_files_that_do_not_belong_together_are_refused(root, name, content, message):
    (root / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        datasets.mnist(train_size=20, test_size=20, root=str(root))


def test_damage_behind_the_samples_asked_for_is_found(root):
    path = root / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cut short"):
        datasets.mnist(train_size=1, test_size=1, root=str(root))


def test_files_of_the_sister_data_set_are_refused(root, monkeypatch):
    """Both use the same file names: nothing else shows the mistake."""
    path = root / "train-labels-idx1-ubyte.gz"
    digest = download.hashlib.sha256(path.read_bytes()).hexdigest()
    sister = download.Source("fashion_mnist", (), {path.name: f"sha256:{digest}"})
    monkeypatch.setattr(download, "FASHION_MNIST", sister)
    with pytest.raises(DataError, match="files of fashion_mnist; use data=fashion_mnist"):
        datasets.mnist(train_size=1, test_size=1, root=str(root))


@pytest.fixture
def published(root, monkeypatch):
    """Let the files of `root` be the published ones; of the images, their content is known, too."""
    sums = {
        path.name: f"sha256:{download.hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in root.iterdir()
    }
    for part in ("train", "t10k"):
        content = gzip.decompress((root / f"{part}-images-idx3-ubyte.gz").read_bytes())
        digest = download.hashlib.sha256(content).hexdigest()
        sums[f"{part}-images-idx3-ubyte"] = f"sha256:{digest}"
    source = download.Source("mnist", (), sums)
    monkeypatch.setattr(download, "MNIST", source)
    monkeypatch.setattr(datasets, "MNIST", source)
    return root


@pytest.mark.parametrize("unpacked", [False, True], ids=["packed", "unpacked"])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"),
        ("train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz"),
    ],
    ids=["of the test samples", "of the images"],
)
def test_a_published_file_in_the_place_of_another_is_named(published, one, other, unpacked):
    content, place = (published / other).read_bytes(), one
    if unpacked:
        (published / one).unlink()
        content, place = gzip.decompress(content), one.removesuffix(".gz")
    (published / place).write_bytes(content)
    is_published = f"{place} is the published {other.removesuffix('.gz') if unpacked else other};"
    with pytest.raises(DataError, match=rf"data\.root=.*: {is_published}"):
        datasets.mnist(train_size=1, test_size=1, root=str(published))


def test_a_file_is_hashed_once_however_it_is_judged(published, monkeypatch):
    hashed = []
    checksum = download._checksum
    monkeypatch.setattr(
        download, "_checksum", lambda *given: hashed.append(given) or checksum(*given)
    )
    datasets.mnist(train_size=1, test_size=1, root=str(published))
    assert len(set(hashed)) == len(hashed) == 4


def test_a_file_of_the_cache_that_cannot_be_read_is_downloaded_again(tmp_path, monkeypatch):
    def unreadable(path, _):
        raise PermissionError(path)

    monkeypatch.setenv("BNSWEEP_CACHE", str(tmp_path))
    monkeypatch.setattr(download, "_checksum", unreadable)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte.gz").touch()
    with download.no_downloads(), pytest.raises(download.NotDownloadedError, match="train-images"):
        datasets.mnist(train_size=1, test_size=1)


def sparse(path, shape):
    """Write a file that claims a shape, and is as large, but takes no room on the disk."""
    path.write_bytes(idx(np.zeros(0, np.uint8), shape=shape))
    with path.open("r+b") as file:
        file.truncate(4 + 4 * len(shape) + math.prod(shape))


@pytest.mark.parametrize(
    ("changed", "sizes", "message"),
    [
        ({"train-images-idx3": (12_000_000, 28, 28)}, {}, "12000000 images, .* 30 labels"),
        (
            {"t10k-images-idx3": (12_000_000, 4, 4), "t10k-labels-idx1": (12_000_000,)},
            {"train_size": 31},
            r"data\.train_size=31: must be at most 30",
        ),
        (
            {"train-images-idx3": (12_000_000, 28, 28), "train-labels-idx1": (12_000_000,)},
            {},
            "test images",
        ),
    ],
    ids=["counts", "fewer than asked for", "pixels"],
)
def test_what_headers_say_is_judged_before_a_content_is_read(
    root, monkeypatch, changed, sizes, message
):
    for name, shape in changed.items():
        (root / f"{name}-ubyte.gz").unlink()
        sparse(root / f"{name}-ubyte", shape)
    read = []
    monkeypatch.setattr(datasets, "read_idx", lambda path, **_: read.append(path))
    hashed = []
    monkeypatch.setattr(download, "_checksum", lambda path, _: hashed.append(path.name) or "")
    with pytest.raises(DataError, match=message):
        datasets.mnist(**{"train_size": 1, "test_size": 1} | sizes, root=str(root))
    assert read == []
    assert not any(name.startswith(tuple(changed)) for name in hashed if "images" in name)


def test_an_unpacked_file_is_read_as_far_as_it_is_needed(root, monkeypatch):
    for name, shape in (("images-idx3", (20_000, 28, 28)), ("labels-idx1", (20_000,))):
        for part in ("train", "t10k"):
            (root / f"{part}-{name}-ubyte.gz").unlink()
            sparse(root / f"{part}-{name}-ubyte", shape)
    places, opened = [], reader._opened

    @contextlib.contextmanager
    def noting(path):
        with opened(path) as (file, zipped):
            yield file, zipped
            places.append(file.tell())

    monkeypatch.setattr(reader, "_opened", noting)
    dataset = datasets.mnist(train_size=100, test_size=100, root=str(root))
    assert dataset.x_train.shape == (100, 784)
    assert max(places) == 16 + 100 * 784


# IDX files


def test_idx_keeps_the_first_samples_and_counts_all(tmp_path):
    path = tmp_path / "images"
    path.write_bytes(gzip.compress(idx(images(10))))
    assert np.array_equal(read_idx(path, rank=3, first=4), images(4))
    assert np.array_equal(read_idx(path, rank=3), images(10))
    assert shape_of(path, rank=3) == (10, 4, 4)


GOOD = idx(images(10))
DAMAGED = {
    "empty": (b"", "starts with nothing"),
    "a web page": (b"<!DOCTYPE html>", "starts with 3c 21 44 4f"),
    "labels for images": (idx(labels(10)), "starts with 00 00 08 01"),
    "of integers": (b"\0\0\x0c\x03" + GOOD[4:], "starts with 00 00 0c 03"),
    "cut in the header": (GOOD[:9], "inside its header"),
    "cut in the data": (GOOD[:-1], "10 x 4 x 4 bytes, "),
    "too long": (GOOD + b"\0", "10 x 4 x 4 bytes, but holds more"),
    "claims much": (idx(images(10), shape=(10**9, 28, 28)), "1000000000 x 28 x 28 bytes, which"),
    "claims nothing": (idx(images(0)), "0 x 4 x 4 bytes, which"),
}


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "zipped"])
@pytest.mark.parametrize(("content", "message"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_idx_file_is_named_with_what_was_found(tmp_path, content, message, zipped):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(DataError, match=f"images.gz .*{message}.*replace it"):
        read_idx(path, rank=3)


ZIPPED = gzip.compress(idx(np.random.default_rng(0).integers(0, 256, (10, 4, 4), np.uint8)))
BROKEN = {
    "cut": (ZIPPED[:-30], "cut short"),
    "without its checksum": (ZIPPED[:-8], "cut short"),
    "with another checksum": (ZIPPED[:-8] + b"\0\0\0\0" + ZIPPED[-4:], "CRC"),
    "of no valid block": (ZIPPED[:10] + b"\xff" + ZIPPED[11:], "invalid block type"),
    "followed by others": (ZIPPED + ZIPPED, "holds more"),
    "followed by rubbish": (ZIPPED + b"rubbish", "cannot be read"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_gzip_file_is_named_with_what_was_found(tmp_path, content, message):
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"images.gz .*{message}"):
        read_idx(path, rank=3, first=1)


def test_what_cannot_be_read_at_all_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere cannot be read"):
        read_idx(tmp_path / "nowhere", rank=3)
    with pytest.raises(DataError, match=f"{tmp_path.name} cannot be read"):
        read_idx(tmp_path, rank=3)


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "zipped"])
@pytest.mark.parametrize("shape", [(10**9, 1000, 1), (2**32 - 1,) * 3, (20_000_001, 1, 1)])
def test_a_header_that_lies_takes_no_memory(tmp_path, shape, zipped):
    """The last one claims one byte too many, which only reading to the end shows."""
    content = idx(np.zeros(20_000_000, np.uint8), shape=shape)
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(content, 1) if zipped else content)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="claims"):
            read_idx(path, rank=3, first=100)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


@st.composite
def idx_like(draw):
    """Return nearly an IDX file: its header may be false, and its bytes changed or cut."""
    sizes = draw(st.lists(st.integers(0, 5) | st.integers(0, 2**32 - 1), max_size=4))
    magic = draw(st.just(bytes((0, 0, 8, len(sizes)))) | st.binary(max_size=4))
    size = math.prod(sizes) if math.prod(sizes) < 700 else 7
    body = draw(st.binary(min_size=size, max_size=size) | st.binary(max_size=200))
    content = magic + struct.pack(f">{len(sizes)}I", *sizes) + body
    if draw(st.booleans()):
        content = gzip.compress(content)
    for place in draw(st.just([]) | st.lists(st.integers(0, len(content)), max_size=3)):
        content = content[:place] + draw(st.binary(max_size=2)) + content[place + 1 :]
    return content


@settings(max_examples=300, deadline=None)
@given(content=idx_like(), rank=st.integers(1, 3), first=st.none() | st.integers(0, 6))
def test_any_bytes_give_a_clean_value_or_a_clean_error(tmp_path_factory, content, rank, first):
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(content)
    try:
        kept = read_idx(path, rank=rank, first=first)
        total, *_ = shape_of(path, rank=rank)
    except DataError:
        return
    assert kept.ndim == rank
    assert len(kept) == (total if first is None else min(first, total))
