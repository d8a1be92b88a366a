"""Values that nobody expects as arguments: each is used as it says, or refused by an error that names the argument."""

import inspect
import tempfile
from functools import cache

from fuzzing import Refusal
from guarded import Guard
from random_layers import Dice

import brainsnn as bs

__all__ = ["call", "case"]

caller = Guard("fuzz_arguments:call")

#: Functions; their arguments are those of their signatures, but for paths of what is written.
CALLED = {
    "run": bs.SpikingNetwork.run, "convert": bs.convert, "attend": bs.SpikingNetwork.attend,
    "ASN": bs.ASN, "IF": bs.IF, "LIF": bs.LIF, "SpatialAttention": bs.SpatialAttention,
    "PredictiveGate": bs.PredictiveGate, "LocalLearning": bs.LocalLearning,
    "load_model": bs.load_model, "compare_activations": bs.compare_activations, "GaussianField": bs.GaussianField,
}  # fmt: skip
ARGUMENTS = {
    name: tuple(n for n in inspect.signature(function).parameters if n not in ("self", "stream_to"))
    for name, function in CALLED.items()
} | {"set_parameters": ("layer", "gain", "m_f", "tau_phi", "nothing")}

#: Expressions for the values; they are made in the guarded process.
VALUES = (
    """
None ; True ; False ; 0 ; 1 ; -1 ; 2 ; 0.5 ; -0.5 ; 1e300 ; 1e-300 ; nan ; inf ; -inf ; 2**70 ; 1j ; 'x' ; '' ; b'x' ;
'conv' ; '5*ms' ; 'runtime' ; ms ; 5*ms ; 0*ms ; -1*ms ; nan*ms ; inf*ms ; 0.3*ms ; 5.5*ms ; 5*mV ; 1*second ;
1e9*second ; 1e-9*second ; np.array([5])*ms ; np.array([5, 6])*ms ; [] ; {} ; () ; [[1, 2], [3]] ; [None] ; {'conv': 1}
; {'conv': nan} ; {'nowhere': 1} ; {'conv': ['S']} ; {'conv': ['nothing']} ; {1: 2} ; [1, 2] ; (0.5, 0.5) ; (nan, 0.5) ;
(-5, 7) ; ['conv'] ; ['x', 'conv'] ; np.zeros(0) ; np.zeros((2, 4, 4, 1)) ; np.full((1, 4, 4, 1), nan) ;
np.full((1, 4, 4, 1), 3e38) ; np.zeros((1, 4, 4, 1), bool) ; np.zeros((1, 4, 4, 1), 'U1') ; np.zeros((1, 4, 4)) ;
np.zeros((4, 4, 1)) ; np.zeros((1, 5, 5, 1)) ; np.zeros((1, 4, 4, 1), object) ; np.ma.masked_all((1, 4, 4, 1)) ;
np.float32(5) ; np.array(5) ; np.array('x') ; np.datetime64('2026-01-01') ; print ; object() ; range(3) ; iter([1]) ;
bs.ASN ; bs.ASN() ; np.ones((1, 6, 4, 4, 1)) ; '../../x' ; lambda *a: 1 ; type ; np ; {'conv': {'S': [0, 99]}} ;
{'conv': 'spikes'} ; 'float32' ; 'float64' ; np.int8(-1) ; Ellipsis ; NotImplemented ; float
""".replace("\n", " ")
    .strip()
    .split(" ; ")
)


#: What else an error may call an argument: by what it holds.
POPULATION = ("population", "layer")
ALSO = {
    "layer": POPULATION, "layers": POPULATION, "neuron": POPULATION, "record": POPULATION, "thresholds": POPULATION,
    "attention": ("attend:",), "duration": ("Recording needs",), "threshold": ("v_th",), "tau_readout": ("readout.",),
    "parameters": ("has no effect",), "max_contrast": ("contrast",), "path": ("load_model", "shipped network"),
    "weights": ("load_model",),
}  # fmt: skip


def case(draw, check):
    """Call a function with one or two arguments that nobody expects."""
    dice = Dice(draw)
    function = dice.pick(*ARGUMENTS)
    names = [dice.pick(*ARGUMENTS[function])]
    if dice.chance(3):
        names.append(dice.pick(*ARGUMENTS[function]))
    given = {name: dice.pick(*VALUES) for name in names}
    with tempfile.TemporaryDirectory() as folder:
        check(function, lambda: check_call(folder, function, given))


def check_call(folder, function, given):
    """Check that a call does what it was asked for, or that the error names one of the arguments."""
    found = caller(folder, function=function, given=given)
    assert found.kind != "raw", f"{function}({given}): {found.message}"
    if found.kind == "refused":
        named = {name for name in given if any(word in found.message for word in (name, *ALSO.get(name, ())))}
        assert named, f"{function}({given}) names no argument: {found.message}"
        raise Refusal(found.message)
    assert not found.value, f"{function}({given}): {found.value}"


