"""Names of layers in attention, replaced by those of their populations."""

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["by_population"]


def by_population(values: Mapping[str, Any], name_of: Callable[[str], str], about: str) -> dict[str, Any]:
    """
    Return a mapping with the names of layers replaced by those of their populations.

    Parameters
    ----------
    values : dict of str to object
        By name of a layer.
    name_of : callable
        Maps a layer's name to the name of its population.
    about : str
        What the values are, for the error message.

    Raises
    ------
    ValueError
        If two names mean the same population.
    """
    layers: dict[str, str] = {}
    for layer in values:
        other = layers.setdefault(name_of(layer), layer)
        if other != layer:
            raise ValueError(f"{about}: {other!r} and {layer!r} are both {name_of(layer)!r}; give one of them.")
    return {name: values[layer] for name, layer in layers.items()}
