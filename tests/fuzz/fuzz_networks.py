"""Small random networks: a Keras model, a neuron, and the options of convert.

The architecture is one of a few, so that compiled programs and code objects are used again. Everything else is drawn freely.
"""

from dataclasses import dataclass, field

import keras
import numpy as np
from brian2 import ms
from dense_feedback_reference import balanced_thresholds
from example_models import current_based_lif, example_images, randomise
from keras import layers

import brainsnn as bs
from brainsnn.training.asn_transfer import ASNTransfer

__all__ = ["ARCHITECTURES", "NEURONS", "Choices", "Network", "draw_network"]

SMALL_NEURONS = ("ASN", "IF")
NEURONS = ("ASN", "IF", "LIF", "units", "switchable", "noisy")
GATES = ("sticky", "dynamic", "none", "graded", "contrast", "learning")


class Choices:
    """
    Choices that follow from a seed; with the seed 0, always the first one, which is the simplest.

    Hypothesis draws the seed only: it would vary a network that it knows rather than draw another one.
    """

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed) if seed else None

    def __call__(self, values):
        return values[0 if self.rng is None else self.rng.integers(len(values))]


@dataclass
class Network:
    """
    A network to be converted.

    Attributes
    ----------
    model : keras.Model
    neuron : str
        One of `NEURONS`.
    options : dict
        Of ``convert``, without ``record``.
    record : dict
    number : int
        Of the architecture.
    gate : str or None
        One of `GATES`.
    m_f : float
        Of adaptive neurons.
    leak : float
        Of integrate-and-fire neurons.
    """

    model: keras.Model
    neuron: str
    options: dict
    number: int = 0
    record: dict = field(default_factory=dict)
    gate: str | None = None
    m_f: float = 0.1
    leak: float = 1.0

    def convert(self, **changes):
        return bs.convert(self.model, **{"record": self.record, **self.options, **changes})

    @property
    def draws_input(self):
        return self.options["encoder"] == "poisson"

    @property
    def is_noisy(self):
        """Whether neurons draw random numbers even if input spikes are replayed."""
        return self.neuron == "noisy" or self.gate in ("graded", "contrast")

    @property
    def learns(self):
        return self.gate == "learning"

    @property
    def starts_at_zero(self):
        return self.neuron != "units"

    @property
    def is_small(self):
        """Whether runtime mode compiles it in a reasonable time."""
        return self.neuron in SMALL_NEURONS and self.number < len(BLOCKS)

    @property
    def is_slow(self):
        """Whether each run takes long: Brian2 prepares all objects again."""
        return self.options["device"] == "runtime"

    @property
    def is_double(self):
        return self.options["dtype"] == "float64"


# Blocks: x -> x. `spikes` makes the next spiking layer, `name` the next name.
class Builder:
    """Layers with the names that their number in the network gives them: equal code objects are compiled once."""

    def __init__(self, nonlinearity):
        self.nonlinearity, self.counts = nonlinearity, {}

    def name(self, kind):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return f"{kind}_{self.counts[kind]}"

    def spikes(self, x):
        return self.nonlinearity(name=self.name("spiking"))(x)

    def conv(self, x, channels=2, size=3, **options):
        return layers.Conv2D(channels, size, **{"padding": "same", "name": self.name("conv"), **options})(x)

    def norm(self, x):
        return layers.BatchNormalization(name=self.name("norm"))(x)


def plain(x, b):
    return b.spikes(b.norm(b.conv(x)))


def strided(x, b):
    return b.spikes(b.conv(x, size=2, strides=2))


def residual(x, b):
    x = b.conv(x, 2)
    y = b.spikes(b.norm(x))
    return b.spikes(layers.Add(name=b.name("add"))([x, b.conv(y, 2)]))


def window(x):
    """Rows and columns of a pooling that a layer is large enough for."""
    return tuple(min(2, n) for n in x.shape[1:3])


def max_pooling(x, b):
    return layers.MaxPooling2D(2, name=b.name("max"), padding="same")(b.spikes(b.conv(x)))


