"""Random assignments and runs by hand between runs, of objects of each kind: trials start from what a NumPy model says."""

from copy import deepcopy

import numpy as np
import pytest
from brian2 import Hz, NeuronGroup, PoissonGroup, SpikeGeneratorGroup, StateMonitor, Synapses, ms
from hypothesis import strategies as st
from keras_graphs import images, sequential

import brainsnn as bs

__all__ = ["case"]

N_STEPS = 3


class Reference:
    """What each variable starts from, and what it holds now; statements of a step are known for some of them."""

    STEP = {"x": lambda v: v + 1, "k": lambda v: 2 * v, "rates": lambda v: v + 10}

    def __init__(self):
        self.declared = {
            "x": np.array([5.0, 5, 5]), "k": np.ones(3), "rates": np.full(2, 5.0), "S_dyn": np.zeros(4), "gain": np.ones(4),
            "w": np.arange(8.0), "u": np.zeros(3), "q": np.zeros(3),
        }  # fmt: skip
        self.now = deepcopy(self.declared)
        self.known = set(self.declared)

    def steps(self, n):
        for name in self.declared:
            for _ in range(n):
                if name in self.STEP:
                    self.now[name] = self.STEP[name](self.now[name])
        self.now["q"] = self.now["q"] + n
        self.declared["q"] = self.now["q"]  # what statements of added synapses change is learned
        self.known.discard("S_dyn")

    def trials(self, n_images):
        for _ in range(n_images):
            self.now = {name: values.copy() for name, values in self.declared.items()}
            self.steps(N_STEPS)

    def assign(self, name, indices, value):
        for values in (self.declared[name], self.now[name]):
            values[indices] = value


class Subject:
    """The network, with an object of each kind, and what is recorded at the start of each step."""

    def __init__(self, device, reference):
        L = pytest.importorskip("keras").layers
        self.model = sequential(L.Dense(4, activation="relu", name="hidden"), L.Dense(2, name="out"), shape=(1, 1, 3))
        self.images = images(self.model, 2)
        snn = self.snn = bs.convert(self.model, device=device, connectivity="synapses", dtype="float64")
        hidden, projection = snn.populations["hidden"], snn.projections[0]
        options = {"clock": hidden.clock}
        self.stored, self.is_compiled = None, False
        self.generator = SpikeGeneratorGroup(1, [0], [1] * ms, **options)
        neurons = NeuronGroup(3, "x : 1\nk : 1", **options)
        neurons.x, neurons.k = 5, "1"
        neurons.run_regularly("x += 1; k *= 2", dt=1 * ms)
        source = PoissonGroup(2, 5 * Hz, **options)
        source.run_regularly("rates += 10*Hz", dt=1 * ms)
        synapses = Synapses(self.generator, neurons, "u : 1\nq : 1", on_pre="x_post += 0*u", **options)
        synapses.connect()
        synapses.run_regularly("q += 1", dt=1 * ms)
        hidden.run_regularly("gain += 0.5", dt=1 * ms)
        projection.run_regularly("w *= 0.5", dt=1 * ms)
        projection.w = np.arange(8.0)
        self.owner = {"x": neurons, "k": neurons, "rates": source, "S_dyn": hidden, "gain": hidden, "w": projection,
                      "u": synapses, "q": synapses}  # fmt: skip
        self.monitors = {
            name: StateMonitor(owner, name, np.arange(len(reference.declared[name])), when="start", order=-1, **options)
            for name, owner in self.owner.items()
        }
        snn.network.add(self.generator, neurons, source, synapses, *self.monitors.values())

    def starts(self, name, n_images):
        """Values of a variable at the start of each image of the last run."""
        return np.asarray(getattr(self.monitors[name], f"{name}_"))[:, -n_images * N_STEPS :: N_STEPS].T


#: By device: a network and its reference, which go through all cases of a process.
_pairs: dict = {}


def pair(device):
    """Return the network of a device, and what is known of it."""
    if device not in _pairs:
        reference = Reference()
        _pairs[device] = Subject(device, reference), reference
    return _pairs[device]


