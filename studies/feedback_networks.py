"""Trained digit networks with and without feedback, as spiking networks with a gate."""

import brainsnn as bs
from brainsnn.feedback import read_settings

__all__ = ["EPSILON", "load_network", "spiking_network"]

#: Tolerance with which the feedback networks were trained.
EPSILON = 0.1


def load_network(path):
    """
    Load a trained network and its settings as plain values, which need no TensorFlow.

    Parameters
    ----------
    path : `~pathlib.Path`
        Weights that `brainsnn.training.train_predictive` wrote, with their settings beside them.

    Returns
    -------
    network : dict
        ``graph``, ``leak``, ``thresholds``, ``squash``, ``squash_step`` and ``steps``.
    """
    settings = read_settings(path)
    names = ("leak", "thresholds", "squash", "squash_step", "steps")
    return {"graph": bs.read_keras(bs.load_model(path)), **{name: settings[name] for name in names}}


@bs.once
def spiking_network(network, device, mode=None, contrast=False, record=None):
    """
    Return the spiking network of a trained one.

    Parameters
    ----------
    network : dict
        As of `load_network`.
    device : str
    mode : str, optional
        Mode of the gate; by default the network has no feedback.
    contrast : bool, optional
        Whether the gate scales the contrast.
    record : dict, optional

    Returns
    -------
    snn : `brainsnn.SpikingNetwork`
    """
    feedback = None
    if mode is not None:
        feedback = bs.PredictiveGate(
            mode=mode, epsilon=None if mode == "none" else EPSILON, squash=network["squash"],
            squash_step=network["squash_step"], contrast=contrast,
        )  # fmt: skip
    return bs.convert(
        network["graph"], neuron=bs.IF(leak=network["leak"]), thresholds=network["thresholds"], feedback=feedback,
        device=device, record=record, encoder="poisson",
    )  # fmt: skip
