"""The files of the MNIST family: from a folder, the cache, or the network."""

import contextlib
import hashlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bnsweep.errors import DataError
from bnsweep.records import absolute

CACHE_VARIABLE = "BNSWEEP_CACHE"
PACKED = ".gz"

_forbidden: ContextVar[bool] = ContextVar("_forbidden", default=False)
_LARGEST = 47_040_016  # bytes of a published file: the training images, unpacked
_TIMEOUTS = (10, 30)  # seconds to connect, seconds between two bytes
_log = logging.getLogger(__name__)


class NotDownloadedError(DataError):
    """A file is not there, and may not be downloaded."""


@contextlib.contextmanager
def no_downloads() -> Iterator[None]:
    """Raise `NotDownloadedError` in place of a download."""
    token = _forbidden.set(True)
    try:
        yield
    finally:
        _forbidden.reset(token)


@dataclass(frozen=True, eq=False)
class Source:
    """A published data set: its mirrors, in the order to try, and the checksums of its files.

    A file is published by its name with `.gz`; its checksum without that is of its content.
    """

    name: str
    mirrors: tuple[str, ...]
    checksums: Mapping[str, str]

    @property
    def files(self) -> list[str]:
        """The names of the published files."""
        return [name for name in self.checksums if name.endswith(PACKED)]


class LocalFile(NamedTuple):
    """A file of a data set on disk, and whether it is known to be the published one."""

    path: Path
    genuine: bool


MNIST = Source(
    name="mnist",
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    checksums={
        "train-images-idx3-ubyte.gz": (
            "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
        ),
        "train-labels-idx1-ubyte.gz": (
            "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
        ),
        "train-images-idx3-ubyte": (
            "sha256:ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        "train-labels-idx1-ubyte": (
            "sha256:65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
        ),
        "t10k-images-idx3-ubyte": (
            "sha256:0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
        ),
        "t10k-labels-idx1-ubyte": (
            "sha256:ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
        ),
    },
)

FASHION_MNIST = Source(
    name="fashion_mnist",
    mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    checksums={
        "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
    },
)


def files_in(root: str, source: Source) -> dict[str, LocalFile]:
    """Return each file of `source` in the folder `root`, by published name.

    A file may also be unpacked, without its `.gz`.

    Raises:
        DataError: the folder or a file is missing, or a file is known to be another one.
    """
    folder = absolute(root)
    advice = (
        f"give a folder with the {len(source.files)} files of {source.name}, or set "
        "data.root=null to download them"
    )
    if not root or not folder.is_dir():
        raise DataError(f"data.root={root}: there is no such folder; {advice}")
    places = {
        name: [p for p in (folder / name, folder / name.removesuffix(PACKED)) if p.is_file()]
        for name in source.files
    }
    if missing := [name for name, paths in places.items() if not paths]:
        raise DataError(f"data.root={root}: {', '.join(missing)} not found; {advice}")
    found = {}
    for name, (path, *_) in places.items():
        # All of them use the same file names: nothing else shows that they were mixed up.
        known = _published(path, (MNIST, FASHION_MNIST))
        if known is not None and known[0] is not source:
            other = known[0].name
            raise DataError(
                f"data.root={root}: holds the files of {other}; use data={other} or give another "
                "folder"
            )
        if known is not None and known[1].removesuffix(PACKED) != name.removesuffix(PACKED):
            raise DataError(
                f"data.root={root}: {path.name} is the published {known[1]}; give each file the "
                "name that it was published by"
            )
        found[name] = LocalFile(path, genuine=known is not None)
    return found


def _published(path: Path, sources: Sequence[Source]) -> tuple[Source, str] | None:
    """Return the data set and the name of the published file whose checksum a file has."""
    names = {
        known: (source, name) for source in sources for name, known in source.checksums.items()
    }
    with contextlib.suppress(OSError):  # whoever reads it says so
        if path.stat().st_size <= _LARGEST:
            for algorithm in dict.fromkeys(known.partition(":")[0] for known in names):
                if (checksum := _checksum(path, algorithm)) in names:
                    return names[checksum]
    return None


def _checksum(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def cached_files(source: Source) -> dict[str, LocalFile]:
    """Return each file of `source` in the cache, by published name.

    A file that is missing or has a wrong checksum is downloaded first. The cache is the folder in
    the environment variable BNSWEEP_CACHE, by default the user's cache folder.

    Raises:
        DataError: no mirror has a file, or a file cannot be written.
    """
    import platformdirs

    base = os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("bnsweep")
    folder = absolute(base) / source.name
    for name in source.files:
        if _published(folder / name, [source]) != (source, name):
            _download(source, name, folder)
    return {name: LocalFile(folder / name, genuine=True) for name in source.files}


def _download(source: Source, name: str, folder: Path) -> None:
    if _forbidden.get():
        raise NotDownloadedError(f"data={source.name}: {folder / name} is not there")
    # Imported here because most runs find their files in the cache.
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel("WARNING")
    # Ask for the file as it is: some servers unpack it on the way.
    downloader = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=1 << 16,
        timeout=_TIMEOUTS,
        headers={"Accept-Encoding": "identity"},
    )
    failures = []
    for mirror in source.mirrors:
        _log.info("downloading %s%s to %s", mirror, name, folder)
        try:
            # pooch writes a temporary file and renames it once the checksum is right.
            pooch.retrieve(
                mirror + name, source.checksums[name], name, folder, downloader=downloader
            )
            return
        except (RequestException, ValueError) as error:
            failures.append(f"{mirror}{name}: {_reason(error)}")
            _log.info("%s", failures[-1])
        except OSError as error:  # another mirror does not help
            raise DataError(
                f"data={source.name}: {folder / name} cannot be written ({error}); set "
                f"{CACHE_VARIABLE}=<a folder with room> or data.root=<a folder that holds the "
                "files>"
            ) from error
    state = "is damaged" if (folder / name).exists() else "is missing"
    raise DataError(
        f"data={source.name}: {folder / name} {state}, and downloading it failed "
        f"({'; '.join(failures)}); try again later, or set data.root=<a folder that holds the "
        "files>"
    )


def _reason(error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}"
    if not isinstance(error, OSError):  # pooch's own ValueError
        return "the download is not the published file, its checksum differs"
    # Network errors are wrapped in others, and their text begins with a repr of the connection.
    cause = error.args[0] if error.args else error
    cause = getattr(cause, "reason", cause)
    text = str(cause.args[0] if isinstance(cause, Exception) and cause.args else error)
    return text.rpartition("): ")[2] or type(error).__name__
