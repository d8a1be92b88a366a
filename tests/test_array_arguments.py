"""Arrays given to public functions: their layout in memory does not matter, they are not changed, and no mask or unit is lost."""

import numpy as np
import pytest
from brian2 import ms

import brainsnn as bs
from brainsnn import analysis
from brainsnn.attention import ArrayField, FeatureField, GaussianField
from brainsnn.equations.transfer import spike_height, transfer_function
from brainsnn.plain_arrays import truth_values, whole_numbers
from brainsnn.results import Result

RNG = np.random.default_rng(0)
SCORES, TARGETS = RNG.random((12, 4)), np.arange(12) % 4
PRESENT = np.eye(4)[TARGETS]
MASKS = RNG.random((3, 4, 5)) < 0.7


def result():
    """Three images of 50 steps, with the spikes of all neurons of a layer."""
    made = Result({"layer": (4, 5, 2), "readout": (1, 1, 4)}, 1e-3, 50)
    made.outputs["readout"] = np.random.default_rng(1).random((3, 50, 4))
    rasters = np.random.default_rng(2).random((3, 50, 40)) < 0.1
    made.spikes["layer"] = [np.nonzero(raster)[::-1] for raster in rasters]
    made.spike_counts["layer"] = rasters.sum(axis=(1, 2))
    return made


RESULT = result()

#: Function of arrays, and the arrays.
CASES = {
    "accuracy_interval": (analysis.accuracy_interval, [np.array([3.0, 4.0]), np.array([5.0, 9.0])]),
    "auc": (analysis.auc, [SCORES[:, 0], PRESENT[:, 0]]),
    "top_k_accuracy": (lambda *a: analysis.top_k_accuracy(*a, k=2), [SCORES, TARGETS]),
    "target_auc": (analysis.target_auc, [SCORES, TARGETS, PRESENT]),
    "detection_scores": (analysis.detection_scores, [SCORES, TARGETS, PRESENT]),
    "detection_time": (analysis.detection_time, [SCORES[:, :, None].repeat(4, axis=2), TARGETS, np.arange(4.0)]),
    "filtered_spikes": (
        lambda i, t: analysis.filtered_spikes(i, t, 4, 12, 0.5, 3), [TARGETS, np.arange(12)],
    ),
    "response_latency": (lambda *a: analysis.response_latency(*a, (0, 20)), [np.arange(50.0) % 41, np.arange(50.0)]),
    "dissimilarity_matrix": (analysis.dissimilarity_matrix, [SCORES]),
    "rdm_fit": (analysis.rdm_fit, [SCORES[:4] + SCORES[:4].T, PRESENT[:4]]),
    "focus_masks": (lambda c: analysis.focus_masks((4, 5), c, 0.2), [SCORES[:, :2]]),
    "focus_rates": (lambda c: analysis.focus_rates(RESULT, "layer", c, 0.2), [SCORES[:3, :2]]),
    "response_rate": (lambda m: analysis.response_rate(RESULT, "layer", m), [MASKS]),
    "layer_patterns": (lambda m: analysis.layer_patterns(RESULT, "layer", masks=m), [MASKS]),
    "accuracy": (RESULT.accuracy, [TARGETS[:3]]),
    "GaussianField": (lambda c: GaussianField(c).modulation((4, 5, 2), image=1), [SCORES[:3, :2]]),
    "ArrayField": (lambda v: ArrayField(v).modulation((4, 5, 2), image=1), [RNG.random((3, 8, 9, 1))]),
    "FeatureField": (lambda v: FeatureField(v).modulation((4, 5, 4), image=1), [SCORES]),
    "transfer_function": (lambda s: transfer_function(s, 0.1), [SCORES]),
    "spike_height": (spike_height, [SCORES]),
}  # fmt: skip

ARGUMENTS = [(name, k) for name, (_, arrays) in CASES.items() for k in range(len(arrays))]


def strided(array):
    """The same values, every second element of a larger array."""
    larger = np.zeros([2 * n for n in array.shape], array.dtype)
    view = larger[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    return view


def read_only(array):
    array = array.copy()
    array.setflags(write=False)
    return array


LAYOUTS = {
    "read-only": read_only,
    "Fortran": np.asfortranarray,
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "strided": strided,
    "negative strides": lambda array: array[tuple(slice(None, None, -1) for _ in array.shape)].copy()[
        tuple(slice(None, None, -1) for _ in array.shape)
    ],
    "list": lambda array: array.tolist(),
}


def called(name, k, change):
    """What a function returns if its array k is changed."""
    function, arrays = CASES[name]
    return function(*(change(array) if j == k else array for j, array in enumerate(arrays)))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("name", "k"), ARGUMENTS)
def test_the_layout_in_memory_does_not_matter(name, k, layout):
    before = [array.copy() for array in CASES[name][1]]
    expected = called(name, k, lambda array: array)
    np.testing.assert_equal(called(name, k, LAYOUTS[layout]), expected)
    np.testing.assert_equal(CASES[name][1], before)


@pytest.mark.parametrize(("name", "k"), ARGUMENTS)
def test_masks_and_units_are_refused(name, k):
    for lost in (lambda array: np.ma.masked_array(array, mask=array == array.max()), lambda array: array * ms):
        with pytest.raises(ValueError, match="mask|unit"):
            called(name, k, lost)