def max_pooling_first(x, b):
    return b.spikes(b.norm(layers.MaxPooling2D(window(x), name=b.name("max"))(b.conv(x))))


def average_pooling(x, b):
    return b.spikes(b.conv(layers.AveragePooling2D(window(x), name=b.name("average"))(b.spikes(b.conv(x)))))


def concatenate(x, b):
    return b.spikes(b.conv(layers.Concatenate(name=b.name("join"))([b.spikes(b.conv(x, 1)), x])))


def depthwise(x, b):
    return b.spikes(layers.DepthwiseConv2D(3, padding="same", name=b.name("depthwise"))(x))


def dense(x, b):
    x = layers.Dense(6, name=b.name("dense"))(layers.Flatten(name=b.name("flatten"))(x))
    return layers.Reshape((1, 1, 6), name=b.name("reshape"))(b.spikes(x))


def upsampling(x, b):
    return b.spikes(layers.Conv2DTranspose(2, 2, strides=2, name=b.name("up"))(strided(x, b)))


BLOCKS = (
    plain, dense, strided, depthwise, concatenate, average_pooling, residual, upsampling, max_pooling, max_pooling_first,
)  # fmt: skip
POOLING = (max_pooling, max_pooling_first)
#: Each block on its own, and pairs of them; after pairs come other layers or none, and one readout or two.
ARCHITECTURES = [*((block,) for block in BLOCKS), *zip(BLOCKS, (*BLOCKS[4:], *BLOCKS[:4])), *zip(BLOCKS[3:], BLOCKS)]


def build_model(number, nonlinearity, poolable=True):
    """Return the model of one of `ARCHITECTURES`; neurons whose membrane cannot be pooled get no block of maximum pooling."""
    blocks = [block if poolable or block not in POOLING else plain for block in ARCHITECTURES[number]]
    rng, b = np.random.default_rng(number), Builder(nonlinearity)
    x = inputs = layers.Input((int(rng.integers(4, 7)), 4, int(rng.integers(1, 3))), name="input")
    outputs = []
    for block in blocks:
        x = block(x, b)
    if len(blocks) > 1 and rng.random() < 0.3:
        x = dense(x, b)
    elif len(blocks) > 1 and rng.random() < 0.4:
        second = layers.Dense(2, activation="sigmoid", name="second")(layers.Flatten(name="flat_second")(x))
        outputs.append(second)
        x = b.spikes(b.conv(x))
    flat = layers.Flatten(name="flat")(x)
    activation = str(rng.choice(["linear", "softmax", "tanh"]))
    outputs.insert(0, layers.Dense(3, activation=activation, name="readout")(flat))
    return keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0])


def build_gated_model(seed):
    """Return a classifier with a generator, integrate-and-fire neurons for it, and weights that let spikes reach all layers."""
    x = inputs = layers.Input((4, 4, 1), name="input")
    options = {"activation": "relu", "use_bias": False, "padding": "same"}
    x = layers.Conv2D(2, 3, name="conv", **options)(x)
    x = layers.Conv2D(3, 2, strides=2, name="pool", **options)(x)
    y = layers.Dense(3, use_bias=False, name="classifier")(layers.Flatten(name="flat")(x))
    z = layers.Conv2DTranspose(1, 3, name="prediction", **options)(layers.UpSampling2D(2, name="up")(x))
    model, rng = keras.Model(inputs, [y, z]), np.random.default_rng(seed)
    for layer in model.layers:
        layer.set_weights([rng.normal(0.3, 0.5, w.shape) for w in layer.get_weights()])
    spikes = rng.random((2, 30, *model.input_shape[1:])) < 0.5
    return model, balanced_thresholds(model, spikes, 0.4)


