"""Settings of a trained network other than its weights: thresholds, leak and squashing function."""

import json
from os import PathLike
from typing import Any

from brainsnn.feedback.gate_equations import SQUASHES
from brainsnn.files import check_file, checked_path
from brainsnn.plain_arrays import is_number
from brainsnn.shipped import shipped_path

__all__ = ["read_settings"]


def read_settings(path: str | PathLike[str]) -> dict[str, Any]:
    """
    Read the settings that `brainsnn.training.train_predictive` writes next to a checkpoint.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        The ``.keras`` file, the ``.json`` itself, or the name of a shipped network.

    Returns
    -------
    settings : dict
        ``thresholds`` (dict of layer to threshold), ``leak``, ``steps``, ``squash``, ``squash_step``, ``epsilon`` (None if
        training had no gate) and other settings of the training. ``gate_squash``, if given, is that of the gate.

    Raises
    ------
    FileNotFoundError
        If the JSON file does not exist.
    ValueError
        If it is damaged, or contains no thresholds.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.feedback import read_settings
    >>> settings, model = read_settings("digits_plain_if"), bs.load_model("digits_plain_if")
    >>> snn = bs.convert(model, neuron=bs.IF(leak=settings["leak"]), thresholds=settings["thresholds"])
    """
    file = checked_path(shipped_path(path), "read_settings: path", is_file=True).with_suffix(".json")
    if not file.exists():
        raise FileNotFoundError(
            f"read_settings: {str(file)!r} does not exist. python -m brainsnn.training.train_predictive writes it with each "
            "checkpoint; copy it together with the checkpoint."
        )
    check_file(file, "read_settings")
    try:
        settings = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"read_settings: {str(file)!r} is damaged or not JSON ({error}). Give the file that train_predictive wrote."
        ) from None
    if not isinstance(settings, dict) or "thresholds" not in settings:
        raise ValueError(
            f"read_settings: {str(file)!r} has no entry 'thresholds'; give the file that train_predictive wrote."
        )
    _check(settings, file)
    return settings


def _check(settings, file):
    """Refuse settings that networks cannot use."""

    def refuse(name, value, expected):
        """Raise the error for a wrong setting."""
        raise ValueError(f"read_settings: {str(file)!r} is damaged: {name} is {value!r:.100}, not {expected}.")

    if not isinstance(settings["thresholds"], dict):
        refuse("'thresholds'", settings["thresholds"], "a dict of layer to threshold")
    for layer, value in settings["thresholds"].items():
        if not is_number(value, above=0):
            refuse(f"the threshold of {layer!r}", value, "a number greater than 0")
    for name in ("leak", "steps", "squash_step", "epsilon"):
        if name in settings and not is_number(settings[name]) and not (name == "epsilon" and settings[name] is None):
            refuse(repr(name), settings[name], "a number")
    for name in ("squash", "gate_squash"):
        if settings.get(name, "clip") not in list(SQUASHES):
            refuse(repr(name), settings[name], f"one of {', '.join(map(repr, SQUASHES))}")
