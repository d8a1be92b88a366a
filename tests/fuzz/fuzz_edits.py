"""Random edits of neuron models in random networks, against plain Brian2 objects written from the printed equations."""

import numpy as np
from brian2 import ms, prefs
from example_models import randomise
from fuzz_networks import (
    BLOCKS,
    POOLING,
    Builder,
    Choices,
    dense,
    max_pooling,
    max_pooling_first,
    plain,
    residual,
)  # fmt: skip
from fuzz_runs import UNOPTIMISED
from hypothesis import strategies as st
from keras import Model, layers
from printed_network import PlainNetwork
from random_edits import draw_neuron

import brainsnn as bs
from brainsnn.builders.devices.active_device import preferences

__all__ = ["case"]

N_STEPS = 25


def stream(x, b):
    """A residual stream that three layers read: junctions, the second one with a junction upstream."""
    x = b.conv(b.spikes(x), 2)
    for _ in range(2):
        x = layers.Add(name=b.name("add"))([x, b.conv(b.spikes(x), 2)])
    return b.spikes(x)


def membrane_pooling(x, b):
    return layers.AveragePooling2D(2, name=b.name("average"))(b.spikes(b.conv(x)))


#: The first has all kinds of connection but pooling.
ARCHITECTURES = [
    (stream,), (plain, dense), (plain, residual), *((block,) for block in BLOCKS if block not in POOLING),
]  # fmt: skip
POOLED = [
    (plain, max_pooling_first), (max_pooling, plain), (membrane_pooling, plain), (residual, max_pooling), (max_pooling_first,),
]  # fmt: skip


def build(blocks, seed):
    x = inputs = layers.Input((4, 4, 2), name="input")
    b = Builder(layers.ReLU)
    for block in blocks:
        x = block(x, b)
    model = Model(inputs, layers.Dense(3, name="readout")(layers.Flatten(name="flat")(x)))
    return randomise(model, seed)


def variables(model):
    """Return the state variables and expressions of a model that every device can record for each neuron."""
    return [
        eq.varname for eq in model.brian_equations.values()
        if (eq.type != "parameter" or eq.varname in {"v", "I", "S", "A", "seen", "count_"}) and "shared" not in eq.flags
        and eq.varname != "stimulus"
    ]  # fmt: skip


def draw_run(choose, model, encoder):
    """Return arguments of a run of one image, in steps, and those of `PlainNetwork.run`."""
    rng = np.random.default_rng(choose(range(1000)))
    shape = tuple(model.input_shape[1:])
    if encoder == "poisson":
        return {"signs": rng.choice([-1, 0, 1], p=[0.1, 0.4, 0.5], size=(N_STEPS, *shape)).astype(np.int8)}
    return {
        "image": rng.random(shape) * choose([1.0, 2.0]), "onset": choose([0, 3]), "offset": choose([None, 17]),
        "background": choose([0.0, 0.5]),
    }  # fmt: skip


def run(snn, drawn):
    """Run one image twice: the second time, everything must have been reset."""
    if "signs" in drawn:
        return snn.run(spikes=np.stack([drawn["signs"]] * 2), duration=N_STEPS * snn.dt * 1000 * ms)
    step = snn.dt * 1000 * ms
    times = {key: drawn[key] * step for key in ("onset", "offset") if drawn[key] is not None}
    background = {"background": drawn["background"]} if drawn["onset"] or drawn["offset"] else {}
    return snn.run(np.stack([drawn["image"]] * 2), duration=N_STEPS * step, **times, **background)


def given_parameters(choose, snn):
    """Set a per-neuron parameter of each population to random values, and return them."""
    rng, given = np.random.default_rng(choose(range(1000))), {}
    for name, model in snn.models.items():
        names = [p for p in snn.parameters[name] if p in model.parameters and "shared" not in model.definition(p)]
        if not names or snn.graph.populations[name].kind != "spiking":
            continue
        parameter = choose(names)
        value = model.parameters[parameter] * rng.uniform(0.8, 1.2, snn.graph.populations[name].size)
        snn.set_parameters(name, **{parameter: value})
        given[name] = {p: getattr(snn.populations[name], p)[:] for p in names}
    return given


def compare(snn, result, spikes, states):
    """Compare both trials of a run with the plain network."""
    for trial in range(2):
        for name, expected in spikes.items():
            if name in result.spikes:
                found = result.raster(name)[trial].reshape(expected.shape)
                np.testing.assert_array_equal(found, expected, err_msg=f"spikes of {name}, trial {trial}")
        for name, values in states.items():
            for variable, expected in values.items():
                found = np.asarray(result.states[name][variable])[trial]
                scale = max(1e-30, np.abs(expected).max())
                message = f"{variable} of {name}, trial {trial}"
                np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9 * scale, err_msg=message)


def case(draw, check):
    """Convert a random network with an edited neuron, and compare everything with plain Brian2."""
    choose = Choices(draw(st.integers(0, 2**32 - 1)))
    name, unedited, neuron = draw_neuron(choose)
    # Only the membrane of ASN can be pooled; the others must be refused.
    blocks = choose(choose([ARCHITECTURES, POOLED] if name == "ASN" else [ARCHITECTURES] * 19 + [POOLED]))
    device = choose(["cpp_standalone", "cpp_standalone", "cpp_standalone", "runtime"])
    if device == "runtime":
        blocks = blocks[:1]
    if choose([False, False, True]):
        neuron = {"spiking_1": unedited, ...: neuron}
    options = {
        "neuron": neuron, "device": device, "dtype": "float64", "schedule": choose(["pipelined", "synchronous"]),
        "connectivity": choose(["event_driven", "synapses"]), "dt": choose([1, 0.5]) * ms,
        "encoder": choose(["poisson"] * 9 + ["current"]) if name == "IF" else choose(["current", "current", "poisson"]),
        "average_pooling": "membrane" if membrane_pooling in blocks else "spikes",
    }  # fmt: skip
    model = build(blocks, choose(range(100)))
    sets = choose([False, True])

    def compare_all():
        record = {
            n: ["spikes"] * (m.threshold is not None) + variables(m)
            for n, m in bs.convert(model, **options).models.items()
        }
        snn = bs.convert(model, record=record, **options)
        given = given_parameters(choose, snn) if sets else {}
        drawn = draw_run(choose, model, options["encoder"])
        check.runs += 1
        with preferences(UNOPTIMISED):
            result = run(snn, drawn)
        plain_run = {k: v for k, v in drawn.items() if k in ("image", "background", "signs")}
        for key in ("onset", "offset"):
            if drawn.get(key) is not None:
                plain_run[key] = drawn[key] * snn.dt
        target, prefs.codegen.target = prefs.codegen.target, "numpy"
        try:
            network = PlainNetwork(snn, given)
            spikes, states = network.run(
                N_STEPS, {n: [v for v in r if v != "spikes"] for n, r in record.items()}, **plain_run
            )
        finally:
            prefs.codegen.target = target
        compare(snn, result, spikes, states)

    check(f"edits, {name}", compare_all)
