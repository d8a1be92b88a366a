"""Checks of what is given to the analyses, with errors that say what is allowed."""

import numpy as np

from brainsnn.plain_arrays import plain_array, truth_values, whole_numbers

__all__ = ["check_masks", "scores_and_targets"]


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
