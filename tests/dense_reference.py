"""Dense float64 simulator of a converted network: what brainsnn is compared with, spike for spike.

Written from the equations of the design alone; it imports neither brainsnn nor Keras (layers are known by
their class names and read through their attributes). A Keras model is walked layer by layer at every time
step, as a dense ANN-to-SNN simulator does:

- every linear layer is applied, *without* its bias, to the tensors of this step's currents (`simulate`);
- one static walk with zero input and *with* the biases gives every nonlinearity its bias map (`static_maps`);
- every nonlinearity is a population of neurons with an array of state variables.

A tensor of currents is a dict of parts, because each part is filtered differently where it arrives:
``"stimulus"`` (no synaptic filter), ``"spikes"`` (spike times height, filtered with tau_beta) and
``"membrane"`` (already filtered twice, behind a max pooling of currents). A missing part is zero.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

__all__ = ["simulate", "activations", "spike_height", "transfer", "read_model", "static_maps"]

DT = 1.0  # ms
TIME_CONSTANTS = {"phi": 2.5, "beta": 50.0, "eta": 50.0, "gamma": 15.0, "readout": 50.0}  # ms

IDENTITY_LAYERS = {"Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "Identity"}
SPIKING = {"relu", "ASNTransfer"}


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
# Convolution geometry, TensorFlow's
# ----------------------------------------------------------------------------------------------------
def _pair(value):
    return (value, value) if np.isscalar(value) else tuple(value)


def axis_geometry(size, window, stride, padding, dilation=1):
    """Output size and zeros before and after along one axis of a convolution or pooling."""
    extent = (window - 1) * dilation + 1
    if padding == "valid":
        return (size - extent) // stride + 1, 0, 0
    if padding != "same":
        raise ValueError(f"padding {padding!r} is not 'same' or 'valid'")
    n_out = -(-size // stride)
    total = max((n_out - 1) * stride + extent - size, 0)
    return n_out, total // 2, total - total // 2


def taps(x, window, strides, padding, dilation=(1, 1), fill=0.0):
    """Yield (i, j, view): for each tap of the window, the input (n, H_out, W_out, C) that it sees."""
    rows, top, bottom = axis_geometry(x.shape[1], window[0], strides[0], padding, dilation[0])
    cols, left, right = axis_geometry(x.shape[2], window[1], strides[1], padding, dilation[1])
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
    for i, j in np.ndindex(*window):
        row, col = i * dilation[0], j * dilation[1]
        yield i, j, x[:, row : row + (rows - 1) * strides[0] + 1 : strides[0],
                      col : col + (cols - 1) * strides[1] + 1 : strides[1]]  # fmt: skip


def conv2d(x, kernel, strides=(1, 1), padding="valid", dilation=(1, 1), groups=1):
    """Convolution of x (n, H, W, C_in) with kernel (kh, kw, C_in / groups, C_out)."""
    inputs, kernels = np.split(x, groups, axis=-1), np.split(kernel, groups, axis=-1)
    outputs = []
    for part, weights in zip(inputs, kernels):
        views = taps(part, kernel.shape[:2], strides, padding, dilation)
        outputs.append(sum(view @ weights[i, j] for i, j, view in views))
    return np.concatenate(outputs, axis=-1)


def depthwise_conv2d(x, kernel, strides=(1, 1), padding="valid", dilation=(1, 1)):
    """Depthwise convolution with kernel (kh, kw, C, m): output channel c*m + k sees input channel c."""
    views = taps(x, kernel.shape[:2], strides, padding, dilation)
    out = sum(view[..., None] * kernel[i, j] for i, j, view in views)
    return out.reshape(out.shape[:3] + (-1,))


def conv2d_transpose(x, kernel, size, strides=(1, 1), padding="valid", dilation=(1, 1)):
    """Adjoint of the convolution from (n, *size, C_out) to x (n, h, w, C_in).

    The kernel is (kh, kw, C_out, C_in).
    """
    rows, cols = x.shape[1:3]
    kh, kw = kernel.shape[:2]
    n_rows, top, bottom = axis_geometry(size[0], kh, strides[0], padding, dilation[0])
    n_cols, left, right = axis_geometry(size[1], kw, strides[1], padding, dilation[1])
    if (n_rows, n_cols) != (rows, cols):
        raise ValueError(f"a transposed convolution cannot map {(rows, cols)} to {tuple(size)}")
    out = np.zeros((x.shape[0], size[0] + top + bottom, size[1] + left + right, kernel.shape[2]))
    for i, j in np.ndindex(kh, kw):
        row, col = i * dilation[0], j * dilation[1]
        out[:, row : row + (rows - 1) * strides[0] + 1 : strides[0],
            col : col + (cols - 1) * strides[1] + 1 : strides[1]] += x @ kernel[i, j].T  # fmt: skip
    return out[:, top : top + size[0], left : left + size[1]]


def max_pool(x, window, strides, padding):
    """Maximum over each window; padding never wins."""
    views = [view for _, _, view in taps(x, window, strides, padding, fill=-np.inf)]
    return np.max(views, axis=0)


def average_pool(x, window, strides, padding):
    """Mean over each window; padding is not counted."""
    total = sum(view for _, _, view in taps(x, window, strides, padding))
    count = sum(view for _, _, view in taps(np.ones((1,) + x.shape[1:]), window, strides, padding))
    return total / count


# ----------------------------------------------------------------------------------------------------
# Keras layers as linear operators: operator(tensors, with_bias) -> tensor
# ----------------------------------------------------------------------------------------------------
def _weights(variable):
    return None if variable is None else np.asarray(variable, dtype=np.float64)


def _with_bias(linear, layer):
    """Operator of one tensor that adds the layer's bias when asked to."""
    bias = _weights(layer.bias) if layer.use_bias else None

    def operator(tensors, with_bias):
        out = linear(tensors[0])
        return out + bias if with_bias and bias is not None else out

    return operator


