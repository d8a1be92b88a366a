"""Stop the building of a Keras model before it allocates more weights than its file can hold."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from unittest import mock

from brainsnn.memory import check_size, shown_bytes
from brainsnn.training.keras_layers import ModelFileError

__all__ = ["weight_limit"]

#: A model may have so many bytes of weights that its file does not hold; the error that compares them says more.
ALLOWED = 256 * 2**20

_ACTIVE: ContextVar["_Count | None"] = ContextVar("weight_limit", default=None)


class _Count:
    """Bytes of weights so far, and how many are allowed."""

    def __init__(self, limit, n_in_file):
        self.n_bytes, self.limit, self.n_in_file = 0, limit, n_in_file

    def add(self, layer, shape, dtype):
        """Count a weight before it is allocated, or refuse it."""
        self.n_bytes += math.prod(shape) * (8 if str(dtype or layer.variable_dtype).endswith("64") else 4)
        what = f"Layer {layer.name!r} ({type(layer).__name__}): with its weights of the shape {tuple(shape)}, the model"
        check_size(self.n_bytes, self.limit, what, ModelFileError)
        if self.n_bytes > max(2 * self.n_in_file, ALLOWED):  # a file may hold halves of float32
            raise ModelFileError(
                f"{what} takes {shown_bytes(self.n_bytes)}, and the file holds {shown_bytes(self.n_in_file)} of weights: they "
                "belong to another model, or the configuration is damaged. Use the weights that were saved with this model."
            )


@contextmanager
def weight_limit(limit: int, n_in_file: int) -> Iterator[None]:
    """
    Count the weights that Keras layers create within, in this thread, and refuse too many.

    Parameters
    ----------
    limit : int
        Bytes that all weights together may take.
    n_in_file : int
        Bytes of the weights in the file.

    Raises
    ------
    ModelFileError
        Within, before the weight that is too much is allocated. The message names its layer.
    """
    import keras

    create = keras.layers.Layer.add_weight

    def add_weight(layer, shape=None, initializer=None, dtype=None, *arguments, **keywords):
        """Count a weight, then create it as Keras does."""
        count = _ACTIVE.get()
        if count is not None and isinstance(shape, (tuple, list)) and all(isinstance(n, int) for n in shape):
            count.add(layer, shape, dtype)
        return create(layer, shape, initializer, dtype, *arguments, **keywords)

    token = _ACTIVE.set(_Count(limit, n_in_file))
    try:
        with mock.patch.object(keras.layers.Layer, "add_weight", add_weight):
            yield
    finally:
        _ACTIVE.reset(token)
