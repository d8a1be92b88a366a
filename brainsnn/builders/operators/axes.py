"""Geometry along one axis: which input position each output position reads."""

import numpy as np

__all__ = ["axis_sources", "axis_slices"]


def axis_sources(taps, stride, input_dilation, n_in, n_out):
    """
    Return the input position that each output position reads through each tap, along one axis.

    Parameters
    ----------
    taps : (n_taps,) array_like of int
        Offset of each tap.
    stride, input_dilation : int
        Output position o reads input position i where ``o*stride + tap == i*input_dilation``.
    n_in, n_out : int
        Extent of the axis in the input and in the output.

    Returns
    -------
    source : (n_out, n_taps) ndarray of int
        The input position, or -1 where the tap reads nothing (padding, or between two up-sampled pixels).

    Examples
    --------
    >>> from brainsnn.builders.operators import axis_sources
    >>> axis_sources([-1, 0, 1], stride=2, input_dilation=1, n_in=4, n_out=2)  # a row of padding above
    array([[-1,  0,  1],
           [ 1,  2,  3]])
    """
    position = np.arange(n_out)[:, None] * stride + np.asarray(taps, dtype=int)[None, :]
    source, rest = np.divmod(position, input_dilation)
    return np.where((rest == 0) & (source >= 0) & (source < n_in), source, -1)


def axis_slices(source):
    """
    Return the positions that each tap along one axis connects, as slices.

    Parameters
    ----------
    source : (n_out, n_taps) ndarray of int
        As returned by `axis_sources`.

    Returns
    -------
    slices : list of (slice, slice) or None
        Output positions and input positions of each tap. None for a tap that reads nothing.
    """
    slices = []
    for column in source.T:
        out = np.flatnonzero(column >= 0)
        if len(out) == 0:
            slices.append(None)
            continue
        # Valid positions form an arithmetic progression on both sides, so slices give views, not copies.
        step_out = int(out[1] - out[0]) if len(out) > 1 else 1
        step_in = int(column[out[1]] - column[out[0]]) if len(out) > 1 else 1
        first_in, last_in = int(column[out[0]]), int(column[out[-1]])
        slices.append((slice(int(out[0]), int(out[-1]) + 1, step_out), slice(first_in, last_in + 1, max(step_in, 1))))
    return slices
