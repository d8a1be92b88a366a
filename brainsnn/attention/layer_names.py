"""Names of layers in attention: replaced by those of their populations, and checked against the layers that are attended."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["attended_layers", "by_population"]


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


def attended_layers(
    attention: Any, layers: Iterable[str] | None, name_of: Callable[[str], str], spiking: list[str]
) -> tuple[Any, list[str]]:
    """
    Return attention with the names of populations, and the populations that it changes.

    Parameters
    ----------
    attention : `~brainsnn.attention.mechanisms.Attention` or None
    layers : iterable of str, or None for all in ``spiking``
    name_of : callable
        Maps a layer's name to the name of its population.
    spiking : list of str
        All spiking populations.

    Returns
    -------
    attention : `~brainsnn.attention.mechanisms.Attention` or None
    names : list of str

    Raises
    ------
    ValueError
        If ``layers`` is empty, given without attention, or leaves out a layer that the attention names.
    """
    names = (
        spiking if layers is None else [name_of(layer) for layer in ([layers] if isinstance(layers, str) else layers)]
    )
    if attention is None:
        if layers is not None:
            raise ValueError("attend: None removes attention from all layers; leave layers out.")
        return None, []
    if layers is not None and not names:
        raise ValueError("attend: layers names no layer; leave it out for all spiking layers.")
    named = set()

    def noted(layer: str) -> str:
        named.add(name_of(layer))
        return name_of(layer)

    attention = attention.for_layers(noted)
    if left_out := named - {*names}:
        raise ValueError(
            f"attend: the attention is for {', '.join(sorted(left_out))}, but changes only {', '.join(names)}. Name the layer in "
            "layers, or leave it out of the attention."
        )
    return attention, names
