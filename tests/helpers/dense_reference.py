"""Dense float64 simulator of a converted network: what brainsnn is compared with, spike for spike.

Written from the equations of the design alone; it imports neither brainsnn nor Keras (layers are known by
their class names and read through their attributes). A Keras model is walked layer by layer at every time
step, as a dense ANN-to-SNN simulator does:

- every linear layer is applied, *without* its bias, to the tensors of this step's currents (`simulate`; `dense_layers`);
- one static walk with zero input and *with* the biases gives every nonlinearity its bias map (`dense_graph`);
- every nonlinearity is a population of neurons with an array of state variables.

A tensor of currents is a dict of parts, because each part is filtered differently where it arrives:
``"stimulus"`` (no synaptic filter), ``"spikes"`` (spike times height, filtered with tau_beta) and
``"membrane"`` (already filtered twice, after a max pooling of currents). A missing part is zero.
"""

import numpy as np
from dense_graph import apply_linear, read_model, static_maps

__all__ = ["simulate", "activations", "spike_height", "transfer"]

DT = 1.0  # ms
TIME_CONSTANTS = {"phi": 2.5, "beta": 50.0, "eta": 50.0, "gamma": 15.0, "readout": 50.0, "m": 20.0, "s": 5.0}  # ms


def decay(tau):
    """Factor by which a variable with time constant `tau` (ms) decays in one step."""
    return np.exp(-DT / TIME_CONSTANTS[tau])


# ----------------------------------------------------------------------------------------------------
# Transfer function
# ----------------------------------------------------------------------------------------------------
def _raw_transfer(S, m_f):
    """1/(exp((c1 S + c2)/(c3 S + c4)) - 1), the transfer function before its scale and offset."""
    t_g, t_e = TIME_CONSTANTS["gamma"], TIME_CONSTANTS["eta"]
    c1 = 2 * m_f * t_g**2
    c2 = 2 * m_f * t_e * t_g
    c3 = t_g * (m_f * t_g + 2 * (m_f + 1) * t_e)
    c4 = m_f * t_e * (t_g + t_e)
    return 1 / (np.exp((c1 * S + c2) / (c3 * S + c4)) - 1)


def spike_height(m_f):
    """Height h of a spike (float or array like `m_f`), chosen so that the transfer function is 1 at S = 1."""
    m_f = np.asarray(m_f, dtype=np.float64)
    return 1 / (_raw_transfer(1.0, m_f) - _raw_transfer(m_f / 2, m_f) + 0.5)


def transfer(S, m_f=0.1, h=None):
    """Mean output of a neuron for a constant signal `S`, zero where the formula is negative or S is."""
    h = spike_height(m_f) if h is None else h
    S = np.maximum(S, 0.0)
    return np.maximum(h * (_raw_transfer(S, m_f) - _raw_transfer(m_f / 2, m_f) + 0.5), 0.0)


# ----------------------------------------------------------------------------------------------------
# Units: what stands at a max pooling, a population, a readout. step(parts) -> parts
# ----------------------------------------------------------------------------------------------------
class Membrane:
    """Synaptic filter I and membrane S_dyn of the currents that arrive."""

    def __init__(self, gain=1.0, tau="phi", synapse="beta"):
        self.gain, self.e, self.synapse = gain, decay(tau), decay(synapse)
        self.I = self.S_dyn = 0.0

    def step(self, parts):
        """S_dyn of this step, from an I that already holds this step's input."""
        self.I = self.I * self.synapse + parts.get("spikes", 0.0)
        drive = self.I + parts.get("stimulus", 0.0)
        self.S_dyn = (1 - self.e) * self.gain * drive + self.e * self.S_dyn
        return self.S_dyn + self.gain * parts.get("membrane", 0.0)


class SumOfParts:
    """Membrane without dynamics: for integrate-and-fire neurons and for analog activations."""

    def step(self, parts):
        """All currents of this step."""
        return sum(parts.values())


