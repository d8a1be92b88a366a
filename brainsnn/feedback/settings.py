"""What belongs to a trained network besides its weights: thresholds, leak, squash."""

import json
from os import PathLike
from pathlib import Path
from typing import Any

__all__ = ["read_settings"]


def read_settings(path: str | PathLike[str]) -> dict[str, Any]:
    """
    Read the JSON that `brainsnn.training.train_predictive` writes beside a checkpoint.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        The ``.keras`` file, or the ``.json`` itself.

    Returns
    -------
    settings : dict
        ``thresholds`` (dict of layer to threshold), ``leak``, ``steps``, ``squash``, ``squash_step``, ``epsilon`` and what
        else the training noted.

    Raises
    ------
    FileNotFoundError
        If there is no such JSON.
    ValueError
        If it holds no thresholds.

    Examples
    --------
    >>> settings = read_settings("weights/digits_feedback_if.keras")  # doctest: +SKIP
    >>> snn = bs.convert(model, neuron=bs.IF(leak=settings["leak"]), thresholds=settings["thresholds"])  # doctest: +SKIP
    """
    path = Path(path).with_suffix(".json")
    if not path.exists():
        raise FileNotFoundError(
            f"read_settings: there is no {str(path)!r}; python -m brainsnn.training.train_predictive writes one with each "
            "checkpoint."
        )
    settings = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(settings, dict) or "thresholds" not in settings:
        raise ValueError(f"read_settings: {str(path)!r} holds no 'thresholds'.")
    return settings
