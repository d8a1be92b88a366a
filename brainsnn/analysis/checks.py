"""Checks of what is given to the analyses, with errors that say what is allowed."""

import numpy as np

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
    scores, targets = np.asarray(scores, dtype=float), np.asarray(targets)
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
    if not np.isin(targets, np.arange(scores.shape[1])).all():
        raise ValueError(f"{function}: targets must be classes from 0 to {scores.shape[1] - 1}, got {targets}.")
    return scores, targets.astype(int)


def check_masks(function, masks, n_images, shape):
    """
    Check that there is one mask of the size of a layer for each image.

    Parameters
    ----------
    function : str
        Name of the function, for the error message.
    masks : (n, H, W) array_like of bool or None
    n_images : int
    shape : tuple of int
        (H, W, C) of the layer.

    Raises
    ------
    ValueError
        If the masks have another shape.
    """
    if masks is not None and np.shape(masks) != (n_images, *shape[:2]):
        raise ValueError(
            f"{function}: masks must have the shape {(n_images, *shape[:2])}, one for each image, got {np.shape(masks)}."
        )
