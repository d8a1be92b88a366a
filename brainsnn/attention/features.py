"""Attention to features."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from brainsnn.attention.fields import Field, Shape
from brainsnn.attention.layer_names import by_population
from brainsnn.plain_arrays import plain_array

__all__ = ["FeatureField"]


class FeatureField(Field):
    """
    Attention to features: one value for each channel of a layer.

    Parameters
    ----------
    values : (C,) or (n_images, C) array_like, or dict of layer name to such arrays
        Non-negative. Layers that a dict does not name are not modulated.

    Raises
    ------
    ValueError
        If a value is negative or not finite.

    See Also
    --------
    ProductField : ``GaussianField(...) * FeatureField(...)`` for features at a location.

    Examples
    --------
    >>> import brainsnn as bs
    >>> field = bs.FeatureField([2, 1, 1, 0])
    >>> field.modulation((5, 5, 4))[0, 0].tolist()  # relative to the mean, at every place
    [1.0, 0.0, 0.0, -1.0]
    """

    def __init__(self, values: ArrayLike | Mapping[str, ArrayLike]) -> None:
        arrays: Mapping[Any, Any] = values if isinstance(values, Mapping) else {None: values}
        self.arrays = {name: plain_array(array, "FeatureField", float).copy() for name, array in arrays.items()}
        self.layers = self.arrays if isinstance(values, Mapping) else None
        for name, array in self.arrays.items():
            where = "FeatureField" if name is None else f"FeatureField[{name!r}]"
            if array.ndim not in (1, 2) or array.size == 0:
                raise ValueError(f"{where}: expected shape (C,) or (n_images, C), got {array.shape}.")
            if not np.isfinite(array).all() or array.min() < 0:
                raise ValueError(
                    f"{where}: values must be finite and not negative, got values from {array.min():g} to {array.max():g}."
                )
        numbers = {len(array) for array in self.arrays.values() if array.ndim == 2}
        if len(numbers) > 1:
            raise ValueError(f"FeatureField: all layers need the same number of images, got {sorted(numbers)}.")
        self.n_images = numbers.pop() if numbers else None

    @property
    def layer_names(self) -> set[str]:
        """Layers that the dict names (set of str)."""
        return set(self.layers or ())

    def envelope(self, shape: Shape, image: int = 0, layer: str | None = None) -> np.ndarray:
        """Return the envelope, (1, 1, C); see `Field.envelope`."""
        if self.layers is not None and layer not in self.arrays:
            return np.ones((1, 1, 1))
        array = self.arrays[layer if self.layers is not None else None]
        array = array[image] if array.ndim == 2 else array
        if len(array) != shape[-1]:
            raise ValueError(
                f"FeatureField: {len(array)} values for the {shape[-1]} channels of layer {layer!r}. Use a dict of layer name "
                "to values, or name the layers to attend in attend(..., layers=[...])."
            )
        return array[None, None, :]

    def for_layers(self, name_of: Callable[[str], str]) -> "FeatureField":
        """Return the field with the names of populations; see `Field.for_layers`."""
        if self.layers is None:
            return self
        return FeatureField(by_population(self.layers, name_of, "FeatureField"))

    def __str__(self) -> str:
        shapes = ", ".join(f"{name or 'all'} {array.shape}" for name, array in self.arrays.items())
        return f"<FeatureField: {shapes}>"
