"""From files to arrays: data sets, the IDX format, downloads."""

from bnsweep.data.datasets import Dataset, digits, fashion_mnist, mnist

__all__ = ["Dataset", "digits", "fashion_mnist", "mnist"]
