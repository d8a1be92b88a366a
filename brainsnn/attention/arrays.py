"""Attention as any map has it, such as a mask or a saliency map."""

import numpy as np
from numpy.typing import ArrayLike

from brainsnn.attention.fields import Field, Shape
from brainsnn.plain_arrays import plain_array

__all__ = ["ArrayField"]


class ArrayField(Field):
    """
    A field from any map, such as a saliency map, a mask, or another network's output.

    Parameters
    ----------
    values : (H, W), (H, W, C) or (n_images, H, W, C) array_like
        Non-negative. Resized to each layer by averaging over the area of the layer's pixels. C is 1 or the number of
        channels of the layer.

    Raises
    ------
    ValueError
        If the array has another number of axes, or negative or non-finite values.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.attention import ArrayField
    >>> mask = np.zeros((4, 4)); mask[:2, :2] = 1
    >>> ArrayField(mask).modulation((2, 2, 8))[..., 0]
    array([[ 3., -1.],
           [-1., -1.]])
    """

    def __init__(self, values: ArrayLike) -> None:
        values = plain_array(values, "ArrayField", float).copy()
        if values.ndim not in (2, 3, 4) or values.size == 0:
            raise ValueError(
                f"ArrayField: expected shape (H, W), (H, W, C) or (n_images, H, W, C), got {values.shape}. For one (H, W) map "
                "per image, pass maps[..., None]."
            )
        if not np.isfinite(values).all() or values.min() < 0:
            raise ValueError(
                f"ArrayField: values must be finite and not negative, got values from {values.min():g} to {values.max():g}."
            )
        self.values = values[..., None] if values.ndim == 2 else values
        self.n_images = len(values) if values.ndim == 4 else None

    def envelope(self, shape: Shape, image: int = 0, layer: str | None = None) -> np.ndarray:
        """Return the envelope, (H, W, 1) or (H, W, C); see `Field.envelope`."""
        values = self.values if self.n_images is None else self.values[image]
        if values.shape[-1] not in (1, shape[-1]):
            raise ValueError(
                f"ArrayField: {values.shape[-1]} channels for the {shape[-1]} channels of layer {layer!r}. Use one channel, or "
                "attend(..., layers=[...]) with layers of as many channels."
            )
        rows, cols = (_area_weights(n_in, n_out) for n_in, n_out in zip(values.shape[:2], shape[:2]))
        return np.einsum("ij,jkc,lk->ilc", rows, values, cols)

    def __str__(self) -> str:
        return f"<ArrayField: {self.values.shape}>"


def _area_weights(n_in: int, n_out: int) -> np.ndarray:
    """Return the (n_out, n_in) matrix of the fraction of each output pixel that each input pixel covers."""
    edges_in, edges_out = np.arange(n_in + 1) / n_in, np.arange(n_out + 1) / n_out
    low = np.maximum(edges_in[None, :-1], edges_out[:-1, None])
    high = np.minimum(edges_in[None, 1:], edges_out[1:, None])
    overlap = np.maximum(high - low, 0)
    return overlap / overlap.sum(axis=1, keepdims=True)
