"""Square windows that slide along the longer side of a photograph, and what of each object they hold."""

import math

import numpy as np

from brainsnn.plain_arrays import truth_values

__all__ = ["MIN_AREA", "areas_in_windows", "multi_window", "single_window"]

#: Smallest area of an object, as a share of the window.
MIN_AREA = 0.005
#: Share of a target's mask that the window must hold.
MIN_INSIDE = 0.8
#: Diameter of the central disc that a target must not touch, as a share of the window's side.
DISC = 0.05


def _windows(mask):
    """Return a mask with its longer side as columns, the side of the windows, and their number."""
    mask = mask.T if mask.shape[0] > mask.shape[1] else mask
    side, length = mask.shape
    return mask, side, max(length - side, 1)


def areas_in_windows(mask):
    """
    Return the area of a mask in each window.

    Parameters
    ----------
    mask : (height, width) ndarray of bool

    Returns
    -------
    areas : (n_windows,) ndarray of int
        Pixels in the window at offset 0, 1, ... along the longer side, up to the difference of the sides less 1 (as published);
        a square has one window, all of it.

    Raises
    ------
    ValueError
        If the mask holds other values than true and false.

    Examples
    --------
    >>> import numpy as np
    >>> areas_in_windows(np.array([[1, 1, 0, 0, 1], [1, 0, 0, 0, 1]], dtype=bool))
    array([3, 1, 0])
    """
    mask, side, n = _windows(truth_values(mask, "areas_in_windows: mask"))
    total = np.concatenate([[0], np.cumsum(mask.sum(axis=0))])
    return total[side : side + n] - total[:n]


def _touches_disc(mask):
    """Return for each window whether a mask touches the disc at its centre, (n_windows,) bool."""
    mask, side, n = _windows(mask)
    diameter = math.ceil(DISC * side)
    places = np.arange(side) + 0.5 - side / 2
    disc = places[:, None] ** 2 + places**2 <= (diameter / 2) ** 2
    if not disc.any():  # a window of few pixels
        return np.zeros(n, dtype=bool)
    first = int(np.flatnonzero(disc.any(axis=0))[0])
    block = slice(first, side - first)
    part, disc = mask[block], disc[block, block]
    views = np.lib.stride_tricks.sliding_window_view(part, disc.shape)[0]
    return (views & disc)[first : first + n].any(axis=(1, 2))


def multi_window(masks, random, min_area=MIN_AREA):
    """
    Draw one of the windows that hold most objects: the rule for training pictures.

    Parameters
    ----------
    masks : list of (height, width) ndarray of bool
        At least one, all of the same photograph.
    random : `numpy.random.Generator`
    min_area : float, optional
        An object counts if its area in the window is at least this share of the window.

    Returns
    -------
    offset : int or None
        None if no window holds one.
    inside : list of int
        Which objects it holds.
    """
    side = min(masks[0].shape)
    visible = np.array([areas_in_windows(mask) for mask in masks]) >= min_area * side**2
    score = visible.sum(axis=0)
    if not score.any():
        return None, []
    offset = int(random.choice(np.flatnonzero(score == score.max())))
    return offset, np.flatnonzero(visible[:, offset]).tolist()


def single_window(masks, random, min_area=MIN_AREA):
    """
    Draw a window with exactly one object of a category: the rule for test pictures.

    Parameters
    ----------
    masks : list of (height, width) ndarray of bool
        Objects of the category, at least one.
    random : `numpy.random.Generator`
    min_area : float, optional
        See `multi_window`.

    Returns
    -------
    offset : int or None
        None if there is none. Four fifths of the object's mask are in the window (not required of square photographs), and it
        does not touch a disc at the centre, whose diameter is 5% of the side.
    target : int or None
        Which object it holds.
    """
    height, width = masks[0].shape
    areas = np.array([areas_in_windows(mask) for mask in masks])
    visible = areas >= min_area * min(height, width) ** 2
    valid = visible.sum(axis=0) == 1
    for k, mask in enumerate(masks):
        own = visible[k] & valid
        if own.any():
            kept = areas[k] >= MIN_INSIDE * mask.sum() if height != width else True
            valid &= ~own | (kept & ~_touches_disc(mask))
    if not valid.any():
        return None, None
    offset = int(random.choice(np.flatnonzero(valid)))
    return offset, int(visible[:, offset].argmax())