def _without_bias(linear):
    return lambda tensors, with_bias: linear(tensors[0])


def convolution_operator(layer, out_shape):
    """Operator of a Conv2D, DepthwiseConv2D, SeparableConv2D or Conv2DTranspose."""
    geometry = dict(strides=_pair(layer.strides), padding=layer.padding, dilation=_pair(layer.dilation_rate))
    kind = type(layer).__name__
    if kind == "SeparableConv2D":
        depthwise, pointwise = _weights(layer.depthwise_kernel), _weights(layer.pointwise_kernel)
        return _with_bias(lambda x: conv2d(depthwise_conv2d(x, depthwise, **geometry), pointwise), layer)
    kernel = _weights(layer.kernel)
    if kind == "DepthwiseConv2D":
        return _with_bias(lambda x: depthwise_conv2d(x, kernel, **geometry), layer)
    if kind == "Conv2DTranspose":
        return _with_bias(lambda x: conv2d_transpose(x, kernel, out_shape[:2], **geometry), layer)
    return _with_bias(lambda x: conv2d(x, kernel, groups=layer.groups, **geometry), layer)


def batch_norm_operator(layer, n_axes):
    """Operator of a BatchNormalization at inference: scale*x, and bias beta - mean*scale."""
    axis = layer.axis if np.isscalar(layer.axis) else layer.axis[0]
    if axis not in (-1, n_axes):
        raise NotImplementedError(f"{layer.name}: BatchNormalization over axis {axis}, not the last")
    scale = 1 / np.sqrt(_weights(layer.moving_variance) + layer.epsilon)
    if layer.scale:
        scale = scale * _weights(layer.gamma)
    bias = -_weights(layer.moving_mean) * scale
    if layer.center:
        bias = bias + _weights(layer.beta)
    return lambda tensors, with_bias: tensors[0] * scale + (bias if with_bias else 0.0)


def pool_function(layer):
    """Function of one tensor for a pooling layer."""
    kind = type(layer).__name__
    if kind == "GlobalAveragePooling2D":
        return lambda x: x.mean(axis=(1, 2), keepdims=layer.keepdims)
    pool = max_pool if kind == "MaxPooling2D" else average_pool
    return lambda x: pool(x, _pair(layer.pool_size), _pair(layer.strides), layer.padding)


def shape_function(layer, out_shape):
    """Function of one tensor for a layer that only moves values, or None."""
    kind = type(layer).__name__
    if kind in ("Flatten", "Reshape"):
        return lambda x: x.reshape((x.shape[0],) + tuple(out_shape))
    if kind == "ZeroPadding2D":
        return lambda x: np.pad(x, ((0, 0), *layer.padding, (0, 0)))
    if kind == "UpSampling2D":
        if layer.interpolation != "nearest":
            raise NotImplementedError(f"{layer.name}: interpolation {layer.interpolation!r}")
        rows, cols = _pair(layer.size)
        return lambda x: x.repeat(rows, axis=1).repeat(cols, axis=2)
    return None


