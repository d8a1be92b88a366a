"""Neurons with physical units get the same input as neurons without: currents, drawn and replayed spikes, and predictions."""

import keras
import numpy as np
import pytest
from brian2 import pA
from keras import layers

import brainsnn as bs

N_STEPS = 20


def lif_in_amperes():
    """`LIF` whose current is measured in pA and whose spike height has another name."""
    neuron = bs.LIF()
    readout = neuron.readout.edit(
        equations="""
            dS_dyn/dt = (I/(100*pA) - S_dyn)/tau_m : 1
            dI/dt = -I/tau_s : amp
            S = S_dyn + bias/(100*pA) : 1
            bias : amp
        """
    )
    return neuron.edit(
        equations="""
            dv/dt = (I/(100*pA) - v)/tau_m : 1
            dI/dt = -I/tau_s : amp
            S = v + bias/(100*pA) : 1
            v_th : 1
            height : amp
            bias : amp
        """,
        on_pre="I_post += w*height_pre", spike_height="height", attention={}, input_unit=100 * pA, readout=readout,
        parameters={**{k: v for k, v in neuron.parameters.items() if k != "h"}, "height": neuron.parameters["h"] * 100 * pA},
    )  # fmt: skip


@pytest.fixture(scope="module")
def model():
    """A classifier with a layer that predicts the image."""
    x = inputs = layers.Input((5, 4, 1), name="input")
    x = layers.Conv2D(3, 3, padding="same", activation="relu", name="conv")(x)
    prediction = layers.Conv2D(1, 3, padding="same", activation="relu", name="prediction")(x)
    model = keras.Model(inputs, [layers.Dense(2, name="readout")(layers.Flatten()(x)), prediction])
    rng = np.random.default_rng(0)
    for layer in model.layers:
        layer.set_weights([rng.normal(0.2, 0.4, w.shape) for w in layer.get_weights()])
    return model


@pytest.mark.parametrize("connectivity", ["event_driven", pytest.param("synapses", marks=pytest.mark.slow)])
def test_input_spikes_and_predictions(model, connectivity):
    names, images = ["conv", "prediction"], np.random.default_rng(1).uniform(0.2, 1, (2, 5, 4, 1))
    options = {"dtype": "float64", "device": "cpp_standalone", "connectivity": connectivity}
    options |= {"feedback": bs.PredictiveGate(mode="dynamic"), "thresholds": dict.fromkeys(names, 0.1)}
    options |= {"record": {name: ["spikes"] for name in ["input", *names]}}
    plain, units = (bs.convert(model, neuron=neuron, **options) for neuron in (bs.LIF(), lif_in_amperes()))
    spikes = np.random.default_rng(2).choice([0, 1], size=(2, N_STEPS, *images.shape[1:]))
    for given in ({"duration": N_STEPS * bs.ms}, {"spikes": spikes}):
        expected, result = plain.run(images, **given), units.run(images, **given)
        for name in options["record"]:
            assert expected.spike_counts[name].all()
            np.testing.assert_array_equal(result.raster(name), expected.raster(name), err_msg=name)
        assert 0 < expected.gate.mean() < 1
        np.testing.assert_array_equal(result.gate, expected.gate)
        np.testing.assert_allclose(result.predicted_input, expected.predicted_input, rtol=1e-9)
        np.testing.assert_allclose(result.output, expected.output, rtol=1e-9)
