"""Accuracy of the outputs of a result over time."""

import numpy as np

from brainsnn.plain_arrays import plain_array, whole_numbers

__all__ = ["accuracy_over_time"]


def accuracy_over_time(result, labels, window, about):
    """
    Return the fraction of images whose largest output is that of their class; see `~brainsnn.results.result.Result.accuracy`.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    labels : (n,) array_like of int, or None
        Those of the result, if None.
    window : int
    about : str
        Function; the message of an error starts with it.

    Returns
    -------
    accuracy : (n_steps,) ndarray
    """
    if not result.outputs:
        raise ValueError(f"{about}: the result has no readout. Its spikes are in spike_counts and spikes.")
    labels = result.labels if labels is None else labels
    if labels is None:
        raise ValueError(f"{about}: the result has no labels; give labels=..., one class per image.")
    labels, output = plain_array(labels, f"{about}: labels"), np.asarray(result.output, dtype=float)
    n_images, n_steps, n_classes = output.shape
    if labels.shape != (n_images,):
        given = f"{len(labels)} labels" if labels.ndim == 1 else f"labels of shape {labels.shape}"
        raise ValueError(f"{about}: got {given} for {n_images} images; pass one per image.")
    if not isinstance(window, (int, np.integer)) or window < 1:
        raise ValueError(f"{about}: window={window!r} must be a whole number of steps, 1 or greater.")
    labels = whole_numbers(labels, f"{about}: labels", n_classes, "classes")
    if n_images == 0:
        return np.full(n_steps, np.nan)
    if window > 1:
        output = _moving_sum(output, min(int(window), n_steps))
    is_nan = np.logical_or.accumulate(np.isnan(output).any(axis=(0, 2)))
    return np.where(is_nan, np.nan, (output.argmax(axis=-1) == labels[:, None]).mean(axis=0))


def _moving_sum(values, window):
    """Return sums over the last steps up to each step, (n, n_steps, n_classes) ndarray."""
    n, n_steps, n_classes = values.shape
    n_blocks = -(-n_steps // window)
    blocks = np.zeros((n, n_blocks, window, n_classes))
    blocks.reshape(n, -1, n_classes)[:, :n_steps] = values
    # A window is the end of one block and the start of the next. Sums without a difference lose no digits.
    starts = np.cumsum(blocks, axis=2)
    ends = np.cumsum(blocks[:, :, ::-1], axis=2)[:, :, ::-1]
    starts[:, 1:, :-1] += ends[:, :-1, 1:]
    return starts.reshape(n, -1, n_classes)[:, :n_steps]