def linear_operator(layer, out_shape):
    """operator(tensors, with_bias) of a linear Keras layer; `out_shape` is without the batch axis."""
    kind = type(layer).__name__
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise NotImplementedError(f"{layer.name}: data_format {layer.data_format!r}")
    if kind in ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose"):
        return convolution_operator(layer, out_shape)
    if kind == "Dense":
        kernel = _weights(layer.kernel)
        return _with_bias(lambda x: x @ kernel, layer)
    if kind == "BatchNormalization":
        return batch_norm_operator(layer, len(out_shape))
    if kind in ("AveragePooling2D", "GlobalAveragePooling2D"):
        return _without_bias(pool_function(layer))
    if kind == "Add":
        return lambda tensors, with_bias: sum(tensors)
    if kind == "Subtract":
        return lambda tensors, with_bias: tensors[0] - tensors[1]
    if kind == "Concatenate":
        return lambda tensors, with_bias: np.concatenate(tensors, axis=layer.axis)
    move = shape_function(layer, out_shape)
    if move is None:
        raise NotImplementedError(f"{layer.name}: layer class {kind}")
    return _without_bias(move)


# ----------------------------------------------------------------------------------------------------
# Reading the Keras graph
# ----------------------------------------------------------------------------------------------------
@dataclass
class Node:
    """One stage of the walk: kind is input, linear, max_pool, population, readout."""

    kind: str
    name: str
    sources: list
    target: object
    shape: tuple  # of the output, without the batch axis
    operator: Callable | None = None  # linear: operator(tensors, with_bias)
    pool: Callable | None = None  # max_pool; population: pooling of its membrane
    activation: str = "linear"  # readout
    source_shapes: list = field(default_factory=list)


def activation_of(layer):
    """Name of the layer's nonlinearity: relu, ASNTransfer, softmax, sigmoid, ...; linear when it has none."""
    kind = type(layer).__name__
    if kind == "ASNTransfer":
        return kind
    if kind == "ReLU":
        if layer.max_value is not None or layer.negative_slope or layer.threshold:
            raise NotImplementedError(f"{layer.name}: ReLU with max_value, negative_slope or threshold")
        return "relu"
    if kind == "Softmax":
        return "softmax"
    activation = getattr(layer, "activation", None)
    return "linear" if activation is None else getattr(activation, "__name__", type(activation).__name__)


def keras_nodes(model):
    """Yield (layer, ids of its input tensors, id of its output tensor, output shape) in topological order."""
    functional = getattr(model, "_functional", model)  # a built Sequential holds a functional model
    for _, nodes in sorted(functional._nodes_by_depth.items(), reverse=True):
        for node in nodes:
            (output,) = node.outputs
            inputs = [id(tensor) for tensor in node.arguments.keras_tensors]
            yield node.operation, inputs, id(output), tuple(output.shape[1:])


def layer_stages(layer, sources, target, shape):
    """Stages of one Keras layer: its linear part, then its nonlinearity."""
    kind, activation = type(layer).__name__, activation_of(layer)
    stages = []
    if kind == "InputLayer":
        return [Node("input", layer.name, [], target, shape)]
    if kind == "MaxPooling2D":
        return [Node("max_pool", layer.name, sources, target, shape, pool=pool_function(layer))]
    if kind not in {"ASNTransfer", "ReLU", "Softmax", "Activation"}:
        middle = target if activation == "linear" else (target, "linear")
        stages.append(Node("linear", layer.name, sources, middle, shape, linear_operator(layer, shape)))
        sources = [middle]
    if activation != "linear":
        role = "population" if activation in SPIKING else "readout"
        stages.append(Node(role, layer.name, sources, target, shape, activation=activation))
    return stages


def merge_pools(nodes, average_layers):
    """Let a population that only a pooling reads pool its membrane, and spike at the pooled size."""
    readers = {}
    for node in nodes:
        for source in node.sources:
            readers.setdefault(source, []).append(node)
    merged = []
    for node in nodes:
        pools = [r for r in readers.get(node.target, []) if r.kind == "max_pool" or r.name in average_layers]
        if node.kind == "population" and pools:
            if len(readers[node.target]) > 1:
                raise NotImplementedError(f"{node.name}: read by a membrane pooling and by other layers")
            pool = pools[0]
            node.pool = pool.pool or (lambda x, mean=pool.operator: mean([x], False))
            node.shape, node.target = pool.shape, pool.target
            merged.append(pool)
    return [node for node in nodes if not any(node is pool for pool in merged)]


