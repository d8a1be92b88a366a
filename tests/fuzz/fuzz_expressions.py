"""Equations with random mistakes, huge numbers and code in them: they are refused in time, or simulated as Brian2 reads them."""

import tempfile

import numpy as np
from fuzzing import Refusal
from guarded import Guard
from random_layers import Dice

__all__ = ["case", "simulate"]

simulator = Guard("fuzz_expressions:simulate")

EQUATIONS = """dv/dt = (I - v + b*u)/tau : 1
du/dt = (a*v - u)/tau_u : 1
I = g*I_in : 1
I_in : 1
g : 1
nine = 9 : 1
theta = theta_0 + u : 1"""
PARTS = {
    "equations": EQUATIONS, "threshold": "v > theta", "reset": "v -= theta; u += 0.1", "on_pre": "I_in_post += w*g_pre",
    "refractory": "2*ms",
}  # fmt: skip
NUMBERS = (
    '0', '1', '-1', '9**9**9', '1e999', '1e-999', '10**400', '1/0', '0.1', '2**0.5', '(-8)**(1/3)', '0x10', '1_000', '1j',
    'abs(9)**abs(9)**abs(9)', '(1/3)**(10**12)', 'sqrt(81)**ceil(8.5)**9', 'exp(1000)', 'cos(10**200)', '10**20', '9**9**\n9',
    'nine**nine**nine', '(v + u)**(nine*1000)', '1/(2 - 2)', '(-2)**0.5',
)  # fmt: skip
NAMES = (
    'v', 'u', 'I', 'tau', 'theta', 'w', 't', 'dt', 'i', 'N', 'rand()', 'xi', 'lastspike', 'mV', 'ms', 'pi', 'nothing',
    'v_post', '__class__', 'double', 'range', 'M_PI', '_x', 'nine',
)  # fmt: skip
CODE = (
    "__import__('os').system('touch /tmp/fuzz_executed')", "exec('1')", 'v.__class__', '[].append(1)', '(lambda: 1)()',
    'v[0]', "f'{v}'", "open('/etc/passwd')", 'int(v > 0)', 'v if v > 0 else u', '*/ system("x"); /*', 'v; return',
    "'text'", 'v == u', 'not v', 'print(1)', '\\\n', '#', '\x00', '{v}', '%s', '{{v}}', 'é', 'v\u200b', 'sizeof(int)',
    'std::exit(1)', 'exp(v)', 'clip(v, 0, 1)', 'sin(u)*cos(v)',
)  # fmt: skip
OPERATORS = (
    ' + ', ' - ', ' * ', '/', '**', '//', ' % ', ' << ', ' & ', ' and ', ' < ', ' = ', ' : ', '', ' ', '(', ')', '\n',
    ';', '-', '~',
)  # fmt: skip


def readout(bs):
    """A readout that receives spikes as the neurons do."""
    equations = "dS/dt = (I_in - S)/(10*ms) : 1\nI_in : 1"
    return bs.NeuronModel(
        "out", equations, receives="I_in", on_pre="I_in_post += w*g_pre", spike_height=None, bias=None
    )


def case(draw, check):
    """Change one or two pieces of a neuron model, and simulate five steps of it."""
    dice = Dice(draw)
    parts = dict(PARTS)
    what = dice.pick(*PARTS)
    for _ in range(dice.pick(1, 1, 2, 3)):
        parts[what] = _changed(parts[what], dice)
    with tempfile.TemporaryDirectory() as folder:
        check(what, lambda: check_simulated(folder, parts))


def check_simulated(folder, parts):
    """Check that a model is refused by name, or that its neurons do what plain Brian2 does with the same text."""
    found = simulator(folder, parts=parts)
    assert found.kind != "raw", f"{parts}\n{found.message}"
    if found.kind == "refused":
        assert "mine" in found.message or "first" in found.message, f"names no model: {found.message}\n{parts}"
        raise Refusal(found.message)
    ours, theirs = (np.array(values, dtype=float) for values in found.value)
    np.testing.assert_allclose(ours.reshape(-1), theirs.reshape(-1), rtol=1e-3, atol=1e-6, err_msg=str(parts))


def _changed(text, dice):
    at = dice.whole(0, len(text))
    action = dice.pick(
        "insert", "swap", "swap", "number", "number", "replace", "remove", "power", "long", "deep", "double"
    )
    piece = dice.pick(*OPERATORS) + dice.pick(dice.pick(*NUMBERS), dice.pick(*NAMES), dice.pick(*CODE))
    if action == "insert":
        return text[:at] + piece + text[at:]
    if action == "remove":
        return text[:at] + text[at + dice.pick(1, 2, 5, 20) :]
    if action == "double":
        return text[:at] + text[dice.whole(0, at) : at] + text[at:]
    names = [name for name in ("v", "u", "I", "theta", "tau", "1", "0.1", "2") if name in text] or [""]
    name = dice.pick(*names)
    other = {
        "replace": piece.strip() or "v", "power": f"({name} + 1)**{dice.pick(2, 5, 30, 1000, 10**9)}",
        "long": "+".join([name] * dice.pick(20, 5000)),
        "deep": "(" * 400 + name + ")" * 400, "number": f"({name}{dice.pick(*OPERATORS[:8])}{dice.pick(*NUMBERS)})",
        "swap": dice.pick("v", "u", "I", "tau", "theta_0", "b", "a", "0"),
    }[action]  # fmt: skip
    start = text.index(name)
    return text[:start] + other + text[start + len(name) :]


def simulate(folder, parts):
    """Return the states of a small network after five steps, and those of plain Brian2 objects made from the model's text."""
    import warnings

    import brian2 as b2
    import keras
    from printed_network import PlainNetwork

    import brainsnn as bs
    from brainsnn.builders.devices.active_device import preferences

    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    constants = {"tau": 5 * b2.ms, "tau_u": 20 * b2.ms, "a": 0.2, "b": 0.1, "theta_0": 0.1, "g": 1.0}
    model = bs.NeuronModel(
        "mine", **parts, parameters=constants, receives="I_in", spike_height=None, bias=None, initial={"v": 0.2},
        readout=readout(bs),
    )  # fmt: skip
    L = keras.layers
    chain = keras.Sequential([keras.Input((2, 2, 1)), L.Flatten(), L.ReLU(name="first"), L.Dense(1, use_bias=False)])
    record = {"first": ["v", "u"]}
    image = np.linspace(0, 1, 4).reshape(2, 2, 1)
    snn = bs.convert(chain, neuron=model, record=record, encoder="current", dtype="float64")
    result = snn.run(image[None], 5 * b2.ms)
    with preferences({"codegen.target": "numpy"}):
        _, states = PlainNetwork(snn, {}).run(5, record, image=image)
    ours = [np.asarray(result.states["first"][name][0]) for name in ("v", "u")]
    theirs = [np.asarray(states["first"][name]) for name in ("v", "u")]
    return [_rounded(values) for values in ours], [_rounded(values) for values in theirs]


def _rounded(values):
    """Five digits of values, and what is not finite, as text; single against double precision."""
    return [f"{value:.4g}" for value in np.asarray(values, "f8").ravel()]
