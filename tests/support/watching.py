"""Arrays that record the dtype of everything computed from them, temporaries included."""

import numpy as np


class Watched(np.ndarray):
    """An array that adds to `seen` the dtype of each floating-point result computed from it."""

    seen: set[str]

    def __array_finalize__(self, parent):
        self.seen = getattr(parent, "seen", set())

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        plain = [np.asarray(value) if isinstance(value, Watched) else value for value in inputs]
        if out is not None:  # what is computed in, that is, before it is cast to that of out
            self.seen.add(np.result_type(*plain).name)
            getattr(ufunc, method)(*plain, out=tuple(map(np.asarray, out)), **options)
            return out[0]
        result = np.asarray(getattr(ufunc, method)(*plain, **options))
        if result.dtype.kind == "f":
            self.seen.add(result.dtype.name)
        watched = result.view(Watched)
        watched.seen = self.seen
        return watched


def watched(array):
    """Return a watched view of `array`, and the set that collects the dtypes."""
    view = array.view(Watched)
    return view, view.seen
