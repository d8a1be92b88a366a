"""Relations between runs of one converted network."""

import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from dense_feedback_reference import simulate_feedback, simulate_learning
from dense_reference import simulate
from fuzz_equal import ROUNDING, equal, relations

import brainsnn as bs

__all__ = ["RELATIONS", "attends", "changed", "draw_attention", "draw_parameter", "without_bias"]

RELATIONS, relation = relations()


# Seeds, and the images of a batch
@relation("same seeds")
def same_seeds(b):
    equal(b.run(), b.base)


@relation("batch order", lambda b: not b.network.learns)
def batch_order(b):
    order = np.roll(b.rng.permutation(b.n), 1)
    equal(b.run(**b.of(order)), b.base, order)


@relation("batch split", lambda b: not b.network.learns)
def batch_split(b):
    first = int(b.rng.integers(1, b.n))
    for images in (np.arange(first), np.arange(first, b.n)):
        equal(b.run(**b.of(images)), b.base, images)


@relation("one seed for a batch", lambda b: not b.network.learns)
def one_seed(b):
    seed = int(b.rng.integers(0, 2**32))
    whole = b.run(seed=seed)
    equal(b.run(**{**b.of([0]), "seed": seed}), whole, [0])


@relation(
    "random numbers differ",
    lambda b: b.network.neuron == "noisy" or (b.network.draws_input and "spikes" not in b.trial),
)
def other_seeds(b):
    """Equal images of a batch, and equal images with other seeds, get other random numbers."""
    equal_images = {**b.of(np.zeros(b.n, int)), "background": b.trial["background"]}
    seed = int(b.rng.integers(0, 2**31))
    runs = [b.run(**{**equal_images, "seed": s}) for s in (seed, seed + 1)]
    first = "input" if b.network.draws_input and "spikes" not in b.trial else b.spiking[0]
    rasters = [raster for run in runs for raster in _noise(run, first)]
    if b.network.neuron != "noisy":
        p = np.abs(b.stimulus()[0])
        if (p * (1 - p)).sum() < 20:  # too few random numbers to differ for certain
            return
    for k, raster in enumerate(rasters):
        assert not any(np.array_equal(raster, other) for other in rasters[:k]), "equal random numbers"


def _noise(result, name):
    return result.raster("input") if name == "input" else result.states[name]["S"]


# Ways to run
@relation("processes", lambda b: b.snn.device == "cpp_standalone" and not b.network.learns)
def processes(b):
    equal(b.run(processes=2), b.base)


@relation("streaming")
def streaming(b):
    with tempfile.TemporaryDirectory() as folder:
        streamed = b.run(stream_to=Path(folder) / "run")
        equal(streamed, b.base)
        equal(bs.Result.load(Path(folder) / "run"), b.base)


@relation("saved and loaded")
def saved(b):
    with tempfile.TemporaryDirectory() as folder:
        b.base.save(Path(folder) / "result.npz")
        equal(bs.Result.load(Path(folder) / "result.npz"), b.base)


# Time
@relation("longer run")
def longer(b):
    # Learned weights go on changing until the end of an image, and the next image starts with them.
    images = {} if not b.network.learns else b.of([0])
    n = b.n_steps
    equal(b.run(**images, duration=(n + 7) * b.dt), b.base, [0] if images else slice(None), at=slice(n))


