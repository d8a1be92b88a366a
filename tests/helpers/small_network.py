"""A small network for the tests of options, and what an option can change in it."""

import keras
import numpy as np

import brainsnn as bs
from brainsnn.builders.trials.inputs import make_trials

__all__ = ["Small", "network_facts", "trial_facts"]

SHAPE, N_STEPS = (4, 4, 1), 6
#: Both attention and thresholds can change it.
NEURON = bs.ASN().edit(threshold_parameter="m_f")
THRESHOLDS = {"conv": 0.5, "prediction": 0.5}


def make_model(seed=0):
    """A layer, average and maximum pooling, and a readout; a second layer predicts the input."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    inputs = keras.Input(SHAPE, name="input")
    x = layers.Conv2D(2, 3, padding="same", activation="linear", name="conv_linear")(inputs)
    x = layers.ReLU(name="conv")(x)
    pooled = [layers.AveragePooling2D(2, name="pool")(x), layers.MaxPooling2D(2, name="most")(x)]
    readout = layers.Dense(2, name="readout")(layers.Flatten()(layers.Concatenate()(pooled)))
    prediction = layers.Conv2D(1, 3, padding="same", activation="relu", name="prediction")(x)
    return keras.Model(inputs, [readout, layers.Activation("linear", name="out")(prediction)])


class Small:
    """The model, arguments of `convert` and `run` with which every option acts, and other values of each option."""

    def __init__(self):
        self.model, other = make_model(0), make_model(1)
        self.images = np.random.default_rng(0).random((3, *SHAPE))
        self.spikes = (np.random.default_rng(1).random((3, N_STEPS, *SHAPE)) < 0.5).astype(np.int8)
        self.convert_base = {"model": self.model, "neuron": NEURON, "thresholds": THRESHOLDS, "encoder": "poisson"}
        self.convert_other = {
            "model": other, "neuron": NEURON.edit(tau_phi=5 * bs.ms), "connectivity": "synapses", "schedule": "synchronous",
            "average_pooling": "membrane", "device": "cpp_standalone", "record": {"conv": ["S"]}, "dtype": "float64",
            "threads": 2, "encoder": "current", "thresholds": {"conv": 0.25, "prediction": 0.5}, "feedback": bs.PredictiveGate(),
            "dt": 0.5 * bs.ms, "max_pooling": "spikes", "readouts": {"behind": "conv"},
        }  # fmt: skip
        self.run_base = {"images": self.images, "duration": N_STEPS * bs.ms}
        self.run_other = {
            "images": self.images[::-1], "duration": 8 * bs.ms, "seed": 1, "spikes": self.spikes, "onset": 2 * bs.ms,
            "offset": 4 * bs.ms, "background": 0.5, "processes": 2, "progress": True, "stream_to": "folder",
        }  # fmt: skip
        #: Options that need another one, by the option.
        self.needs = {
            "run.processes": {"device": "cpp_standalone"},
            "run.background": {"offset": 5 * bs.ms},
        }  # fmt: skip
        self._networks = {}
        #: What the network and its trials are, by the options that have their other values.
        self.facts = {}

    def network(self, names=()):
        """Return the network with the other values of some options of `convert`; it is made once."""
        key = tuple(sorted(names))
        if key not in self._networks:
            options = self.convert_base | {name: self.convert_other[name] for name in key}
            self._networks[key] = bs.convert(**options)
        return self._networks[key]


def network_facts(snn):
    """Return what `convert` decides: everything that is printed, written into arrays or chosen for the network."""
    arrays = {
        f"{name}.{variable}": (str(values.dtype), values.tolist())
        for name, variables in snn.parameters.items() for variable in variables for values in [snn._read(name, variable)]
    }  # fmt: skip
    recorded = {name: {v: n.tolist() for v, n in variables.items()} for name, variables in snn.recorded.items()}
    weights = [p.to_coo()[2].tolist() for p in snn.projections]
    return {
        "graph": str(snn.graph), "models": {name: str(model) for name, model in snn.models.items()}, "arrays": arrays,
        "recorded": recorded, "weights": weights, "classes": [type(p).__name__ for p in snn.projections], "dtype": str(snn.dtype),
        "options": (snn.schedule, snn.connectivity, snn.encoder, snn.device, snn.dt, snn._backend.threads),
        "times": [(o.when, o.order) for o in snn.network.objects], "feedback": str(snn.feedback),
    }  # fmt: skip


def trial_facts(snn, **options):
    """Return what `run` hands to the device: the arrays, trains, seeds and number of steps of each trial."""
    names = ("images", "duration", "seed", "spikes", "onset", "offset", "background")
    values = {name: options.get(name, 0 if name == "seed" else None) for name in names}
    trials = make_trials(snn._assembly, **values, per_trial=snn._attended.per_trial)
    return {
        "n": (trials.n_trials, trials.n_steps, trials.dt), "seeds": [trials.seed_of(k) for k in range(trials.n_trials)],
        "shared": {key: np.asarray(v).tolist() for key, v in trials.shared.items()},
        "arrays": {key: [np.asarray(f(k)).tolist() for k in range(trials.n_trials)] for key, f in trials.per_trial.items()},
        "trains": {key: [f(k).tolist() for k in range(trials.n_trials)] for key, f in trials.trains.items()},
    }  # fmt: skip