def read_model(model, average_pooling="spikes"):
    """List of `Node`, in topological order, of a functional or Sequential Keras model."""
    alias, nodes, average_layers = {}, [], set()
    for layer, sources, target, shape in keras_nodes(model):
        sources = [alias.get(s, s) for s in sources]
        kind = type(layer).__name__
        if kind in IDENTITY_LAYERS or (kind == "Activation" and activation_of(layer) == "linear"):
            alias[target] = sources[0]
            continue
        if kind in ("AveragePooling2D", "GlobalAveragePooling2D") and average_pooling == "membrane":
            average_layers.add(layer.name)
        nodes += layer_stages(layer, sources, target, shape)
    functional = getattr(model, "_functional", model)
    outputs = [alias.get(id(t), id(t)) for t in functional.outputs]
    nodes = merge_pools(nodes, average_layers)
    by_target = {node.target: node for node in nodes}
    for node in nodes:
        if node.kind == "readout" and node.target not in outputs:
            raise NotImplementedError(f"{node.name}: activation {node.activation!r} before the output")
    for output in outputs:
        last = by_target[output]
        if last.kind != "readout":  # no activation: the readout is named after the last layer
            nodes.append(Node("readout", last.name, [output], (output, "readout"), last.shape))
    shapes = {node.target: node.shape for node in nodes}
    for node in nodes:
        node.source_shapes = [shapes[s] for s in node.sources]
    return nodes


def static_maps(nodes):
    """Bias map (1, ...) that arrives at every max pooling, population and readout, by the node's target."""
    tensors, maps = {}, {}
    for node in nodes:
        inputs = [tensors[s] for s in node.sources]
        if node.kind == "linear":
            tensors[node.target] = node.operator(inputs, True)
            continue
        if inputs:
            maps[node.target] = inputs[0]
        passes_on = node.kind == "max_pool"
        tensors[node.target] = node.pool(inputs[0]) if passes_on else np.zeros((1,) + node.shape)
    return maps


def apply_linear(node, inputs):
    """The linear layer, without bias, on each part of its input tensors."""
    out = {}
    for part in {part for tensor in inputs for part in tensor}:
        n_images = next(len(tensor[part]) for tensor in inputs if part in tensor)
        silent = [np.zeros((n_images,) + shape) for shape in node.source_shapes]
        out[part] = node.operator([t.get(part, zeros) for t, zeros in zip(inputs, silent)], False)
    return out


# ----------------------------------------------------------------------------------------------------
# Units: what stands at a max pooling, a population, a readout. step(parts) -> parts
# ----------------------------------------------------------------------------------------------------
class Membrane:
    """Synaptic filter I and membrane S_dyn of the currents that arrive."""

    def __init__(self, gain=1.0, tau="phi"):
        self.gain, self.e = gain, decay(tau)
        self.I = self.S_dyn = 0.0

    def step(self, parts):
        """S_dyn of this step, from an I that already holds this step's input."""
        self.I = self.I * decay("beta") + parts.get("spikes", 0.0)
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


class AnalogPopulation:
    """The artificial neuron: a function of the currents of this step, plus bias."""

    def __init__(self, node, bias, function):
        self.bias, self.function, self.pool = bias, function, node.pool or (lambda x: x)

    def step(self, parts):
        """The activation, at the pooled size where the population pools."""
        self.S = sum(parts.values()) + self.bias
        return {"spikes": self.pool(self.function(self.S))}


class Readout:
    """Smooths (asn), accumulates (if) or passes (analog) its input; its output is the activation of S."""

    def __init__(self, node, bias, neuron):
        self.activation, self.bias, self.neuron = node.activation, bias, neuron
        self.membrane = Membrane(tau="readout") if neuron == "asn" else SumOfParts()
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
            if neuron == "if":
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
    neuron : {"asn", "if"}
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
    if neuron not in ("asn", "if"):
        raise ValueError(f"neuron {neuron!r} is not 'asn' or 'if'")
    parameters, thresholds = parameters or {}, thresholds or {}
    nodes = read_model(model, average_pooling)
    steps = _check(nodes, images, spikes, steps, {*parameters, *thresholds})

    def make_population(node, bias):
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
