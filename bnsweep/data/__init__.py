"""From files to arrays: data sets, the IDX format, downloads."""

from bnsweep.data.datasets import Dataset, digits, fashion_mnist, mnist
from bnsweep.data.download import NotDownloadedError, no_downloads

__all__ = ["Dataset", "NotDownloadedError", "digits", "fashion_mnist", "mnist", "no_downloads"]
