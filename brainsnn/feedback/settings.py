"""Settings of a trained network other than its weights: thresholds, leak and squashing function."""

import json
from os import PathLike
from pathlib import Path
from typing import Any

from brainsnn.equations.integrate_and_fire import IF
from brainsnn.feedback.gate import PredictiveGate
from brainsnn.feedback.gate_equations import SQUASHES
from brainsnn.files import check_file, checked_path
from brainsnn.plain_arrays import is_number
from brainsnn.shipped import shipped_path

#: Layer of the networks that `brainsnn.training` trains whose spikes are the prediction.
OUTPUT = "prediction"

__all__ = ["has_settings", "read_settings", "trained_options"]


def trained_options(path: str | PathLike[str], mode: str | None = None) -> dict[str, Any]:
    """
    Return the arguments of `brainsnn.convert` with which a network runs as it was trained.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        As of `read_settings`, which reads them.
    mode : {"sticky", "dynamic", "graded", "none"}, optional
        Mode of the gate, with the tolerance and the squashing function of the training. By default the network has no gate and
        no prediction.

    Returns
    -------
    options : dict
        ``neuron``, ``thresholds`` and, with a mode, ``feedback``.

    Raises
    ------
    FileNotFoundError, ValueError
        As of `read_settings`; if there are no thresholds, since the network was trained as an ANN only; if the mode is unknown,
        or the network has no layer that predicts the input.

    Notes
    -----
    Of networks that were trained with linear layers that spike, as the published ones, read the graph with
    ``read_keras(model, spiking=options["thresholds"])``.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.feedback import trained_options
    >>> model, options = bs.load_model("digits_feedback_if"), trained_options("digits_feedback_if", mode="sticky")
    >>> snn = bs.convert(model, **options)
    >>> snn.feedback.epsilon, snn.models["conv1"].name
    (0.1, 'IF')
    """
    settings = read_settings(path)
    if not settings["thresholds"]:
        raise ValueError(
            f"trained_options: {str(path)!r} has no thresholds. Give the checkpoint of the second stage, the SNN."
        )
    options = {"neuron": IF(leak=settings.get("leak", 1.0)), "thresholds": settings["thresholds"]}
    if mode is not None:
        if OUTPUT not in settings["thresholds"]:
            raise ValueError(
                f"trained_options: {str(path)!r} was trained without a prediction. Leave mode={mode!r} out."
            )
        given = settings.get("epsilon")
        recipe = settings.get("recipe")
        is_strict = isinstance(recipe, dict) and bool(recipe.get("strict_gate", False))
        options["feedback"] = PredictiveGate(
            mode=mode, epsilon=None if mode == "none" else ... if given is None else given,
            squash=settings.get("gate_squash") or settings.get("squash", "clip"), squash_step=settings.get("squash_step"),
            strict=is_strict and mode != "none",
        )  # fmt: skip
    return options


def has_settings(path: str | PathLike[str]) -> bool:
    """
    Return whether a model file has settings of a spiking network beside it, which `read_settings` reads.

    Parameters
    ----------
    path : str or `~pathlib.Path`

    Returns
    -------
    has : bool
        False for other JSON files, such as the configuration of a Keras model.
    """
    file = Path(path).with_suffix(".json")
    if Path(path).suffix.lower() not in (".keras", ".h5", ".hdf5") or not file.is_file():
        return False
    try:
        found = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        return True  # and `read_settings` says what is wrong
    return isinstance(found, dict) and "thresholds" in found


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
            "checkpoint; copy it together with the checkpoint. Networks that were not trained with spikes need none."
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
