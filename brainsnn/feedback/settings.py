"""What belongs to a trained network besides its weights: thresholds, leak, squash."""

import json
from os import PathLike
from pathlib import Path
from typing import Any

from brainsnn.shipped import shipped_path

__all__ = ["read_settings"]


def read_settings(path: str | PathLike[str]) -> dict[str, Any]:
    """
    Read the JSON that `brainsnn.training.train_predictive` writes beside a checkpoint.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        The ``.keras`` file, or the ``.json`` itself, or the name of a shipped network.

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
    >>> import brainsnn as bs
    >>> from brainsnn.feedback import read_settings
    >>> settings = read_settings("digits_plain_if")
    >>> model = bs.load_model("digits_plain_if")
    >>> snn = bs.convert(model, neuron=bs.IF(leak=settings["leak"]), thresholds=settings["thresholds"])
    """
    file = Path(shipped_path(path)).with_suffix(".json")
    if not file.exists():
        raise FileNotFoundError(
            f"read_settings: there is no {str(file)!r}; python -m brainsnn.training.train_predictive writes one with each "
            "checkpoint."
        )
    settings = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(settings, dict) or "thresholds" not in settings:
        raise ValueError(f"read_settings: {str(file)!r} holds no 'thresholds'.")
    return settings
