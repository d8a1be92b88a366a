"""Checks of what is given to the analyses, with errors that say what is allowed."""

import numpy as np
from brian2 import Quantity, have_same_dimensions

from brainsnn.plain_arrays import is_number, plain_array, truth_values, whole_numbers

__all__ = ["check_masks", "check_pair", "check_range", "known_groups", "part_of_trial", "scores_and_targets"]


def check_range(what, value, low=-np.inf, high=np.inf, allowed="a number"):
    """
    Check that a number is not NaN, has no unit and lies in a range.

    Parameters
    ----------
    what : str
        Function and name of the value, for the error message.
    value : float
    low, high : float
        Smallest and largest value.
    allowed : str
        What is allowed, for the error message.

    Raises
    ------
    ValueError
        If it does not.
    """
    if isinstance(value, Quantity) and not have_same_dimensions(value, 1):
        raise ValueError(f"{what}={value} must be {allowed}, without a unit; times are in ms, such as 100 for 100*ms.")
    is_infinite = isinstance(value, float | np.floating) and abs(value) == np.inf
    if not (is_infinite or is_number(value)) or not low <= value <= high:
        raise ValueError(f"{what}={value!r} must be {allowed}.")


def check_pair(what, pair, example, whole=False):
    """
    Return two numbers, such as the first and last time of a baseline.

    Parameters
    ----------
    what : str
        Function and name of the pair, for the error message.
    pair : (float, float)
    example : str
        What is allowed, for the error message.
    whole : bool, optional
        Whether they must be whole.

    Returns
    -------
    first, last : float or int

    Raises
    ------
    ValueError
        If it is something else.
    """
    values = list(pair) if isinstance(pair, list | tuple | np.ndarray) else []
    if len(values) != 2 or not all(is_number(value) and (not whole or value == int(value)) for value in values):
        raise ValueError(f"{what}={pair!r} must be two {'whole ' * whole}numbers without a unit, such as {example}.")
    return [int(value) for value in values] if whole else values


def known_groups(what, groups):
    """
    Return the group of each item, such as its class, after a check that none is missing: NaN is not even equal to itself.

    Parameters
    ----------
    what : str
        Function and name of the groups, for the error message.
    groups : (n,) array_like

    Returns
    -------
    groups : (n,) ndarray

    Raises
    ------
    ValueError
        If a group is None or NaN.
    """
    from pandas import isna

    found = plain_array(groups, what)
    missing = isna(np.asarray(groups, dtype=object)) if found.dtype.kind not in "biu" else np.zeros(1, dtype=bool)
    if missing.any():  # asked before numpy makes texts of them
        raise ValueError(
            f"{what} has no value for {missing.sum()} of {found.size} items (None or NaN); name their group, or leave these "
            "items out."
        )
    return found


def part_of_trial(layer, start, stop, dt, n_steps):
    """
    Return the steps of a part of a trial.

    Parameters
    ----------
    layer : str
        For the error message.
    start, stop : float
        In ms. ``stop=None`` is the end of the trial.
    dt : float
        Time step in seconds.
    n_steps : int

    Returns
    -------
    first, last : int
        The first step, and the one after the last.

    Raises
    ------
    ValueError
        If the part holds no step, or does not lie in the trial, or a time is not a number.
    """
    for name, time in (("start", start), ("stop", stop)):
        if time is not None or name == "start":
            check_range(f"{layer}: {name}", time, allowed="a number in ms")
    if not is_number(dt, above=0):
        raise ValueError(f"{layer}: dt={dt!r} must be a positive number of seconds, without a unit, such as dt=1e-3.")
    first = np.ceil(start / (dt * 1e3) - 1e-9)
    last = n_steps if stop is None else np.ceil(stop / (dt * 1e3) - 1e-9)
    if not 0 <= first < last <= n_steps:
        raise ValueError(
            f"{layer}: start={start} and stop={stop} must delimit a part of the trial, 0 to {n_steps * dt * 1e3:g} ms, of one "
            "step or more."
        )
    return int(first), int(last)


def scores_and_targets(function, scores, targets):
    """
    Check outputs and the class of each image.

    Parameters
    ----------
    function : str
        Name of the function, for the error messages.
    scores : (n, n_classes) array_like
    targets : (n,) array_like of int

    Returns
    -------
    scores : (n, n_classes) ndarray of float
    targets : (n,) ndarray of int

    Raises
    ------
    ValueError
        If there is no image, a shape is wrong, an output is NaN, or a target is not one of the classes.
    """
    scores, targets = plain_array(scores, f"{function}: scores", float), plain_array(targets, f"{function}: targets")
    if scores.ndim != 2 or scores.size == 0 or targets.shape != scores.shape[:1]:
        raise ValueError(
            f"{function}: expected scores of shape (n, n_classes) and n targets for one image or more, got the shapes "
            f"{scores.shape} and {targets.shape}."
        )
    if np.isnan(scores).any():
        raise ValueError(
            f"{function}: the scores of {np.isnan(scores).any(axis=1).sum()} of {len(scores)} images contain NaN. "
            "Exclude these images."
        )
    return scores, whole_numbers(targets, f"{function}: targets", scores.shape[1], "classes")


def check_masks(function, masks, n_images, shape):
    """
    Return masks, after a check that there is one of the size of a layer for each image.

    Parameters
    ----------
    function : str
        Name of the function, for the error message.
    masks : (n, H, W) array_like of bool or None
    n_images : int
    shape : tuple of int
        (H, W, C) of the layer.

    Returns
    -------
    masks : (n, H, W) ndarray of bool or None

    Raises
    ------
    ValueError
        If the masks have another shape, or other values than true and false.
    """
    if masks is None:
        return None
    masks = truth_values(masks, f"{function}: masks")
    if masks.shape != (n_images, *shape[:2]):
        raise ValueError(
            f"{function}: masks must have the shape {(n_images, *shape[:2])}, one for each image, got {masks.shape}."
        )
    return masks