@relation("onset and background", lambda b: b.network.is_double and b.network.gate is None and "spikes" not in b.trial)
def onset_and_background(b):
    """An image after a background that is equal to it is a constant image."""
    k = [int(b.rng.integers(b.n))]
    image, onset = b.of(k), {"onset": b.n_steps // 3 * b.dt, "offset": None}
    constant = b.run(**{**image, "onset": 0 * b.dt, "offset": None})
    background = image["images"][0]
    equal(b.run(**{**image, **onset, "background": background}), constant, tolerance=ROUNDING)


@relation("offset at the end")
def offset_at_end(b):
    before = b.run(offset=None, background=0.0)
    equal(b.run(offset=b.n_steps * b.dt, background=0.0), before)


@relation(
    "later onset",
    lambda b: not b.network.draws_input and b.network.neuron != "noisy" and b.network.starts_at_zero,
)
def later_onset(b):
    """Without a bias, nothing happens before the onset."""
    delay, n = int(b.rng.integers(1, 6)), b.n_steps
    with without_bias(b.snn):
        now, later = (b.run(onset=t * b.dt, offset=None, background=0.0, duration=(n + t) * b.dt) for t in (0, delay))
    equal(later, now, at=slice(delay, None))
    assert not any(later.raster(name)[:, :delay].any() for name in later.spikes)


@relation(
    "replayed spikes",
    lambda b: b.network.draws_input and "spikes" not in b.trial and b.network.gate not in ("graded", "contrast"),
)
def replayed(b):
    equal(b.run(spikes=b.signs()), b.base)


# Parameters
def values_of(snn, layer):
    """Return copies of the parameters of a layer, with their units."""
    return {
        name: np.array(getattr(snn.populations[layer], name)[:], copy=True, subok=True)
        for name in snn.parameters[layer]
    }


@contextmanager
def changed(snn, layer, **values):
    """Set parameters of a layer for a while."""
    before = values_of(snn, layer)
    try:
        snn.set_parameters(layer, **values)
        yield
    finally:
        snn.set_parameters(layer, **before)


@contextmanager
def without_bias(*networks):
    """Set all biases to 0 for a while."""
    with ExitStack() as stack:
        for snn in networks:
            for layer, names in snn.parameters.items():
                if "bias" in names:
                    stack.enter_context(changed(snn, layer, bias=0 * values_of(snn, layer)["bias"]))
        yield


def draw_parameter(b):
    """Return a layer and new values, (H, W, C), of one of its parameters and of those that follow from it."""
    known = [(layer, name) for layer in b.spiking for name in CHANGED if name in b.snn.parameters[layer]]
    layer, name = known[b.rng.integers(len(known))]
    factors = b.rng.uniform(0.6, 1.4, b.snn.graph.populations[layer].shape)
    return layer, {name: values_of(b.snn, layer)[name].reshape(factors.shape) * factors}


CHANGED = ("gain", "m_f", "h", "v_th", "bias", "gain_rest", "m_f_rest")


@relation("parameters")
def parameters(b):
    """Values that are set, assigned or given for a copy have the same effect; set back, they have none."""
    layer, values = draw_parameter(b)
    with changed(b.snn, layer, **values):
        there, arrays = b.run(), values_of(b.snn, layer)
    equal(b.run(), b.base)
    group = b.snn.populations[layer]
    with changed(b.snn, layer):
        for name in values_of(b.snn, layer):
            getattr(group, name)[:] = arrays[name]
        equal(b.run(), there)
    equal(b.run(), b.base)


# Attention
def attends(b):
    return bool(b.network.options["neuron"].attention)


def draw_attention(b, centers, **options):
    """Return attention to one center or to one for each image, the same in every call for a bench."""
    known = [m for m in ("input_gain", "output_gain", "precision") if m in b.network.options["neuron"].attention]
    rng = np.random.default_rng(b.trial["seed"][0])
    chosen = rng.permutation(known)[: rng.integers(1, len(known) + 1)]
    strengths = {
        str(mechanism): float(rng.uniform(0.02, 0.1 if mechanism == "precision" else 0.5)) for mechanism in chosen
    }
    return bs.SpatialAttention(centers, width=0.3, **strengths, **options)


@contextmanager
def attending(b, attention, snn=None):
    snn = snn or b.snn
    snn.attend(attention)
    try:
        yield
    finally:
        snn.attend(None)


@relation("attention on and off", attends)
def attention_on_and_off(b):
    """Attention is what its parameters are, set by hand; without it, the network is what it was."""
    with attending(b, draw_attention(b, b.rng.random(2))):
        attended = b.run()
        arrays = {layer: values_of(b.snn, layer) for layer in b.spiking}
    equal(b.run(), b.base)
    with ExitStack() as stack:
        for layer, values in arrays.items():
            stack.enter_context(changed(b.snn, layer, **values))
        equal(b.run(), attended)
    equal(b.run(), b.base)


@relation("cues of images", lambda b: attends(b) and not b.network.learns)
def cues(b):
    centers = b.rng.random((b.n, 2))
    with attending(b, draw_attention(b, centers)):
        together = b.run()
        b.snn.attend(draw_attention(b, centers[0]))  # replaces the cues
        equal(b.run(**b.of([0])), together, [0])
        b.snn.attend(draw_attention(b, centers[-1]))
        equal(b.run(**b.of([-1])), together, [-1])
    equal(b.run(), b.base)


@relation("timed attention", lambda b: b.network.neuron == "switchable")
def timed_attention(b):
    """Attention from the first step on is attention; until its onset there is none."""
    center, onset = b.rng.random(2), int(b.rng.integers(1, b.n_steps))
    with attending(b, draw_attention(b, center)):
        whole = b.run()
    with attending(b, draw_attention(b, center, onset=0 * b.dt, offset=b.n_steps * b.dt)):
        equal(b.run(), whole)
    with attending(b, draw_attention(b, center, onset=onset * b.dt)):
        equal(b.run(), b.base, at=slice(onset), steps=slice(onset))


# Dense simulators
def has_reference(b):
    options = b.network.options
    if (
        not b.network.is_double
        or options["dt"] != 1 * bs.ms
        or b.network.neuron not in ("ASN", "switchable", "IF", "LIF")
    ):
        return False
    if b.network.gate is None:
        return True
    one_gate = b.network.gate in ("sticky", "dynamic", "none") or (
        b.network.learns and b.network.leak == 1 and np.all(b.steps_of("onset") == 0)
    )
    return one_gate and b.network.neuron == "IF" and b.trial["offset"] is None


@relation("dense simulator", has_reference)
def dense(b):
    if b.network.gate is None:
        return _dense(b)
    model, images, thresholds = b.network.model, b.trial["images"], b.network.options["thresholds"]
    # A pixel whose gate is closed does not spike: the spikes that passed are the input.
    passed, epsilon = b.signs().astype(float), b.network.options["feedback"].epsilon
    if b.network.learns:
        b.run()
        rasters, weights = simulate_learning(model, passed, images, thresholds, 0.02, 2.0, "dynamic", epsilon)
        np.testing.assert_array_equal(b.base.raster("prediction"), np.stack(rasters))
        (learned,) = b.snn.learned_weights.values()
        (projection,) = (p for p in b.snn.projections if getattr(p, "plastic", False))
        i, j, _ = projection.to_coo()
        return np.testing.assert_allclose(learned, weights[i, j], atol=1e-12)
    expected = simulate_feedback(
        model, passed, images, thresholds, b.network.leak, epsilon, b.network.gate, onset=b.steps_of("onset")
    )
    for name, spikes in expected["spikes"].items():
        np.testing.assert_array_equal(b.base.raster(name).reshape(spikes.shape), spikes, err_msg=name)
    np.testing.assert_array_equal(b.base.predicted_input, expected["predictions"])
    np.testing.assert_array_equal(b.base.gate, expected["gate"])
    np.testing.assert_allclose(b.base.output, expected["logits"], rtol=0, atol=1e-9)


def _dense(b):
    options = b.network.options
    known = {
        "m_f": b.network.m_f, "neuron": {"IF": "if", "LIF": "lif"}.get(b.network.neuron, "asn"), "schedule": options["schedule"],
        "average_pooling": options["average_pooling"], "thresholds": options.get("thresholds"), "leak": b.network.leak,
    }  # fmt: skip
    for k in range(b.n):
        if b.network.draws_input:
            expected = simulate(b.network.model, spikes=b.signs()[k : k + 1], **known)
        else:
            on, off = (b.steps_of(key)[k] for key in ("onset", "offset"))
            expected = simulate(
                b.network.model, b.trial["images"][k : k + 1], b.n_steps, onset=on, offset=off,
                background=b.trial["background"], **known,
            )  # fmt: skip
        if b.network.neuron == "LIF":  # its reset acts on what is recorded, after the spike test
            expected["S"] = {}
        _compare_dense(b.base, expected, k)


def _compare_dense(result, expected, k):
    for name, spikes in expected["spikes"].items():
        np.testing.assert_array_equal(result.raster(name, [k]).reshape(spikes.shape), spikes, err_msg=name)
    outputs = expected["output"]
    outputs = outputs if isinstance(outputs, dict) else {next(iter(result.outputs)): outputs}
    for name, values in outputs.items():
        np.testing.assert_allclose(result.outputs[name][k].ravel(), values.ravel(), rtol=0, atol=1e-9, err_msg=name)
    for name, values in expected["S"].items():
        for variable in ("S", "v"):
            if variable in result.states.get(name, {}):
                found = result.states[name][variable][k]
                np.testing.assert_allclose(
                    found.ravel(), values.ravel(), rtol=0, atol=1e-9, err_msg=f"{name} {variable}"
                )
