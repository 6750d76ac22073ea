"""Files become arrays: the data sets, the IDX format, and where files are downloaded from."""

from bnsweep.data.datasets import Dataset, digits, fashion_mnist, mnist

__all__ = ["Dataset", "digits", "fashion_mnist", "mnist"]