def test_fields_keep_what_they_were_made_from():
    for make, values in (
        (GaussianField, np.full((2, 2), 0.3)),
        (ArrayField, np.arange(8.0).reshape(2, 2, 2)),
        (FeatureField, np.arange(2.0)),
        (lambda v: FeatureField({"a": v}).for_layers(str.upper), np.arange(2.0)),
    ):
        field = make(values)
        before = field.modulation((2, 2, 2), layer="A")
        values[:] = 1
        np.testing.assert_array_equal(field.modulation((2, 2, 2), layer="A"), before)


@pytest.mark.parametrize(
    "call",
    [
        lambda: analysis.auc([0.1, 0.2, 0.3], [0, 1, 2]),
        lambda: analysis.auc([0.1, 0.2, 0.3], [0.2, 0.0, np.nan]),
        lambda: analysis.target_auc(SCORES, TARGETS, PRESENT * 0.5),
        lambda: analysis.TargetAUC(SCORES, TARGETS)(np.arange(12) < 6),
        lambda: analysis.TargetAUC(SCORES, TARGETS)([0, 1.5]),
        lambda: analysis.TargetAUC(SCORES, TARGETS)([0, 12]),
        lambda: analysis.top_k_accuracy(SCORES, TARGETS, k=1.5),
        lambda: analysis.top_k_accuracy(SCORES, TARGETS == 1),
        lambda: analysis.filtered_spikes([0.5], [1], 2, 4, 0.5, 2),
        lambda: analysis.filtered_spikes([2], [1], 2, 4, 0.5, 2),
        lambda: analysis.filtered_spikes([1], [4], 2, 4, 0.5, 2),
        lambda: analysis.filtered_spikes([1], [1, 2], 2, 4, 0.5, 2),
        lambda: analysis.response_latency(np.arange(4.0), [0, 1, 2, 4], (0, 1)),
        lambda: analysis.response_rate(RESULT, "layer", MASKS * 0.5),
        lambda: analysis.layer_patterns(RESULT, "layer", start=10 * ms),
        lambda: analysis.bootstrap_interval(np.mean, 2.5),
        lambda: RESULT.accuracy([0, 1, 4]),
        lambda: RESULT.accuracy([0, 1, -1]),
        lambda: RESULT.accuracy([True, False, True]),
        lambda: GaussianField((np.nan, 0.5)),
        lambda: whole_numbers([1.5], "x", 2),
        lambda: truth_values(["False"], "x"),
    ],
)
def test_values_of_another_meaning_are_refused(call):
    with pytest.raises(ValueError, match="give|must"):
        call()


def test_rates_need_the_spikes_of_all_neurons():
    partial = result()
    partial.spikes["layer"] = [(i[i < 20], t[i < 20]) for i, t in partial.spikes["layer"]]
    for function in (analysis.response_rate, analysis.layer_patterns):
        with pytest.raises(ValueError, match="only the spikes of some of its neurons were recorded"):
            function(partial, "layer")


@pytest.fixture(scope="module")
def snn():
    return bs.convert(bs.read_keras(bs.load_model("digits")), device="cpp_standalone")


def test_images_of_any_layout(snn):
    images = RNG.random((2, *snn.graph.input.shape)).astype(np.float16).astype(float)
    before, expected = images.copy(), snn.run(images, duration=20 * ms)
    ann = snn.graph.activations(images)
    for change in (
        *LAYOUTS.values(),
        lambda array: array.astype(np.float16),
        lambda array: array.astype(np.longdouble),
    ):
        np.testing.assert_array_equal(snn.run(change(images), duration=20 * ms).output, expected.output)
        np.testing.assert_equal(snn.graph.activations(change(images)), ann)
    np.testing.assert_array_equal(images, before)


def test_images_of_another_order_are_refused(snn):
    for shape in ((2, 1, 28, 28, 1, 1), (2, 784), (2, 28, 28), (2, 28, 28, 1)):
        assert snn.graph.activations(np.zeros(shape))["readout"].shape == (2, 1, 1, 10)
    for shape in ((2, 14, 56, 1), (2, 56, 14, 1), (784, 2)):
        with pytest.raises(ValueError, match="do not fit the input"):
            snn.graph.activations(np.zeros(shape))


def test_parameters_of_any_layout(snn):
    layer = next(iter(snn.populations))
    values = 1 + RNG.random(snn.graph.populations[layer].shape)
    for change in LAYOUTS.values():
        snn.set_parameters(layer, gain=change(values))
        np.testing.assert_array_equal(snn.populations[layer].gain[:], values.ravel().astype(snn.dtype))
    snn.set_parameters(layer, gain=1)


def test_names_that_would_be_ignored_are_refused(snn):
    layers = [name for name in snn.populations if name != "readout"]
    cue = {"center": (0.5, 0.5), "width": 0.2}
    for call, message in (
        (lambda: snn.attend(None, layers=layers[:1]), "leave layers out"),
        (lambda: snn.attend(bs.SpatialAttention(**cue, input_gain=1), layers=[]), "names no layer"),
        (
            lambda: snn.attend(bs.SpatialAttention(**cue, input_gain={layers[0]: 1}), layers=layers[1:]),
            f"names '{layers[0]}' without effect",
        ),
        (
            lambda: snn.attend(bs.Attention(FeatureField({layers[0]: np.ones(1)}), input_gain=1), layers=layers[1:]),
            f"names '{layers[0]}' without effect",
        ),
        (
            lambda: snn.attend(bs.SpatialAttention(**cue, input_gain={"conv1": 1, "conv1_asn": 2})),
            "'conv1' and 'conv1_asn' are both 'conv1_asn'",
        ),
        (
            lambda: bs.convert(snn.graph, record={"conv1": {"S": [0]}, "conv1_asn": ["S"]}),
            "two of the layers in record are",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            call()
