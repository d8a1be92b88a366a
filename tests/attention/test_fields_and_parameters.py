"""Fields of attention, and the parameters that it changes, against plain loops."""

import dense_reference as ref
import numpy as np
import pytest
from attention_by_hand import CASES, CUES, M_F, WIDTH, field_by_hand, parameters_by_hand
from numpy.testing import assert_allclose, assert_array_equal

import brainsnn as bs
from brainsnn.attention import ArrayField, FeatureField, GaussianField, SpatialAttention


# Fields --------------------------------------------------------------------------------------------
def test_a_center_in_pixels_is_refused():
    with pytest.raises(ValueError, match=r"fractions of the image.*\(7, 21\) lies outside.*For pixel k of n"):
        bs.SpatialAttention(center=(7, 21), input_gain=0.5)


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 2), (5, 7), (9, 9), (28, 14)])
@pytest.mark.parametrize("center", [(0.5, 0.5), (0.0, 1.0), (0.13, 0.77), (-0.2, 0.4)])
@pytest.mark.parametrize("shape", ["oval", "cross"])
def test_gaussian_field_equals_its_definition(size, center, shape):
    for width, exponent, peak, base in [((0.25, 0.25), 1.0, 2.0, 1.0), ((0.1, 0.4), 2.5, 3.0, 0.5)]:
        field = GaussianField(center, width, shape, peak, base, exponent)
        expected = field_by_hand(*size, center, width, shape == "cross", peak, base, exponent)
        assert_array_equal(field.modulation((*size, 3))[..., 0], expected)


def test_modulation_is_rounded_and_has_no_mean():
    R = GaussianField((0.2, 0.9), 0.15).modulation((17, 13, 1))
    assert_array_equal(R, np.round(R, 4))
    assert abs(R.mean()) < 0.5e-4
    assert_array_equal(GaussianField((0.2, 0.9), 0.15).modulation((1, 1, 64)), 0)


@pytest.mark.parametrize("left_out", [{"center": (0.3, None)}, {"center": (0.3, 0.9), "width": (0.2, None)}])
def test_an_axis_left_out(left_out):
    R = GaussianField(**{"width": 0.2, **left_out}).modulation((6, 5, 1))[..., 0]
    assert_array_equal(R, R[:, :1].repeat(5, axis=1))
    assert R[1, 0] > 0 > R[5, 0]


def test_cues_per_image():
    field = GaussianField(CUES, WIDTH)
    assert field.n_images == 2
    for k, cue in enumerate(CUES):
        assert_array_equal(field.modulation((5, 4, 2), image=k), GaussianField(cue, WIDTH).modulation((5, 4, 2)))


def test_arrays_as_fields():
    saliency = np.random.default_rng(0).random((12, 12))
    same = ArrayField(saliency).modulation((12, 12, 3))[..., 0]
    assert_allclose(same, saliency / saliency.mean() - 1, atol=0.5001e-4)
    pooled = saliency.reshape(4, 3, 6, 2).mean(axis=(1, 3))
    assert_allclose(ArrayField(saliency).modulation((4, 6, 1))[..., 0], pooled / saliency.mean() - 1, atol=0.5001e-4)
    # From 12 rows to 5, fractional pixels preserve the mean. Upsampling repeats pixels.
    assert_allclose(ArrayField(saliency).envelope((5, 12, 1)).mean(), saliency.mean())
    assert_allclose(ArrayField(saliency).envelope((24, 24, 1))[::2, ::2, 0], saliency)
    maps = np.stack([saliency, saliency.T])[..., None]
    assert_array_equal(ArrayField(maps).modulation((5, 5, 2), 1), ArrayField(saliency.T).modulation((5, 5, 2)))