class MaxPoolUnit:
    """Maximum over the membranes of currents; what arrives at zero input is left to the static bias."""

    def __init__(self, node, bias, membrane):
        self.pool, self.membrane, self.bias = node.pool, membrane, bias
        self.uniform = np.all(np.ptp(bias, axis=(1, 2)) == 0)

    def step(self, parts):
        """Maximum of S_dyn + bias, less the maximum of the bias; the part is named membrane."""
        S_dyn = self.membrane.step(parts)
        if self.uniform:
            return {"membrane": self.pool(S_dyn)}
        return {"membrane": self.pool(S_dyn + self.bias) - self.pool(self.bias)}


class ASNPopulation:
    """Adaptive spiking neurons; with a pool, S is pooled and the neurons stand at the pooled size."""

    def __init__(self, node, bias, m_f=0.1, gain=1.0, h=None):
        self.m_f = np.asarray(m_f, dtype=np.float64)
        self.h = spike_height(self.m_f) if h is None else np.asarray(h, dtype=np.float64)
        self.membrane = Membrane(np.asarray(gain, dtype=np.float64))
        self.pool, self.bias = node.pool, bias
        self.S_hat = self.theta_dyn = 0.0

    def step(self, parts):
        """Integrate, test for spikes, reset, and let the threshold decay."""
        self.S = self.membrane.step(parts) + self.bias
        if self.pool is not None:
            self.S = self.pool(self.S)
        self.S_hat = self.S_hat * decay("eta")
        theta = self.m_f + self.theta_dyn
        self.spikes = self.S - self.S_hat > theta / 2
        self.S_hat = self.S_hat + theta * self.spikes
        self.theta_dyn = (self.theta_dyn + self.m_f * theta * self.spikes) * decay("gamma")
        return {"spikes": self.h * self.spikes}


class IFPopulation:
    """Integrate-and-fire neurons with soft reset; the bias is a constant current."""

    def __init__(self, node, bias, threshold=1.0, leak=1.0):
        if node.pool is not None:
            raise NotImplementedError(f"{node.name}: membrane pooling of integrate-and-fire neurons")
        self.bias, self.threshold, self.leak = bias, threshold, leak
        self.S = self.spikes = 0.0

    def step(self, parts):
        """Leak and reset the v that was tested last, add the input, test."""
        self.S = self.leak * self.S - self.threshold * self.spikes + sum(parts.values()) + self.bias
        self.spikes = self.S > self.threshold
        return {"spikes": self.spikes * 1.0}


class LIFPopulation:
    """Leaky integrate-and-fire neurons with a filtered input and a soft reset; the bias is added to the membrane."""

    h = TIME_CONSTANTS["m"] / TIME_CONSTANTS["s"]

    def __init__(self, node, bias, threshold=1.0):
        if node.pool is not None:
            raise NotImplementedError(f"{node.name}: membrane pooling of integrate-and-fire neurons")
        self.membrane, self.bias, self.threshold = Membrane(tau="m", synapse="s"), bias, threshold
        self.spikes = 0.0

    def step(self, parts):
        """Reset what spiked last, integrate, test."""
        self.membrane.S_dyn = self.membrane.S_dyn - self.threshold * self.spikes
        self.S = self.membrane.step(parts) + self.bias
        self.spikes = self.S > self.threshold
        return {"spikes": self.h * self.spikes}


class AnalogPopulation:
    """The artificial neuron: a function of the currents of this step, plus bias."""

    def __init__(self, node, bias, function):
        self.bias, self.function, self.pool = bias, function, node.pool or (lambda x: x)

    def step(self, parts):
        """The activation, at the pooled size where the population pools."""
        self.S = sum(parts.values()) + self.bias
        return {"spikes": self.pool(self.function(self.S))}


class Readout:
    """Smooths (asn, lif), accumulates (if) or passes (analog) its input; its output is the activation of S."""

    def __init__(self, node, bias, neuron):
        self.activation, self.bias, self.neuron = node.activation, bias, neuron
        filters = {"asn": Membrane(tau="readout"), "lif": Membrane(tau="readout", synapse="s")}
        self.membrane = filters.get(neuron, SumOfParts())
        self.S = 0.0

    def step(self, parts):
        """Update S and output; nothing reads a readout."""
        before = self.S if self.neuron == "if" else 0.0
        self.S = before + self.membrane.step(parts) + self.bias
        self.output = output_activation(self.activation, self.S)
        return {}


