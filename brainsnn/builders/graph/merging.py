"""Affine maps that one layer makes of several: averages, sums of parts, and concatenations."""

from dataclasses import replace

import brainsnn.builders.operators as ops

__all__ = ["add_parts", "average", "concatenate"]


def average(affine, operator, builder, label):
    """Return an average over windows: on membranes if the builder was asked for that and it is possible, else on spikes."""
    pooled = builder.average_membrane(affine, operator, label)
    return builder.apply(affine, operator, label) if pooled is None else pooled


def add_parts(parts, builder, label):
    """Return the sum of affine maps that one call made, each under the label of the call."""
    if len(parts) == 1:
        return parts[0]
    return builder.add([replace(p, layers=p.layers[:-1]) for p in parts], [1] * len(parts), label)


def concatenate(maps, axis, builder, label):
    """
    Return affine maps joined along an axis of (H, W, C).

    Parameters
    ----------
    maps : list of AffineMap
        Equal in shape, but for this axis.
    axis : {0, 1, 2}
    builder : GraphBuilder
    label : str
        Name of the call.

    Returns
    -------
    AffineMap
    """
    total = sum(affine.shape[axis] for affine in maps)
    parts, offset = [], 0
    for affine in maps:
        if axis == 2:
            operator = ops.channel_embed(affine.shape, offset, total)
        else:
            edges = [(0, 0), (0, 0)]
            edges[axis] = (offset, total - offset - affine.shape[axis])
            operator = ops.zero_pad(affine.shape, edges)
        parts.append(builder.apply(affine, operator, label))
        offset += affine.shape[axis]
    return add_parts(parts, builder, label)
