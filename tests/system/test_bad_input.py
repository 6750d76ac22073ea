"""Bad input gets one clear message and a status, and leaves nothing behind."""

import gzip
import pickle
import struct

import pytest

CASES = [
    # what is typed, what the message names
    (["weight_std=abc"], "weight_std=abc"),
    (["weight_std=0"], "weight_std=0"),
    (["-m", "weight_std=0.1,-1"], "weight_std=-1"),
    (["weight_std=nan"], "weight_std=nan"),
    (["-m", "weight_std=inf,0.1"], "weight_std=inf"),
    (["weight_std=0.1,0.2"], "-m"),
    (["-m", "weight_std=logspace(0,-4)"], "logspace(0,-4)"),
    (["training.batch_size=1"], "training.batch_size=1"),
    (["-m", "training.batch_size=1,100"], "training.batch_size=1"),
    (["training.batch_size=1001"], "training.batch_size=1001"),
    (["training.batch_size=2.5"], "training.batch_size=2.5"),
    (["training.epochs=-1"], "training.epochs=-1"),
    (["training.epochs=0"], "training.epochs=0"),
    (["training.sampling=all"], "training.sampling=all"),
    (["data.train_size=5000"], "data.train_size=5000"),
    (["-m", "data.train_size=100,5000"], "data.train_size=5000"),
    (["data.test_size=0"], "data.test_size=0"),
    (["model=resnet"], "batchnorm, dropout, plain"),
    (["-m", "model=resnet,plain"], "batchnorm, dropout, plain"),
    (["optimizer=lion"], "adam"),
    (["data=cifar"], "digits"),
    (["optimizer.lrr=0.1"], "optimizer.lr"),
    (["wieght_std=0.1"], "weight_std"),
    (["-m", "optimzer.lr=0.1,1"], "optimizer.lr"),
    (["optimizer.lr=-1"], "optimizer.lr=-1"),
    (["optimizer=adam", "optimizer.beta1=1"], "optimizer.beta1=1"),
    (["data=mnist", "data.root=nowhere"], "data.root"),
    (["model.hidden_sizes=[]"], "model.hidden_sizes=[]"),
    (["model.hidden_sizes=[100,-1]"], "model.hidden_sizes"),
    (["model.activation=gelu"], "model.activation=gelu"),
    (["model.dropout=1"], "model.dropout=1"),
    (["seed=-1"], "seed=-1"),
    (["dtype=int8"], "dtype=int8"),
    (["on_failure=retry"], "on_failure=retry"),
    (["resume=maybe"], "resume=maybe"),
    (["-m", "report.figures=[pie]"], "pie"),
    (["weight_std=["], "weight_std=["),
    (["experiment=nothing"], "experiment=nothing"),
    (["tracking.uri=sqlite://"], "sqlite:///relative/path.db"),
    (["tracking.uri=sqlite:///:memory:"], "sqlite:///relative/path.db"),
    (["-m", "tracking.uri='sqlite:///x.db?mode=memory&uri=true'"], "sqlite:///relative/path.db"),
]


@pytest.fixture(scope="module")
def quiet(module_shell):
    return module_shell


@pytest.mark.parametrize(("arguments", "named"), CASES, ids=[" ".join(case[0]) for case in CASES])
def test_bad_input_gets_one_clear_message(quiet, arguments, named):
    done = quiet(*arguments)
    assert done.returncode == 2
    assert named in done.stderr
    assert done.stderr.startswith("bnsweep: ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr + done.stdout
    assert not list(quiet.folder.rglob("history.json"))
    assert not (quiet.folder / "outputs" / "mlflow.db").exists()
    assert not list(quiet.folder.glob("outputs/*/*"))


def test_the_traceback_is_there_for_who_wants_it(quiet):
    done = quiet("weight_std=-1", HYDRA_FULL_ERROR="1")
    assert done.returncode != 0
    assert "Traceback" in done.stderr


class Unpickled:
    """Leaves a file behind where a pickle of it is loaded."""

    def __reduce__(self):
        return open, ("unpickled", "w")


def idx(magic, shape, content):
    return struct.pack(f">{len(shape) + 1}I", magic, *shape) + content


@pytest.mark.parametrize(
    "images",
    [
        idx(2051, (4, 28, 28), bytes(3 * 784)),
        idx(9999, (4, 28, 28), bytes(4 * 784)),
        idx(2051, (10**9, 28, 28), bytes(4 * 784)),
        idx(2051, (4, 28, 28), bytes(5 * 784)),
        b"",
        pickle.dumps(Unpickled()),
    ],
    ids=["cut short", "wrong magic", "claims too much", "holds too much", "empty", "pickle"],
)
def test_a_broken_idx_file_is_named(shell, images):
    root = shell.folder / "root"
    root.mkdir()
    for part in ("train", "t10k"):
        (root / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        labels = idx(2049, (4,), bytes(4))
        (root / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    sizes = ("data.train_size=4", "data.test_size=4", "training.batch_size=2")
    done = shell("data=mnist", "data.root=root", *sizes)
    assert done.returncode == 2
    assert "images-idx3-ubyte.gz" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in shell.folder.iterdir()] == ["root"]