NAMES = ["x", "k", "rates", "S_dyn", "gain", "w", "u", "q"]
UNIT = {"rates": Hz}


@st.composite
def assignment(draw):
    name = draw(st.sampled_from(NAMES))
    how = draw(st.sampled_from(["whole", "same", "array", "element", "slice", "expression", "condition", "in place"]))
    return name, how, draw(st.integers(1, 6))


def assign(subject, reference, name, how, value):
    """Assign to a variable as users do, and to the reference."""
    group, unit = subject.owner[name], UNIT.get(name, 1)
    view, n = getattr(group, name), len(reference.now[name])
    text = f"{value}*Hz" if name in UNIT else f"{value}"
    if how == "whole":
        setattr(group, name, value * unit)
    elif how == "same":  # what the last run has left
        found = np.array(view[:])
        setattr(group, name, found * unit)
        reference.assign(name, slice(None), found)
    elif how == "array":
        setattr(group, name, np.arange(n) * unit)
        reference.assign(name, slice(None), np.arange(n))
    elif how == "element":
        view[value % n] = value * unit
    elif how == "slice":
        view[1:] = value * unit
    elif how == "expression":
        setattr(group, name, text)
    elif how == "condition":
        view["i > 0"] = text
    elif how == "in place":
        found = np.array(view[:]) + value
        setattr(group, name, getattr(group, name) + value * unit)
        reference.assign(name, slice(None), found)
    if how in ("whole", "expression"):
        reference.assign(name, slice(None), value)
    elif how == "element":
        reference.assign(name, value % n, value)
    elif how == "slice":
        reference.assign(name, slice(1, None), value)
    elif how == "condition":
        presynaptic = np.array(group.i[:]) if isinstance(group, Synapses) else np.arange(n)
        reference.assign(name, presynaptic > 0, value)
    if how not in ("element", "slice", "condition"):
        reference.known.add(name)


def check_starts(subject, reference, n_images):
    for name in set(NAMES) - {"q"}:
        for image, found in enumerate(subject.starts(name, n_images)):
            np.testing.assert_allclose(found, reference.declared[name], err_msg=f"{name} of image {image}")


def by_hand(subject, reference, what):
    """Run, store or restore the network by hand, as Brian2 offers it."""
    network = subject.snn.network
    if what == "run":
        network.run(1 * ms)
        reference.steps(1)
    elif what == "store":
        network.store()
        subject.stored = deepcopy(vars(reference))
    elif subject.stored is not None:
        network.restore()
        vars(reference).update(deepcopy(subject.stored))


def _is_possible(name, how):
    """Whether Brian2 can do it before the first run of a program, which draws values and makes synapses itself."""
    return how in ("whole", "expression") or (name not in ("u", "q", "w") and how not in ("same", "in place"))


def case(draw, check):
    """Change a network a few times, run images, and compare where each of them starts and what is left at the end."""
    device = draw(st.sampled_from(["cpp_standalone", "runtime"]))
    hand = st.sampled_from(["run", "store", "restore"]) if device == "runtime" else st.nothing()
    changes, n_images = draw(st.lists(st.one_of(assignment(), hand), max_size=4)), draw(st.integers(1, 2))

    def compare():
        subject, reference = pair(device)
        try:
            for change in changes:
                if device != "runtime" and not subject.is_compiled and not _is_possible(*change[:2]):
                    continue
                by_hand(subject, reference, change) if isinstance(change, str) else assign(subject, reference, *change)
            subject.snn.run(subject.images[:n_images], duration=N_STEPS * ms)
            subject.is_compiled = True
            reference.trials(n_images)
            check_starts(subject, reference, n_images)
            for name in reference.known - {"gain", "w"}:
                found = np.array(getattr(subject.owner[name], name)[:])
                np.testing.assert_allclose(found, reference.now[name], err_msg=f"{name} after the run")
        except BaseException:
            del _pairs[device]
            raise

    check(f"objects, {device}", compare)
