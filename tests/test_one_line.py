"""`repr` of every public object is one short line that names its class, holds no address, and says what print shows at length."""

import inspect
import re
from dataclasses import dataclass, fields
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_network import Small

import brainsnn as bs
from brainsnn.analysis import attention_modulation, latency_criterion, permutation_test
from brainsnn.analysis.behaviour import TargetAUC
from brainsnn.attention import Field
from brainsnn.builders.trials.inputs import make_trials
from brainsnn.builders.trials.trials import TrialRecord
from brainsnn.one_line import brief, fields_line
from brainsnn.results import SpikeTrains, StreamFolder
from brainsnn.stimuli.coco.selection import Selection, TestPicture, TrainingPicture
from brainsnn.stimuli.coco.sets import STREET
from brainsnn.stimuli.search import SearchScenes
from brainsnn.sweeps import SweepStatus, UnitStore

ROOMS = ("analysis", "attention", "equations", "feedback", "results", "stimuli", "stimuli.coco", "sweeps")
LONG = "a layer with a name that is as long as names in published networks are " * 4


def network_objects(folder):
    small = Small()
    record = {"conv": ["spikes", "S"], "prediction": ["spikes"]}
    snn = bs.convert(**(small.convert_base | {"record": record, "encoder": "current"}))
    snn.attend(bs.SpatialAttention((0.2, 0.3), 0.1, output_gain={"conv": 0.3}))
    result = snn.run(small.images, 6 * bs.ms)
    probe = bs.monitor(snn, "conv", ["S"])
    trials = make_trials(
        snn._assembly, small.images, 6 * bs.ms, 0, None, None, None, None, per_trial=snn._attended.per_trial
    )
    description = snn.describe()
    calibrated = bs.calibrate(bs.load_model("digits_relu"), np.zeros((2, 28, 28, 1)) + 0.5)
    return [
        snn, result, snn.graph, *snn.graph.populations.values(), *snn.graph.projections, *snn.graph.rows, calibrated,
        calibrated.calibration, *snn.models.values(), *result.models.values(), snn.network, probe, snn.populations,
        *snn.populations.values(), *snn.projections, *(p.operator for p in snn.graph.projections), description,
        *description.tables.values(), *(cell for table in description.tables.values() for row in table.cells for cell in row),
        result.states, result.states["conv"], result.spikes, result.spike_counts, result.shapes, result.outputs, result.models,
        snn.parameters, snn.recorded, trials, TrialRecord({}, {}, {}), bs.compare_activations(small.model, snn, small.images),
    ]  # fmt: skip


