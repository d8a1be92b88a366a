"""The arrays of an ONNX file: checked against what they declare, then read, from the model's folder only."""

import math
import os
import stat

import numpy as np

from brainsnn.errors import ConversionError
from brainsnn.memory import shown_bytes

__all__ = ["Weights"]

#: Number of TensorProto.DataType -> its name, NumPy's type, and the field that holds values outside of raw_data.
TYPES = {
    1: ("FLOAT", np.float32, "float_data"),
    2: ("UINT8", np.uint8, "int32_data"),
    3: ("INT8", np.int8, "int32_data"),
    6: ("INT32", np.int32, "int32_data"),
    7: ("INT64", np.int64, "int64_data"),
    9: ("BOOL", np.bool_, "int32_data"),
    10: ("FLOAT16", np.float16, "int32_data"),
    11: ("DOUBLE", np.float64, "double_data"),
}
EXTERNAL = 1


class Weights:
    """
    Read arrays of a model, one when it is asked for.

    Parameters
    ----------
    folder : Path
        Folder of the model. Files with its weights must lie in it.
    limit : int
        Bytes that an array may take.
    """

    def __init__(self, folder, limit):
        self.folder, self.limit = folder, limit

    def array(self, tensor):
        """
        Return an array of the file.

        Parameters
        ----------
        tensor : onnx.TensorProto

        Returns
        -------
        array : ndarray
            In the type that the file has.

        Raises
        ------
        ConversionError
            If its type cannot be read, it holds another number of values than its shape, or its file is not there.
        """
        dims = tuple(tensor.dims)
        if tensor.data_type not in TYPES:
            raise _refused(
                tensor,
                f"has values of the type number {tensor.data_type} (as in onnx.TensorProto.DataType), which cannot be read.",
                "Export the model with float32 weights, not quantized.",
            )
        name, dtype, field = TYPES[tensor.data_type]
        n_bytes = math.prod(dims) * np.dtype(dtype).itemsize
        if min(dims, default=0) < 0 or n_bytes > self.limit:
            raise _refused(
                tensor,
                f"declares the shape {dims}, which takes {shown_bytes(n_bytes)}; up to {shown_bytes(self.limit)} are allowed.",
                "If you trust the file, give a higher max_bytes.",
            )
        if tensor.data_location == EXTERNAL:
            content = self._external(tensor, n_bytes)
        elif tensor.HasField("raw_data"):
            content = tensor.raw_data
        else:
            values = getattr(tensor, field)
            if len(values) != math.prod(dims):
                raise _refused(
                    tensor, f"holds {len(values)} values, and its shape {dims} needs {math.prod(dims)}.", _EXPORT
                )
            return _from_field(tensor, values, dtype).reshape(dims)
        if len(content) != n_bytes:
            raise _refused(
                tensor, f"holds {len(content):,} bytes, and {name} of its shape {dims} needs {n_bytes:,}.", _EXPORT
            )
        array = np.frombuffer(content, np.dtype(dtype).newbyteorder("<"))
        return array.astype(dtype, copy=False).reshape(dims)

    def _external(self, tensor, n_bytes):
        """Return the bytes of an array that lies in a file of its own."""
        entries = {entry.key: entry.value for entry in tensor.external_data}
        path = self._path_within(tensor, entries.get("location", ""))
        texts = entries.get("offset", "0"), entries.get("length", str(n_bytes))
        if not all(text.isascii() and text.isdigit() and len(text) < 20 for text in texts):
            raise _refused(tensor, f"lies at offset {texts[0]!r} with length {texts[1]!r} of a file.", _EXPORT)
        offset, length = map(int, texts)
        size = os.path.getsize(path)
        if length != n_bytes or offset + length > size:
            raise _refused(
                tensor,
                f"takes {length:,} bytes from {offset:,} on of '{path.name}', which has {size:,}; its shape "
                f"{tuple(tensor.dims)} needs {n_bytes:,}.",
                _EXPORT,
            )
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read(n_bytes)

    def _path_within(self, tensor, location):
        """Return the path of a file of weights, which must be an ordinary file in the model's folder."""
        try:
            path = (self.folder / location).resolve(strict=True)
            inside = bool(location) and path.is_relative_to(self.folder.resolve())
            is_file = stat.S_ISREG(path.stat().st_mode)
        except (OSError, ValueError, RuntimeError, TypeError):  # a name that no file can have, or links in a circle
            raise _refused(
                tensor, f"lies in the file {location!r}, which is not there.", f"Put it into '{self.folder}'."
            ) from None
        if not inside or not is_file:
            raise _refused(
                tensor,
                f"lies in {location!r}, which is {'not an ordinary file' if inside else 'outside of the folder of the model'}.",
                f"Only files in '{self.folder}' are read: copy it there, or save the model in one file.",
            )
        return path


_EXPORT = "The file is damaged: export the model again."


def _from_field(tensor, values, dtype):
    """Return the values that stand in the message itself."""
    if dtype == np.float16:  # as the bits of 16-bit numbers
        return np.array(values, dtype=np.int64).astype(np.uint16).view(np.float16)
    return np.array(values).astype(dtype)


def _refused(tensor, message, fix):
    """Return the error for an array of the file."""
    return ConversionError(f"The array {tensor.name[:200]!r} {message} {fix}")
