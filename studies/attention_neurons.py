"""Figure 1 of Soerensen et al. (2022): what each mechanism does to single neurons, and to the neuron that reads them."""

import keras
import numpy as np
from brian2 import ms
from common import few_neurons

import brainsnn as bs
from brainsnn.equations import spike_height
from brainsnn.training.asn_transfer import ASNTransfer

#: Currents of the transfer functions.
CURRENTS = np.arange(0, 10, 0.25)
#: Panel -> parameters of its three neurons: (gain, factor of the spike height, m_f).
SETTINGS = {
    "input_gain": [(0.833, 1, 0.45), (1, 1, 0.45), (1.278, 1, 0.45)],
    "output_gain": [(1, 0.833, 0.45), (1, 1, 0.45), (1, 1.278, 0.45)],
    "precision": [(1, 1, 0.6), (1, 1, 0.45), (1, 1, 0.2)],
}
LABELS = {
    "input_gain": ["gain 0.833", "gain 1", "gain 1.278"], "output_gain": ["gain 0.833", "gain 1", "gain 1.278"],
    "precision": ["m_f 0.6", "m_f 0.45", "m_f 0.2"],
}  # fmt: skip


def neurons(n_columns):
    """Return a network of one row of neurons for each setting, and a potential that reads each of them."""
    inputs = keras.Input((9, n_columns, 1), name="currents")
    model = keras.Model(inputs, keras.layers.Flatten(name="out")(ASNTransfer(0.45, name="neuron")(inputs)))
    snn = bs.convert(
        model, neuron=bs.ASN(m_f=0.45), schedule="synchronous", dtype="float64",
        readouts={"next": bs.Readout("neuron", "potential")},
        record={"neuron": ["S", "theta", "spikes"], "next": ["S"]},
    )  # fmt: skip
    settings = np.array([setting for panel in SETTINGS.values() for setting in panel])[:, None, None, :]
    gain, factor, m_f = (settings[..., k] for k in range(3))
    snn.set_parameters("neuron", gain=gain, m_f=m_f, h=factor * spike_height(m_f))
    return snn


def by_setting(values):
    """Return (9, ...) values as panel -> list of three."""
    return {name: list(values[3 * k : 3 * k + 3]) for k, name in enumerate(SETTINGS)}


def transfer_curves(duration_ms=750, start=250):
    """Return panel -> (3, n_currents) mean and standard deviation over time of the potential of the next neuron."""
    with few_neurons():
        snn = neurons(len(CURRENTS))
        images = np.broadcast_to(CURRENTS[:, None], (1, 9, len(CURRENTS), 1))
        result = snn.run(images, duration=duration_ms * ms)
    late = result.states["next"]["S"][0, start:].reshape(-1, 9, len(CURRENTS))
    return by_setting(np.moveaxis(np.array([late.mean(axis=0), late.std(axis=0)]), 0, 1))


def traces(duration_ms=150, onset=25, offset=100):
    """Return panel -> three dicts of S, theta, spike times and the S of the next neuron, for a current of 1."""
    with few_neurons():
        snn = neurons(1)
        result = snn.run(np.ones((1, 9, 1, 1)), duration=duration_ms * ms, onset=onset * ms, offset=offset * ms)
    neuron, raster = result.states["neuron"], result.raster("neuron")[0].reshape(duration_ms, 9)
    rows = [
        {"S": neuron["S"][0, :, k], "theta": neuron["theta"][0, :, k], "spikes": np.flatnonzero(raster[:, k]),
         "next": result.states["next"]["S"][0, :, k]}
        for k in range(9)
    ]  # fmt: skip
    return by_setting(rows)
