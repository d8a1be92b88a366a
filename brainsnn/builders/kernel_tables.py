"""Which kernel tap connects which source row (or column) to which target row (or column), as tables for the templates."""

import numpy as np

__all__ = ["axis_pairs", "source_table", "target_table", "contiguous_runs"]


def axis_pairs(n_source, n_target, taps, stride, up):
    """
    All (source, target, tap) of one axis with ``target*stride + taps[tap] == source*up``.

    Parameters
    ----------
    n_source, n_target : int
        Sizes of the axis.
    taps : (n_taps,) ndarray of int
        Offset of each kernel tap.
    stride, up : int
        Stride of the convolution, and of the transposed convolution.

    Returns
    -------
    pairs : (n_pairs, 3) ndarray of int
        Columns source, target, tap; sorted by source, then by target.
    """
    target, tap = np.meshgrid(np.arange(n_target), np.arange(len(taps)), indexing="ij")
    position = target * stride + np.asarray(taps)[tap]
    valid = (position % up == 0) & (position >= 0) & (position // up < n_source)
    pairs = np.stack([position[valid] // up, target[valid], tap[valid]], axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _first_of_each(keys, n):
    """Index of the first row of each key in a sorted list of keys, (n + 1,)."""
    return np.searchsorted(keys, np.arange(n + 1))


def source_table(n_source, n_target, taps, stride, up):
    """
    For every source row, the target rows that it reaches and the taps that it uses.

    Parameters
    ----------
    n_source, n_target, taps, stride, up
        See `axis_pairs`.

    Returns
    -------
    first, target, tap : ndarray of int32
        Source ``s`` owns the entries ``first[s]`` to ``first[s + 1] - 1`` of ``target`` and ``tap``.
    """
    pairs = axis_pairs(n_source, n_target, taps, stride, up)
    return tuple(a.astype(np.int32) for a in (_first_of_each(pairs[:, 0], n_source), pairs[:, 1], pairs[:, 2]))


def target_table(n_source, n_target, taps, stride, up):
    """
    For every target row, the source rows that it reads and the taps that it uses.

    Parameters
    ----------
    n_source, n_target, taps, stride, up
        See `axis_pairs`.

    Returns
    -------
    first, source, tap : ndarray of int32
    """
    pairs = axis_pairs(n_source, n_target, taps, stride, up)
    pairs = pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]
    return tuple(a.astype(np.int32) for a in (_first_of_each(pairs[:, 1], n_target), pairs[:, 0], pairs[:, 2]))


def contiguous_runs(n_source, n_target, taps, stride, up):
    """
    The source table of the columns, with neighbouring targets merged into runs.

    A source column reaches its targets with descending taps, ``stride`` apart. Stored in that order, the weights of
    neighbouring targets are neighbours too, and one run of the table is one stretch of memory on both sides.

    Parameters
    ----------
    n_source, n_target, taps, stride, up
        See `axis_pairs`.

    Returns
    -------
    order : (n_taps,) ndarray of int
        Order in which the taps are to be stored.
    first, target, tap, length : ndarray of int32
        Source ``s`` owns the runs ``first[s]`` to ``first[s + 1] - 1``; a run starts at a target column and at a
        stored tap and goes on for ``length`` of them.
    """
    taps = np.asarray(taps)
    order = np.lexsort((-taps, taps % stride))
    stored_at = np.empty(len(taps), dtype=int)
    stored_at[order] = np.arange(len(taps))
    pairs = axis_pairs(n_source, n_target, taps, stride, up)
    source, target, tap = pairs[:, 0], pairs[:, 1], stored_at[pairs[:, 2]]
    goes_on = (np.diff(source) == 0) & (np.diff(target) == 1) & (np.diff(tap) == 1)
    starts = np.flatnonzero(np.concatenate([[True], ~goes_on])) if len(pairs) else np.empty(0, dtype=int)
    length = np.diff(np.append(starts, len(pairs)))
    runs = (_first_of_each(source[starts], n_source), target[starts], tap[starts], length)
    return (order, *(a.astype(np.int32) for a in runs))
