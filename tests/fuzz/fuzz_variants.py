"""Other ways to build a network, which give the same results."""

import numpy as np
from fuzz_equal import ROUNDING, contents, equal, relations
from fuzz_relations import attends, changed, draw_attention, draw_parameter, without_bias

from brainsnn.builders.copying import copy_network

__all__ = ["VARIANTS"]

VARIANTS, relation = relations()


@relation("recording less")
def recording(b):
    """Some of the neurons and variables are recorded; the rest is what it was."""
    kept, whole = {}, contents(b.base)
    for layer, variables in b.network.record.items():
        shape = b.snn.graph.populations[layer].shape
        mask = b.rng.random(shape) < 0.5
        mask.flat[b.rng.integers(mask.size)] = True
        if b.rng.random() < 0.7:
            kept[layer] = {v: mask for v in variables if b.rng.random() < 0.7}
    result = b.run(b.network.convert(record=kept))
    equal_parts = contents(result)
    for (kind, layer, variable), values in equal_parts.items():
        expected = whole[kind, layer, variable]
        mask = kept.get(layer, {}).get("spikes" if kind == "spikes" else variable)
        if kind == "spikes":
            expected = expected & mask
        elif kind == "state" and mask is not None:
            expected = expected[..., mask.ravel()]
        np.testing.assert_array_equal(values, expected, err_msg=f"{kind} {layer} {variable}")
    assert {key[1] for key in equal_parts if key[0] == "spikes"} == {n for n, v in kept.items() if "spikes" in v}


@relation("copy")
def copy(b):
    """The copy of an attended network with changed parameters is not attended, and has the parameters."""
    layer, values = draw_parameter(b)
    with changed(b.snn, layer, **values):
        if attends(b):
            b.snn.attend(draw_attention(b, b.rng.random(2)))
        other = copy_network(b.snn, b.network.record)
        b.snn.attend(None)
        there = b.run()
    equal(b.run(other), there)


@relation("connectivity", lambda b: b.network.is_double)
def connectivity(b):
    choices = {"event_driven": "synapses", "synapses": "event_driven"}
    other = b.network.convert(connectivity=choices[b.snn.connectivity])
    equal(b.run(other), b.base, tolerance=ROUNDING)
    b.run()
    for name, weights in b.snn.learned_weights.items():
        np.testing.assert_allclose(other.learned_weights[name], weights, atol=ROUNDING)


@relation("threads", lambda b: b.network.is_double)
def threads(b):
    equal(b.run(b.network.convert(threads=2)), b.base, tolerance=ROUNDING)


@relation("device", lambda b: b.network.is_double and b.network.is_small and not b.network.is_noisy)
def device(b):
    choices = {"cpp_standalone": "runtime", "runtime": "cpp_standalone"}
    other = b.network.convert(device=choices[b.snn.device])
    # Devices draw other random numbers.
    given = {"spikes": b.signs()} if b.network.draws_input else {}
    equal(b.run(other, **given), b.base, tolerance=ROUNDING)


def hops(graph, encoder):
    """Return the number of steps by which each population lags behind in the pipelined schedule; None if paths differ."""
    delays = {graph.input.name: {0}}
    for name in graph.populations:
        for projection in graph.incoming(name):
            is_spike = projection.mode == "spikes" and (encoder == "poisson" or projection.source != graph.input.name)
            delays.setdefault(name, set()).update(d + is_spike for d in delays[projection.source])
    return None if any(len(d) > 1 for d in delays.values()) else {name: min(d) for name, d in delays.items()}


@relation(
    "schedule",
    lambda b: b.network.is_double and b.network.starts_at_zero and b.network.gate is None
    and b.network.neuron != "noisy" and hops(b.snn.graph, b.snn.encoder) is not None,
)  # fmt: skip
def schedule(b):
    """In a chain without biases, each layer is as many steps late in the pipelined schedule as there are layers before it."""
    choices = {"pipelined": "synchronous", "synchronous": "pipelined"}
    networks = {name: b.network.convert(schedule=name) if name != b.snn.schedule else b.snn for name in choices}
    given = {"spikes": b.signs()} if b.network.draws_input else {}
    with without_bias(*networks.values()):
        late, now = (contents(b.run(networks[name], **given)) for name in choices)
    delays = hops(b.snn.graph, b.snn.encoder)
    for key, values in late.items():
        if key[0] != "count":
            d, n = delays[key[1]], b.n_steps
            assert_close = np.testing.assert_array_equal if key[0] == "spikes" else np.testing.assert_allclose
            assert_close(
                values[:, d:], now[key][:, : n - d], **({} if key[0] == "spikes" else {"atol": 1e-9, "rtol": 0})
            )