# Neurons
def make_neuron(name, m_f, leak):
    if name == "noisy":
        old = "dS_dyn/dt = (gain*I - S_dyn)/tau_phi : 1"
        return bs.ASN(m_f=m_f).replace(old, old.replace("tau_phi :", "tau_phi + sigma*xi/sqrt(tau_phi) :"), sigma=0.02)
    makers = {
        "ASN": lambda: bs.ASN(m_f=m_f), "switchable": lambda: bs.switchable(bs.ASN(m_f=m_f)), "IF": lambda: bs.IF(leak=leak),
        "LIF": bs.LIF,
        "units": lambda: current_based_lif().edit(threshold="v > 2*mV", reset="v -= 2*mV"),
    }  # fmt: skip
    return makers[name]()


def make_gate(name, epsilon):
    learning = bs.LocalLearning(learning_rate=0.02, w_max=2.0) if name == "learning" else None
    mode = {"contrast": "sticky", "learning": "dynamic"}.get(name, name)
    options = {} if mode == "none" else {"epsilon": epsilon}
    return bs.PredictiveGate(mode=mode, **options, contrast=name == "contrast", learning=learning)


def draw_network(choose):
    """Draw a `Network`; the simplest one has one hidden layer of adaptive spiking neurons."""
    device = choose([*["cpp_standalone"] * 7, "runtime"])
    is_runtime = device == "runtime"  # compiles each object for itself, which takes longest: few and small networks
    gate = choose([*[None] * 9, *GATES])
    name = choose(SMALL_NEURONS if is_runtime else [*SMALL_NEURONS, "LIF"] if gate else NEURONS)
    number = choose(range(len(BLOCKS if is_runtime else ARCHITECTURES)))
    seed = choose(range(100))
    m_f, leak = choose([0.1, 0.3]), choose([1.0, 0.9])
    neuron = make_neuron(name, m_f, leak)
    thresholds, pools = {}, bool(neuron.derived)
    if gate:
        model, thresholds = build_gated_model(seed)
    else:
        nonlinearity = ASNTransfer if neuron.derived else layers.ReLU
        model = randomise(build_model(number, nonlinearity, pools), seed)
    options = {
        "neuron": neuron,
        "device": device,
        "dtype": "float64" if is_runtime else choose(["float64", "float64", "float32"]),
        "schedule": choose(["pipelined", "synchronous"]),
        "connectivity": choose(["event_driven", "event_driven", "synapses"]),
        "encoder": "poisson" if gate or name == "IF" or choose([False, True]) else "current",
        "average_pooling": "membrane" if pools and choose([False, True]) else "spikes",
        "dt": choose([1, 1, 0.5]) * ms,
        "feedback": make_gate(gate, choose([0.1, 0.0, 0.2])) if gate else None,
    }
    graph = bs.read_keras(model, average_pooling=options["average_pooling"])
    spiking = [p.name for p in graph.populations.values() if p.kind == "spiking"]
    if neuron.threshold_parameter is not None:
        if not gate:
            scale = 0.2 if name == "LIF" else 1.0  # its slow membrane would hardly spike in a short run
            thresholds = {layer: scale * choose([0.5, 0.8, 1.1]) for layer in spiking}
        options["thresholds"] = thresholds
    network = Network(model, name, options, number, gate=gate, m_f=m_f, leak=leak)
    network.record = recorded(network, graph, spiking)
    return network


def recorded(network, graph, spiking):
    """Return what to record: all spikes, and the variable that is compared with the threshold."""
    variables = {"IF": ["v"], "units": ["v"]}.get(network.neuron, ["S"])
    record = {name: ["spikes", *variables] for name in spiking}
    if network.draws_input:
        record["input"] = ["spikes"]
    return record


def draw_images(choose, network, n):
    """Draw n images: blobs over noise, some of their pixels 0 or 1, and some negative if pixels are probabilities."""
    seed = choose(range(100))
    images, rng = example_images(network.model, n, seed), np.random.default_rng(seed)
    images[rng.random(images.shape) < 0.2] = rng.choice([0.0, 0.25, 1.0])
    if network.draws_input:
        images[rng.random(images.shape) < 0.2] *= -1
    return images
