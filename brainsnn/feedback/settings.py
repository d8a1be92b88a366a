"""Settings of a trained network other than its weights: thresholds, leak and squashing function."""

import json
from pathlib import Path

__all__ = ["read_settings"]


def read_settings(path):
    """
    Read the settings that `brainsnn.training.train_predictive` writes next to a checkpoint.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        The ``.keras`` file, or the ``.json`` itself.

    Returns
    -------
    settings : dict
        ``thresholds`` (dict of layer to threshold), ``leak``, ``steps``, ``squash``, ``squash_step``, ``epsilon`` and other
        settings of the training.

    Raises
    ------
    FileNotFoundError
        If the JSON file does not exist.
    ValueError
        If it contains no thresholds.

    Examples
    --------
    >>> settings = read_settings("weights/digits_feedback_if.keras")  # doctest: +SKIP
    >>> snn = bs.convert(model, neuron=bs.IF(leak=settings["leak"]), thresholds=settings["thresholds"])  # doctest: +SKIP
    """
    path = Path(path).with_suffix(".json")
    if not path.exists():
        raise FileNotFoundError(
            f"read_settings: {str(path)!r} does not exist. python -m brainsnn.training.train_predictive writes it with each "
            "checkpoint; copy it together with the checkpoint."
        )
    settings = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(settings, dict) or "thresholds" not in settings:
        raise ValueError(
            f"read_settings: {str(path)!r} has no entry 'thresholds'; give the file that train_predictive wrote."
        )
    return settings
