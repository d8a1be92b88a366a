"""The activation of a readout in a file: written, not mapped, because a full disk ends a process that writes to a map."""

import io

import numpy as np

from brainsnn.disk_space import reserve

__all__ = ["OutputFile"]


class OutputFile:
    """
    An array in NumPy's format whose steps are written in any order: ``output[trial] = values``.

    Parameters
    ----------
    path : `~pathlib.Path`
    shape : (int, int, int)
        (n_trials, n_steps, width).
    dtype : dtype

    Raises
    ------
    OSError
        If the disk has not enough space.
    """

    def __init__(self, path, shape, dtype):
        self.path, self.shape, self.dtype = path, shape, np.dtype(dtype)
        header = self._header(shape)
        self._start = len(header)
        reserve(path, self._start + int(np.prod(shape)) * self.dtype.itemsize)
        self._write(0, header)

    def _header(self, shape):
        file = io.BytesIO()
        about = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": tuple(shape)}
        np.lib.format.write_array_header_1_0(file, about)
        return file.getvalue()

    def _write(self, position, content):
        with open(self.path, "rb+") as file:
            file.seek(position)
            file.write(content)

    def __len__(self):
        return self.shape[0]

    def __setitem__(self, where, values):
        """Write a trial, or a chunk of one: ``output[trial, first:last] = values``."""
        trial, steps = where if isinstance(where, tuple) else (where, slice(0, self.shape[1]))
        values = np.ascontiguousarray(values, self.dtype)
        if values.shape != (steps.stop - steps.start, self.shape[2]):
            raise ValueError(f"values of shape {values.shape} for the steps {steps} of {self.path.name!r}")
        row = self.shape[2] * self.dtype.itemsize
        self._write(self._start + (trial * self.shape[1] + steps.start) * row, values.tobytes())

    def keep(self, trials):
        """
        Keep some trials only, in their order.

        Parameters
        ----------
        trials : list of int
        """
        size = self.shape[1] * self.shape[2] * self.dtype.itemsize
        with open(self.path, "rb+") as file:
            for k, trial in enumerate(trials):
                file.seek(self._start + trial * size)
                content = file.read(size)
                file.seek(self._start + k * size)
                file.write(content)
        self.shape = (len(trials), *self.shape[1:])
        header = self._header(self.shape)
        if len(header) != self._start:
            raise RuntimeError("the header of a shorter array has another length")
        self._write(0, header)
        with open(self.path, "rb+") as file:
            file.truncate(self._start + len(trials) * size)
