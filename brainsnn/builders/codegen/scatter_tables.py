"""Tables by source, for templates that scatter: which kernel taps connect which source and target rows (or columns)."""

import numpy as np

__all__ = [
    "axis_pairs", "source_table", "target_table", "contiguous_runs", "panel_width", "panels", "share_rows", "share_columns",
]  # fmt: skip


def axis_pairs(n_source, n_target, taps, stride, input_dilation):
    """
    Return all (source, target, tap) of one axis with ``target*stride + taps[tap] == source*input_dilation``.

    Parameters
    ----------
    n_source, n_target : int
        Sizes of the axis.
    taps : (n_taps,) ndarray of int
        Offset of each kernel tap.
    stride, input_dilation : int
        Stride of the convolution, and of the transposed convolution.

    Returns
    -------
    pairs : (n_pairs, 3) ndarray of int
        Columns source, target, tap; sorted by source, then by target.
    """
    target, tap = np.meshgrid(np.arange(n_target), np.arange(len(taps)), indexing="ij")
    position = target * stride + np.asarray(taps)[tap]
    valid = (position % input_dilation == 0) & (position >= 0) & (position // input_dilation < n_source)
    pairs = np.stack([position[valid] // input_dilation, target[valid], tap[valid]], axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _first_of_each(keys, n):
    """Index of the first row of each key in a sorted list of keys, (n + 1,)."""
    return np.searchsorted(keys, np.arange(n + 1))


def source_table(n_source, n_target, taps, stride, input_dilation):
    """
    Return, for every source row, the target rows that it reaches and the taps that it uses.

    Parameters
    ----------
    n_source, n_target, taps, stride, input_dilation
        See `axis_pairs`.

    Returns
    -------
    first, target, tap : ndarray of int32
        Source ``s`` owns the entries ``first[s]`` to ``first[s + 1] - 1`` of ``target`` and ``tap``.
    """
    pairs = axis_pairs(n_source, n_target, taps, stride, input_dilation)
    return tuple(a.astype(np.int32) for a in (_first_of_each(pairs[:, 0], n_source), pairs[:, 1], pairs[:, 2]))


def target_table(n_source, n_target, taps, stride, input_dilation):
    """
    Return, for every target row, the source rows that it reads and the taps that it uses.

    Parameters
    ----------
    n_source, n_target, taps, stride, input_dilation
        See `axis_pairs`.

    Returns
    -------
    first, source, tap : ndarray of int32
    """
    pairs = axis_pairs(n_source, n_target, taps, stride, input_dilation)
    pairs = pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]
    return tuple(a.astype(np.int32) for a in (_first_of_each(pairs[:, 1], n_target), pairs[:, 0], pairs[:, 2]))


def contiguous_runs(n_source, n_target, taps, stride, input_dilation):
    """
    Return the source table of the columns, with neighbouring targets merged into runs.

    A source column reaches its targets with descending taps, ``stride`` apart. Stored in that order, the weights of
    neighbouring targets are neighbours too, and one run of the table is one stretch of memory on both sides.

    Parameters
    ----------
    n_source, n_target, taps, stride, input_dilation
        See `axis_pairs`.

    Returns
    -------
    first, target, tap, length : ndarray of int32
        Source ``s`` owns the runs ``first[s]`` to ``first[s + 1] - 1``; a run starts at a target column and at a tap,
        counted in the order in which `share_columns` stores them, and covers ``length`` of them.
    """
    taps = np.asarray(taps)
    order = np.lexsort((-taps, taps % stride))
    stored_at = np.empty(len(taps), dtype=int)
    stored_at[order] = np.arange(len(taps))
    pairs = axis_pairs(n_source, n_target, taps, stride, input_dilation)
    source, target, tap = pairs[:, 0], pairs[:, 1], stored_at[pairs[:, 2]]
    goes_on = (np.diff(source) == 0) & (np.diff(target) == 1) & (np.diff(tap) == 1)
    starts = np.flatnonzero(np.concatenate([[True], ~goes_on])) if len(pairs) else np.empty(0, dtype=int)
    length = np.diff(np.append(starts, len(pairs)))
    runs = (_first_of_each(source[starts], n_source), target[starts], tap[starts], length)
    return tuple(a.astype(np.int32) for a in runs)


def share_rows(kernel):
    """
    Find equal rows of a kernel, to store them once; composing with an average pooling repeats each row.

    Parameters
    ----------
    kernel : (n_rows, ...) ndarray

    Returns
    -------
    kept : (n_stored,) ndarray of int
        Rows to store.
    stored_at : (n_rows,) ndarray of int
        Where each row is stored.
    """
    return _share(kernel, [np.array([k]) for k in range(len(kernel))])


def share_columns(kernel, taps, stride, n_target):
    """
    Sort the columns of a kernel as `contiguous_runs` does, and find equal runs, to store them once.

    Parameters
    ----------
    kernel : (n_rows, n_columns, ...) ndarray
    taps : (n_columns,) ndarray of int
    stride, n_target : int
        A single target column has runs of length 1, so that every column can be shared on its own.

    Returns
    -------
    kept : (n_stored,) ndarray of int
        Columns to store, in this order.
    stored_at : (n_columns,) ndarray of int
        Where each column, counted in the order of `contiguous_runs`, is stored. Columns of one run stay neighbours.
    """
    taps = np.asarray(taps)
    order = np.lexsort((-taps, taps % stride))
    cuts = np.flatnonzero(np.diff((taps % stride)[order])) + 1 if n_target > 1 else np.arange(1, len(taps))
    return _share(np.swapaxes(kernel, 0, 1), np.split(order, cuts))


def _share(kernel, parts):
    """Return the rows of the parts of a kernel, equal parts once, and the position of each row of each part among them."""
    kept, starts, stored_at = [], [], []
    for part in parts:
        equal = (start for other, start in zip(kept, starts) if _are_equal(kernel, other, part))
        start = next(equal, None)
        if start is None:
            start = sum(map(len, kept))
            kept.append(part)
            starts.append(start)
        stored_at.append(start + np.arange(len(part)))
    return np.concatenate(kept), np.concatenate(stored_at)


def _are_equal(kernel, rows, others):
    return len(rows) == len(others) and all(np.array_equal(kernel[a], kernel[b]) for a, b in zip(rows, others))


def panel_width(dtype):
    """Return how many numbers of a type fill a line of the cache (int)."""
    return 64 // np.dtype(dtype).itemsize


def panels(kernel, dtype):
    """
    Store the weights of some output channels together, so that code that keeps these in registers reads on in memory.

    Parameters
    ----------
    kernel : (n_rows, n_columns, n_channels, n_targets) ndarray
    dtype : dtype
        Type in which it is stored.

    Returns
    -------
    kernel : (n_rows, n_columns, n_channels*n_targets) ndarray
        For each panel of `panel_width` output channels, and then for each single one that remains: the weights from all
        input channels, one after the other.
    """
    n_targets, width = kernel.shape[3], panel_width(dtype)
    whole = n_targets // width * width
    bounds = [*range(0, whole, width), *range(whole, n_targets + 1)]
    parts = [kernel[..., first:last].reshape(*kernel.shape[:2], -1) for first, last in zip(bounds, bounds[1:])]
    return np.concatenate(parts, axis=2)