def other_objects(folder):
    rng = np.random.default_rng(0)
    field, features = (
        bs.GaussianField((0.2, 0.3), {f"layer{k}": 0.2 for k in range(40)}),
        bs.FeatureField(np.arange(3.0)),
    )
    many = bs.FeatureField({f"layer{k}": np.arange(3.0) for k in range(40)})
    positions = bs.SpatialAttention(rng.random((500, 2)), precision=0.2, onset=np.arange(500) * bs.ms)
    picture = TestPicture("val", f"{LONG}.jpg", 0, 1, 2, 3, 4, 5.0, [0.1, 0.2])
    outputs, targets = rng.random((12, 5, 3)), np.arange(12) % 3
    return [
        bs.ASN(), bs.IF(), bs.LIF(), bs.ASN().edit(initial={"S_dyn": 0.1}), bs.switchable(bs.ASN()),
        bs.Readout("conv2"), bs.Readout(LONG, kind="potential", place=(1, 2), neuron=bs.IF()), bs.LocalLearning(),
        bs.PredictiveGate(), bs.PredictiveGate(learning=bs.LocalLearning(w_max=0.5), record=True), field, features, many,
        bs.ArrayField(rng.random((4, 4))), field * features,
        bs.Attention(many, output_gain={f"layer{k}": 0.1 for k in range(40)}),
        positions, bs.shipped_models(), *bs.shipped_models().values(), bs.once(len), bs.once(lambda x: x),
        bs.Result({LONG: (1, 1, 2)}, 1e-3, 3), SpikeTrains(folder / "conv", np.arange(4), [0]),
        StreamFolder(folder / "s", 1, 2, 3),
        UnitStore(folder), SweepStatus(folder, LONG, 10, 3, 1, None, ["python"] * 40),
        SearchScenes(*(rng.random((3, 4)) for _ in fields(SearchScenes))), TargetAUC(outputs[:, -1], targets),
        latency_criterion(rng.random((4, 300))), permutation_test(outputs[:, 0, 0], outputs[:, 1, 0]),
        attention_modulation(outputs + 1, outputs, targets, n_draws=5), STREET, picture,
        TrainingPicture("train", "a.jpg", 0, 1, 2, [1, 0]), Selection("street", ["car"], [], [picture] * 30, {}),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    folder = tmp_path_factory.mktemp(LONG[:100])
    return [*network_objects(folder), *other_objects(folder)]


def test_every_object_is_one_line(objects):
    for value in objects:
        line = repr(value)
        # what is given to Brian2 prints as Brian2 prints it, with its clock
        assert "\n" not in line and len(line) < 200, (type(value), line)
        assert type(value).__name__ in line, line
        assert not re.search(r"0x[0-9a-f]{5,}", line), line


def test_every_public_class_is_among_them(objects):
    """Those that the rooms and the package export; errors print their message, abstract classes have no object."""
    seen = {cls for value in objects for cls in type(value).__mro__}
    modules = map(import_module, ["brainsnn", *(f"brainsnn.{room}" for room in ROOMS)])
    public = [getattr(module, name) for module in modules for name in module.__all__]
    classes = {c for c in public if inspect.isclass(c) and not issubclass(c, BaseException)}
    assert len(classes) > 20 and {c.__name__ for c in classes - seen} == set()


def test_lines_say_what_is_there(objects):
    snn, result = objects[:2]
    assert "conv: spikes, S; prediction: spikes" in repr(result) and "3 images, 6 steps of 1 ms" in repr(result)
    assert f"{sum(map(len, snn.populations.values()))} neurons" not in repr(result) and "ASN" in repr(snn)
    assert (
        "S - S_hat > theta/2" in repr(bs.ASN())
        and "m_f=0.2" in repr(bs.ASN(m_f=0.2))
        and "tau_phi=2.5 ms" in repr(bs.ASN())
    )
    assert repr(bs.Readout("conv2")) == "Readout(layer='conv2')"
    assert "(3, 6, 32) float32" in repr(result.states) and repr(bs.LocalLearning()) == "LocalLearning()"
    assert repr(bs.LocalLearning(w_max=0.5)) == "LocalLearning(w_max=0.5)"
    many = bs.Attention(bs.FeatureField({f"layer{k}": np.arange(3.0) for k in range(40)}), output_gain=0.1)
    assert "layer39 (3,)" in str(many) and "layer39" not in repr(many) and repr(many).endswith("...>")


class Tilted(Field):
    """A field of a user's, without a text of its own."""

    def envelope(self, shape, image=0, layer=None):
        return np.ones(shape)


def test_a_field_of_a_user_has_a_line():
    assert repr(Tilted()) == "<Tilted>" and "<Tilted>" in repr(bs.Attention(Tilted(), output_gain=0.1))


@dataclass
class Anything:
    value: object
    other: object = None
    __repr__ = fields_line


LEAVES = st.none() | st.integers() | st.floats() | st.text(max_size=99) | st.binary(max_size=99)
VALUES = (
    LEAVES | st.lists(LEAVES, max_size=6) | st.dictionaries(st.text(max_size=9), LEAVES, max_size=6) | st.tuples(LEAVES)
)


@given(VALUES, VALUES)
def test_whatever_a_field_holds(value, other):
    line = repr(Anything(value, other))
    assert len(line.splitlines()) == 1 and len(line) < 200 and line.startswith("Anything(value=") and line.endswith(")")
    assert len(brief(value, 40)) <= 40


def test_functions_and_arrays_have_no_address_and_no_values():
    assert brief(len) == "function len" and "0x" not in brief([object()])
    assert brief(np.zeros((300, 2))) == "(300, 2) float64" and brief(np.float32(0.5)) in ("0.5", "np.float32(0.5)")