@cache
def _small():
    """Return a model with two layers and a network of it."""
    import keras

    L = keras.layers
    keras.utils.set_random_seed(0)
    pixels = keras.Input((4, 4, 1), name="pixels")
    x = L.ReLU(name="conv")(L.Conv2D(2, 3, padding="same", name="conv_linear")(pixels))
    prediction = L.Activation("linear", name="last")(
        L.Conv2D(1, 3, padding="same", activation="relu", name="prediction")(x)
    )
    model = keras.Model(pixels, [L.Dense(2, name="out")(L.Flatten()(x)), prediction])
    return model, bs.convert(model, device="runtime", connectivity="synapses", dtype="float64")


def call(folder, function, given):
    """Call a function with values made from expressions; return what is wrong with its answer, or nothing."""
    import os
    import warnings

    import brian2 as b2
    import numpy as np

    from brainsnn.builders.devices.active_device import preferences

    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    os.chdir(folder)
    known = {"np": np, "bs": bs, "ms": b2.ms, "mV": b2.mV, "second": b2.second, "nan": np.nan, "inf": np.inf}
    values = {name: eval(text, known) for name, text in given.items()}
    with preferences({"codegen.target": "numpy"}):
        return FUNCTIONS[function](b2, values)


def _run(b2, values):
    model, snn = _small()
    images = np_images()
    if "spikes" in values and "images" not in values:
        images = None
    arguments = {"images": images, "duration": 5 * b2.ms, "progress": False} | values
    result, duration = snn.run(**arguments), arguments["duration"]
    if duration is None:  # the default, or the length of the given spikes
        duration = result.n_steps * snn.dt * b2.second if "spikes" in values else 300 * b2.ms
    return _wrong_result(result, duration, b2)


def np_images():
    """Return two images."""
    import numpy as np

    return np.linspace(0, 1, 32).reshape(2, 4, 4, 1)


def _wrong_result(result, duration, b2):
    import numpy as np

    if abs(result.n_steps * result.dt - float(np.asarray(duration).item())) > 1e-9:
        return f"{result.n_steps} steps for {duration!r}"
    if not np.isfinite(np.asarray(result.output)).all():
        return "an output that is not finite"
    return ""


def _convert(b2, values):
    model, _ = _small()
    options = {"model": model, "device": "runtime", "connectivity": "synapses"} | values
    snn = bs.convert(**options)
    if options["device"] != "runtime" or options["connectivity"] != "synapses":
        return ""  # it would be compiled
    return _wrong_result(snn.run(np_images(), 5 * snn.dt * b2.second), 5 * snn.dt * b2.second, b2)


def _method(name):
    def call_it(b2, values):
        model, _ = _small()
        snn = bs.convert(model, device="runtime", connectivity="synapses")
        arguments = dict(values)
        if name == "set_parameters":
            arguments.setdefault("layer", "conv")
        if name == "attend":
            arguments.setdefault("attention", bs.SpatialAttention((0.5, 0.5), precision=0.1))
        getattr(snn, name)(**arguments)
        return _wrong_result(snn.run(np_images(), 5 * b2.ms), 5 * b2.ms, b2)

    return call_it


def _make(name, **base):
    def call_it(b2, values):
        model, _ = _small()
        made = CALLED[name](**{**base, **values})
        if name in ("ASN", "IF", "LIF"):
            snn = bs.convert(model, neuron=made, device="runtime", connectivity="synapses")
        elif name in ("PredictiveGate", "LocalLearning"):
            made = bs.PredictiveGate(learning=made) if name == "LocalLearning" else made
            snn = bs.convert(model, feedback=made, device="runtime", connectivity="synapses")
        else:
            made = bs.Attention(made, input_gain=1.0) if name == "GaussianField" else made
            snn = bs.convert(model, device="runtime", connectivity="synapses")
            snn.attend(made)
        return _wrong_result(snn.run(np_images(), 5 * b2.ms), 5 * b2.ms, b2)

    return call_it


def _load_model(b2, values):
    bs.load_model(**({"path": "digits"} | values))
    return ""


def _compare(b2, values):
    model, snn = _small()
    arguments = {"model": model, "snn": snn, "images": np_images(), "duration": 5 * b2.ms, "window": 2 * b2.ms} | values
    bs.compare_activations(**arguments)
    return ""


FUNCTIONS = {
    "run": _run, "convert": _convert, "attend": _method("attend"), "set_parameters": _method("set_parameters"),
    "ASN": _make("ASN"), "LIF": _make("LIF"), "IF": _make("IF"), "SpatialAttention": _make("SpatialAttention", center=(0.5, 0.5)),
    "GaussianField": _make("GaussianField", center=(0.5, 0.5)), "LocalLearning": _make("LocalLearning"),
    "PredictiveGate": _make("PredictiveGate"), "load_model": _load_model, "compare_activations": _compare,
}  # fmt: skip
