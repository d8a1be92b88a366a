"""Describe a network and a run in plain values, which are kept with the result."""

import os
import sysconfig
from collections.abc import Mapping
from importlib.metadata import version

import numpy as np
from brian2.units.fundamentalunits import get_unit_for_display

import brainsnn
from brainsnn.builders.devices.compiler_command import compiler_version
from brainsnn.builders.network.constants import settable_constants
from brainsnn.results.description import PopulationModel
from brainsnn.system.versions import installed_versions

__all__ = ["model_descriptions", "run_settings", "saturation_fixes"]


def model_descriptions(models):
    """
    Describe the equations of populations.

    Parameters
    ----------
    models : dict of str to `~brainsnn.equations.model.NeuronModel`

    Returns
    -------
    descriptions : dict of str to `~brainsnn.results.description.PopulationModel`
    """
    return {
        name: PopulationModel(
            text=str(model),
            threshold=model.threshold,
            constants={constant: float(model.constants[constant]) for constant in settable_constants(model)},
            units={variable: str(get_unit_for_display(eq.dim)) for variable, eq in model.brian_equations.items()},
        )
        for name, model in models.items()
    }


def run_settings(snn, trials, images, seed, onset, offset, background):
    """
    Describe how trials are run.

    Parameters
    ----------
    snn : `~brainsnn.builders.spiking_network.SpikingNetwork`
    trials : `~brainsnn.builders.trials.trials.Trials`
    images, seed, onset, offset, background : object
        As they were given to `~brainsnn.builders.spiking_network.SpikingNetwork.run`.

    Returns
    -------
    settings : dict
        Texts, numbers and lists; times in seconds. ``parameters`` holds the value of each per-neuron parameter in this run, or
        its smallest and largest value, without those that the image or its cue sets. An array of backgrounds is described by
        its shape, the images by shape and range. ``network`` holds the tables that ``print(snn.graph)`` shows, ``versions``
        those of Python, packages, compiler and operating system.
    """
    if background is not None:
        background = (
            np.asarray(background).item() if np.ndim(background) == 0 else f"array of shape {np.shape(background)}"
        )
    return {
        "brainsnn": brainsnn.__version__, "brian2": version("brian2"), "device": snn.device, "threads": snn._backend.threads,
        "dtype": snn.dtype.name, "schedule": snn.schedule, "connectivity": snn.connectivity, "encoder": snn.encoder,
        "dt": snn.dt, "duration": trials.n_steps * snn.dt, "n_images": trials.n_trials, "replays_spikes": bool(trials.trains),
        "seed": np.asarray(seed).tolist(), "onset": _seconds(onset), "offset": _seconds(offset),
        "background": background,
        "feedback": None if snn.feedback is None else str(snn.feedback),
        "gate": None if snn.feedback is None else repr(snn.feedback), "attention": _attention(snn._attended),
        "model": snn.graph.name, "parameters": _parameters(snn, {*trials.shared, *trials.per_trial}),
        "input": _input(images), "network": snn._network_tables, "versions": _versions(snn.device),
    }  # fmt: skip


def _input(images):
    """Describe the images of a run: the shape of one, and the smallest and the largest value of all."""
    if images is None:
        return None
    images = np.asarray(images)
    return {"shape": list(images.shape[1:]), "smallest": float(images.min()), "largest": float(images.max())}


def _versions(device):
    """Return the versions of what runs here. Brian2 compiles code for the runtime device with the compiler of Python."""
    own = (sysconfig.get_config_var("CXX") if device == "runtime" else None) or "c++"
    return {
        "brainsnn": brainsnn.__version__, "brian2": version("brian2"), **installed_versions(),
        "C++ compiler": compiler_version(os.environ.get("CXX") or own),
    }  # fmt: skip


def _seconds(time):
    return None if time is None else np.asarray(time, dtype=float).tolist()


def _attention(attended):
    """Describe attention: the mechanisms and the field, its centers, the populations, and when it is on."""
    attention = attended.attention
    if attention is None:
        return None
    center = getattr(attention.field, "center", None)
    return {
        "text": str(attention), "strengths": {name: _plain(strength) for name, strength in attention.strengths.items()},
        "center": None if center is None else np.asarray(center).tolist(), "layers": attended.layers,
        "onset": _seconds(attention.onset), "offset": _seconds(attention.offset),
    }  # fmt: skip


def _plain(strength):
    return {name: float(a) for name, a in strength.items()} if isinstance(strength, Mapping) else float(strength)


def _parameters(snn, set_by_image):
    found = {}
    for name, parameters in snn.parameters.items():
        for parameter in parameters:
            if (name, parameter) in set_by_image:
                continue
            values = snn._read(name, parameter)
            low, high = float(values.min()), float(values.max())
            found.setdefault(name, {})[parameter] = low if low == high else [low, high]
    return found


def saturation_fixes(names, models):
    """
    Say what can be done about neurons that spike in every step.

    Parameters
    ----------
    names : list of str
        Spiking populations, without the input, whose spikes are drawn or replayed.
    models : dict of str to `~brainsnn.equations.model.NeuronModel`

    Returns
    -------
    fixes : dict of str to list of str
        By population.
    """
    found = {}
    for name in names:
        model = models[name]
        found[name] = ["scale the activations of the layer down"]
        if not model.update:  # a step of a discrete map has no length
            found[name].append("use a shorter dt")
        if not {"m_f", "m_f_rest"}.isdisjoint(model.neuron_parameters):
            found[name].append("raise m_f")
        elif model.threshold_parameter is not None:
            found[name].append("raise the threshold of the layer")
    return found