def output_activation(name, S):
    """Activation of the readout."""
    if name == "softmax":
        powers = np.exp(S - S.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)
    functions = {"linear": lambda x: x, "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh}
    if name not in functions:
        raise NotImplementedError(f"readout activation {name!r}")
    return functions[name](S)


def build_units(nodes, make_population, neuron):
    """Unit of every max pooling, population and readout, by the node's target."""
    bias, units = static_maps(nodes), {}
    for node in nodes:
        if node.kind == "max_pool":
            if neuron in ("if", "lif"):
                raise NotImplementedError(f"{node.name}: max pooling with integrate-and-fire neurons")
            membrane = Membrane() if neuron == "asn" else SumOfParts()
            units[node.target] = MaxPoolUnit(node, bias[node.target], membrane)
        elif node.kind == "population":
            units[node.target] = make_population(node, bias[node.target])
        elif node.kind == "readout":
            units[node.target] = Readout(node, bias[node.target], neuron)
    return units


# ----------------------------------------------------------------------------------------------------
# The walk
# ----------------------------------------------------------------------------------------------------
class Delay:
    """What the spikes of each spiking node were in the step before, in the pipelined schedule."""

    def __init__(self, schedule):
        if schedule not in ("synchronous", "pipelined"):
            raise ValueError(f"schedule {schedule!r} is not 'synchronous' or 'pipelined'")
        self.pipelined, self.last = schedule == "pipelined", {}

    def step(self, target, parts):
        """The parts that act now: these ones, or those of the step before."""
        if not self.pipelined or "spikes" not in parts:
            return parts
        before = self.last.get(target, np.zeros_like(parts["spikes"]))
        self.last[target] = parts["spikes"]
        return {**parts, "spikes": before}


def walk(nodes, units, stimulus, delay):
    """One time step: all nodes in topological order; `stimulus` is the input's dict of parts."""
    tensors = {}
    for node in nodes:
        inputs = [tensors[s] for s in node.sources]
        if node.kind == "linear":
            tensors[node.target] = apply_linear(node, inputs)
        else:
            parts = stimulus if node.kind == "input" else units[node.target].step(inputs[0])
            spiking = node.kind in ("input", "population")
            tensors[node.target] = delay.step(node.target, parts) if spiking else parts


def stimulus_parts(images, spikes, steps, onset, offset, background):
    """Yield the input's dict of parts of every step."""
    for t in range(steps):
        if spikes is not None:
            yield {"spikes": np.asarray(spikes[:, t], dtype=np.float64)}
        else:
            on = t >= onset and (offset is None or t < offset)
            yield {"stimulus": images if on else np.broadcast_to(np.float64(background), images.shape)}


def _check(nodes, images, spikes, steps, layers):
    """Return the number of steps; errors for an ambiguous input or an unknown layer."""
    names = [node.name for node in nodes if node.kind == "population"]
    unknown = set(layers) - set(names)
    if unknown:
        raise ValueError(f"no population is called {sorted(unknown)}; there are {names}")
    if len(set(names)) < len(names):
        raise NotImplementedError("a nonlinearity is used more than once")
    if (images is None) == (spikes is None):
        raise ValueError("give either images or spikes")
    if sum(node.kind == "input" for node in nodes) != 1:
        raise NotImplementedError("a model with more than one input")
    if spikes is None:
        return 100 if steps is None else steps
    steps = spikes.shape[1] if steps is None else steps
    if steps > spikes.shape[1]:
        raise ValueError(f"{steps} steps asked for, but the spikes have {spikes.shape[1]}")
    return steps


def record(nodes, units, stimuli, delay):
    """Walk through all steps; dict of the spikes, S and output of the units that have them."""
    traces = {"spikes": {}, "S": {}, "output": {}}
    for stimulus in stimuli:
        walk(nodes, units, stimulus, delay)
        for node in nodes:
            unit = units.get(node.target)
            for variable in traces:
                if hasattr(unit, variable):
                    traces[variable].setdefault(node.name, []).append(getattr(unit, variable))
    result = {
        variable: {name: np.stack(trace, axis=1) for name, trace in layers.items()}
        for variable, layers in traces.items()
    }
    if len(result["output"]) == 1:
        (result["output"],) = result["output"].values()
    return result


def simulate(
    model, images=None, steps=None, *, spikes=None, m_f=0.1, neuron="asn", schedule="synchronous",
    average_pooling="spikes", parameters=None, onset=0, offset=None, background=0.0,
    thresholds=None, leak=1.0,
):  # fmt: skip
    """Simulate the spiking network of a Keras model.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential, one input, channels last.
    images : (n, H, W, C) array_like, optional
        Stimulus current, from step `onset` up to (not including) step `offset`; `background` at other times.
    steps : int, optional
        Time steps of 1 ms. Default: 100, or as many as `spikes` has.
    spikes : (n, steps, H, W, C) array_like, optional
        Input spikes -1, 0 or 1 instead of images; they have height 1 and pass the synaptic filter.
    m_f : float
        Precision of all populations without an own one.
    neuron : {"asn", "if", "lif"}
    schedule : {"synchronous", "pipelined"}
        Whether spikes (of populations, and replayed ones) act in the same step or in the next one.
    average_pooling : {"spikes", "membrane"}
        Whether the average pooling of a population averages its spikes, or its S before the spike test.
    parameters : dict, optional
        Layer name -> dict of "gain", "m_f", "h": floats or arrays that broadcast to (n, H, W, C). h follows
        from m_f unless given. Where a population pools its membrane, gain has the unpooled size, m_f and h
        the pooled one. ASN only.
    thresholds : dict, optional
        Layer name -> threshold of the integrate-and-fire neurons; 1 where not given.
    leak : float
        Factor on v of the integrate-and-fire neurons in each step (the readout never leaks).

    Returns
    -------
    dict
        "spikes": {layer: bool (n, steps, H, W, C)}; "S": {layer: float, same shape}, the value in the
        spike test (v of an integrate-and-fire neuron), also of the readout; "output": (n, steps, classes),
        or a dict {readout: array} if the model has several outputs.
    """
    if neuron not in ("asn", "if", "lif"):
        raise ValueError(f"neuron {neuron!r} is not 'asn', 'if' or 'lif'")
    parameters, thresholds = parameters or {}, thresholds or {}
    nodes = read_model(model, average_pooling)
    steps = _check(nodes, images, spikes, steps, {*parameters, *thresholds})

    def make_population(node, bias):
        if neuron == "lif":
            return LIFPopulation(node, bias, thresholds.get(node.name, 1.0))
        if neuron == "if":
            return IFPopulation(node, bias, thresholds.get(node.name, 1.0), leak)
        return ASNPopulation(node, bias, **{"m_f": m_f, **parameters.get(node.name, {})})

    units, delay = build_units(nodes, make_population, neuron), Delay(schedule)
    images = None if images is None else np.asarray(images, dtype=np.float64)
    spikes = None if spikes is None else np.asarray(spikes)
    return record(nodes, units, stimulus_parts(images, spikes, steps, onset, offset, background), delay)


def activations(model, images, nonlinearity):
    """Activations of the artificial network, by the same walk: {layer: (n, ...)}, and the output.

    `nonlinearity` stands in every population in the place of the neurons. Biases are separated as in
    `simulate`, so that comparing with ``model.predict`` tests the linear operators and the static maps.
    """
    nodes = read_model(model)
    units = build_units(nodes, lambda node, bias: AnalogPopulation(node, bias, nonlinearity), "analog")
    walk(nodes, units, {"stimulus": np.asarray(images, dtype=np.float64)}, Delay("synchronous"))
    populations = {n.name: nonlinearity(units[n.target].S) for n in nodes if n.kind == "population"}
    outputs = {n.name: units[n.target].output for n in nodes if n.kind == "readout"}
    return populations, next(iter(outputs.values())) if len(outputs) == 1 else outputs