def test_feature_fields_and_products():
    weights = np.array([1.0, 0.0, 3.0])
    assert_array_equal(FeatureField(weights).modulation((4, 4, 3))[0, 0], np.round(weights / weights.mean() - 1, 4))
    product = GaussianField((0.3, 0.6), 0.2) * FeatureField({"conv": weights})
    R = np.broadcast_to(product.modulation((4, 5, 3), layer="conv"), (4, 5, 3))
    E = GaussianField((0.3, 0.6), 0.2).envelope((4, 5, 3)) * weights
    assert_array_equal(R, np.round(E / E.mean() - 1, 4))
    space = GaussianField((0.3, 0.6), 0.2).modulation((4, 5, 3))
    assert_array_equal(product.modulation((4, 5, 7), layer="other"), space)
    with pytest.raises(ValueError, match="3 values for the 4 channels of layer 'conv'"):
        FeatureField(weights).modulation((2, 2, 4), layer="conv")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianField((0.5, 0.5), width=0), "width"),
        (lambda: GaussianField((0.5,)), "center"),
        (lambda: GaussianField((0.5, 0.5), shape="round"), "'oval'"),
        (lambda: GaussianField((0.5, 0.5), peak=1, base=1), "base < peak"),
        (lambda: ArrayField([[-1.0, 1.0]]), "not negative"),
        (lambda: ArrayField(np.zeros((2, 2))).modulation((2, 2, 1)), "somewhere positive"),
        (lambda: GaussianField(CUES) * GaussianField(np.zeros((3, 2))), "2 images, the other for 3"),
        (lambda: SpatialAttention((0.5, 0.5), input_gain=np.nan), "input_gain"),
        (lambda: SpatialAttention((0.5, 0.5), onset=3), "unit of time"),
        (lambda: SpatialAttention((0.5, 0.5), floor=0), "floor"),
    ],
)
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_plot():
    ax = GaussianField((0.3, 0.6), 0.2).plot(np.random.default_rng(0).random((20, 20)))
    assert len(ax.images) == 2
    import matplotlib.pyplot as plt

    plt.close(ax.figure)


# Parameters ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(5, 7, 3), (1, 1, 4), (4, 4, 1)])
@pytest.mark.parametrize("case", CASES)
def test_parameters_equal_their_definitions(shape, case):
    model = bs.ASN(m_f=M_F)
    base = {"gain": np.ones(1), "m_f": np.full(1, M_F), "h": np.array([model.parameters["h"]])}
    R = field_by_hand(*shape[:2], CUES[1], (WIDTH, WIDTH))
    expected = parameters_by_hand(shape, R, **case)
    changed = SpatialAttention(CUES, WIDTH, **case).parameters_for("layer", shape, base, model, image=1)
    for name, values in changed.items():
        assert_allclose(values.reshape(shape), expected[name], rtol=1e-12, err_msg=name)
    for name in set(expected) - set(changed):
        assert_allclose(expected[name], base[name].item(), rtol=1e-12)


def test_precision_keeps_its_sum_and_is_clipped():
    model = bs.ASN(m_f=0.3)
    base = {name: np.array([model.parameters[name]]) for name in ("gain", "m_f", "h")}
    attention = SpatialAttention((0.2, 0.7), 0.15, precision=0.1)
    m_f = attention.parameters_for("layer", (9, 7, 2), base, model)["m_f"]
    assert_allclose(m_f.sum(), 0.3 * m_f.size, rtol=1e-12)
    strong = SpatialAttention((0.2, 0.7), 0.15, precision=2.0, floor=0.01).parameters_for(
        "layer", (9, 7, 2), base, model
    )
    assert strong["m_f"].min() == 0
    assert_allclose(strong["h"].min(), ref.spike_height(0.01))


class HalvedGain(SpatialAttention):
    """A user's own attention."""

    def parameters_for(self, layer, shape, parameters, model, image=0):
        """Halve the gain everywhere."""
        changed = super().parameters_for(layer, shape, parameters, model, image)
        return {name: values / 2 if name == "gain" else values for name, values in changed.items()}


def test_attention_of_a_class_of_the_users_keeps_its_class():
    attention = HalvedGain((0.3, 0.6), {"a": 0.2}, input_gain={"a": 0.5}, onset=20 * bs.ms, conserve_sum=False)
    resolved = attention.for_layers(lambda name: f"{name}_population")
    assert type(resolved) is HalvedGain and resolved.strengths["input_gain"] == {"a_population": 0.5}
    assert resolved.times() == attention.times() and attention.strengths["input_gain"] == {"a": 0.5}
    values, model = {"gain": np.ones(1)}, bs.ASN()
    found = resolved.parameters_for("a_population", (4, 4, 1), values, model)["gain"]
    plain = SpatialAttention((0.3, 0.6), 0.2, input_gain=0.5).parameters_for("a", (4, 4, 1), values, model)["gain"]
    np.testing.assert_allclose(found, plain / 2)
