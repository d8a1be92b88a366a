"""Networks that were trained as spiking networks: their thresholds, leak and gate, from the file beside their weights."""

from pathlib import Path
from typing import Any

import typer

from brainsnn.command_line.values import neuron_model
from brainsnn.shipped import shipped_path

__all__ = ["convert_options"]


def convert_options(model: str, neuron: str | None, is_calibrated: bool, gate: str | None) -> dict[str, Any]:
    """
    Return the neurons of a network, and its thresholds and gate if it was trained with them.

    Parameters
    ----------
    model : str
        Name of a shipped network, or a file.
    neuron : str or None
        What ``--neuron`` says.
    is_calibrated : bool
        Whether ``--calibrate`` is given.
    gate : str or None
        What ``--gate`` says.

    Returns
    -------
    options : dict
        Arguments of `brainsnn.convert`: ``neuron``; ``thresholds`` and ``feedback`` of a trained spiking network.

    Raises
    ------
    typer.BadParameter
        If options do not go with each other or with the network.
    """
    from brainsnn.feedback import GATE_MODES
    from brainsnn.feedback.settings import OUTPUT, has_settings, read_settings, trained_options

    chosen = {"neuron": neuron_model(neuron)}
    if gate is not None and gate not in GATE_MODES:
        raise typer.BadParameter(f"{gate!r} must be one of {', '.join(GATE_MODES)}.", param_hint="--gate")
    path = Path(shipped_path(model))
    thresholds = read_settings(path)["thresholds"] if has_settings(path) else {}
    if gate is not None and OUTPUT not in thresholds:
        raise typer.BadParameter(
            f"{model!r} was not trained as a spiking network with feedback, as digits_feedback_if was. A gate of your own "
            "needs Python: brainsnn.PredictiveGate.",
            param_hint="--gate",
        )
    if not thresholds:
        return chosen
    name = path.with_suffix(".json").name
    if is_calibrated:
        if gate is not None:
            raise typer.BadParameter(
                "a gate needs the thresholds of the training. Leave --calibrate out.", param_hint="--gate"
            )
        typer.echo(f"Calibrated on images, so the thresholds of {name} are not used.", err=True)
        return chosen
    if neuron is not None:
        raise typer.BadParameter(
            f"{model!r} was trained with neurons of its own, whose thresholds are in {name}. Leave --neuron out, or add "
            "--calibrate to use it as a ReLU network.",
            param_hint="--neuron",
        )
    options = trained_options(path, gate)
    said = "" if gate is None else f", gate {gate!r}"
    typer.echo(f"Neurons and thresholds of {name}: {options['neuron'].name}{said}.", err=True)
    return options
