"""The layers of a residual network that the published experiments attend, and the width of the field in each."""

import math
from collections.abc import Iterable
from typing import Any

from brainsnn.plain_arrays import is_number

__all__ = ["pixel_widths", "residual_layers"]


def residual_layers(graph: Any) -> list[str]:
    """
    List the first spiking layer of each block of a post-activation residual network.

    These layers are attended in Soerensen et al. (2022): in each block that which precedes the addition, not the one after it.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
        As `read_keras` returns it. Layers are found by their connections, whatever their names.

    Returns
    -------
    layers : list of str
        One for each block, in the order of the graph.

    Raises
    ------
    ValueError
        If the network has no block of this kind.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.attention import pixel_widths, residual_layers
    >>> from brainsnn.training import asn_resnet
    >>> graph = bs.read_keras(asn_resnet(18, classes=8, input_shape=(32, 32, 3), width=2))
    >>> residual_layers(graph)[:2]
    ['stage1_block1_asn1', 'stage1_block2_asn1']
    >>> pixel_widths(graph, residual_layers(graph)[2:3], 10)
    {'stage2_block1_asn1': 0.3125}
    """
    sources = {name: [p.source for p in projections] for name, projections in graph.by_target().items()}
    spiking = [name for name, population in graph.populations.items() if population.kind == "spiking"]
    found = []
    for name in spiking:
        if len(sources[name]) == 2 and set(sources[name]) <= set(spiking):
            one, other = sources[name]
            found += [layer for layer in (_first(one, other, sources), _first(other, one, sources)) if layer]
    if not found:
        raise ValueError(
            f"residual_layers: {graph.name!r} has no block of a post-activation residual network, an addition that a "
            "nonlinearity follows. Name the layers to attend yourself: attend(..., layers=[...])."
        )
    return found


def _first(layer: str, block_input: str, sources: dict[str, list[str]]) -> str | None:
    """Return the first layer of a chain that leads from the input of a block to a layer, or None if none does."""
    while len(sources[layer]) == 1:
        (before,) = sources[layer]
        if before == block_input:
            return layer
        layer = before
    return None


def pixel_widths(graph: Any, layers: Iterable[str], pixels: float = 40) -> dict[str, float]:
    """
    Return the width of a field of so many pixels of the image, in whole pixels of each layer.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    layers : iterable of str
        Names of layers, such as those of `residual_layers`.
    pixels : float, optional
        Standard deviation in pixels of the image.

    Returns
    -------
    widths : dict of str to float
        ceil(pixels/stride)/rows for a layer of so many rows, its stride being the rows of the image for each: the ``width`` of
        `SpatialAttention`. As published with the default of 40 pixels of 224: 0.1786, 0.1786, 0.2143, 0.2857 in layers of 56,
        28, 14 and 7 rows.

    Raises
    ------
    ValueError
        If `pixels` is not a positive number, or a layer is not a map of rows and columns of the same number.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.attention import pixel_widths
    >>> pixel_widths(bs.read_keras(bs.load_model("digits")), ["conv1"], pixels=5)
    {'conv1': 0.17857142857142858}
    """
    if not is_number(pixels, above=0):
        raise ValueError(f"pixel_widths: pixels={pixels!r} must be a positive number.")
    size = graph.input.shape[:2]
    widths = {}
    for layer in layers:
        rows, columns = graph.population(layer).shape[:2]
        if size[0] != size[1] or rows != columns:
            raise ValueError(
                f"pixel_widths: layer {layer!r} has {rows} x {columns} neurons, the image {size[0]} x {size[1]} pixels; both "
                "must be square. Give the widths yourself."
            )
        widths[layer] = math.ceil(pixels / (size[0] / rows)) / rows
    return widths
