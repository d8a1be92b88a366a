"""Expressions that would be computed for ever are refused when a model is made; those that a person writes are not."""

import ast
import subprocess
import sys

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from brainsnn.equations import IF, LIF, NeuronModel
from brainsnn.equations.expression_limits import MAX_TERMS, _Size

DOUBLED = "\n".join(f"a{k + 1} = a{k}*a{k} : 1" for k in range(40))
CHAIN = "\n".join(f"a{k + 1} = a{k} + 1 : 1" for k in range(500))
BRACKETS = "(" * 300 + "v" + ")" * 300
NUMBER, TERMS, DEEP = "a number that is too large", "terms when it is multiplied out", "within each other"
DEFECTS = {
    "equation": ({"equations": "dv/dt = (I - v)/(10*ms) + 9**9**9/ms : 1\nI : 1"}, NUMBER),
    "subexpression": ({"equations": "dv/dt = (I - a)/(10*ms) : 1\nI : 1\na = 9**9**9 : 1"}, NUMBER),
    "unit": ({"equations": "dv/dt = (I - v)/(10*ms) : 1\nI : 1\nu : 9**9**9"}, NUMBER),
    "exponent": ({"equations": "dv/dt = (I - 2**-(9**999))/(10*ms) : 1\nI : 1"}, NUMBER),
    "in a function": ({"threshold": "v > exp(9**9**9)"}, NUMBER),
    "threshold": ({"threshold": "v > 9**9**9"}, NUMBER),
    "reset": ({"reset": "v -= 9**9**9"}, NUMBER),
    "second statement": ({"reset": "v = 0; I -= 9**9**9"}, NUMBER),
    "on_pre": ({"on_pre": "I_post += w*9**9**9"}, NUMBER),
    "update": ({"update": "v = 9**9**9"}, NUMBER),
    "refractory": ({"refractory": "9**9**9*ms"}, NUMBER),
    "literal": ({"threshold": "v > 1e999"}, NUMBER),
    "product": ({"threshold": "v > 1e200*1e200"}, NUMBER),
    "power of a sum": ({"equations": "dv/dt = (I - (v + I + 1)**300)/(10*ms) : 1\nI : 1"}, TERMS),
    "power of a power": ({"equations": "dv/dt = (I - ((v + I)**50)**60)/(10*ms) : 1\nI : 1"}, TERMS),
    "fraction": ({"threshold": "v > (1/3)**(10**12)"}, NUMBER),
    "power of a fraction": ({"threshold": "v > (1/7)**(1/7)**-30"}, NUMBER),
    "function of a number": ({"threshold": "v > abs(9)**abs(9)**abs(9)"}, NUMBER),
    "root": ({"threshold": "v > sqrt(81)**ceil(8.5)**9"}, NUMBER),
    "exponential": ({"threshold": "v > exp(1000)"}, NUMBER),
    "mixed number": ({"threshold": "v > 2**(10**12 + 1/2)"}, NUMBER),
    "two lines": ({"equations": "dv/dt = (I - v + 9**9**\n9)/(10*ms) : 1\nI : 1"}, NUMBER),
    "statement of two lines": ({"reset": "v = (9**9**\n9)"}, NUMBER),
    "name of a number": ({"equations": "dv/dt = (I - v + a**a**a)/(10*ms) : 1\nI : 1\na = 9 : 1"}, NUMBER),
    "name of an exponent": ({"equations": "dv/dt = (I - (v + I)**n)/(10*ms) : 1\nI : 1\nn = 2500 : 1"}, TERMS),
    "divisor": ({"threshold": "v > 1/0"}, "divides by 0"),
    "remainder": ({"reset": "v = v % (2 - 1*2)"}, "divides by 0"),
    "product of sums": ({"equations": f"dv/dt = (I - {'*'.join(f'(v + {k})' for k in range(25))})/(10*ms) : 1\nI : 1"}, TERMS),
    "names that double": ({"equations": f"dv/dt = (I - a40)/(10*ms) : 1\nI : 1\na0 = I + v : 1\n{DOUBLED}"}, TERMS),
    "chain of names": ({"equations": f"dv/dt = (I - a500)/(10*ms) : 1\nI : 1\na0 = I + v : 1\n{CHAIN}"}, "stand for other"),
    "brackets": ({"threshold": f"{BRACKETS} > 1"}, DEEP),
    "signs": ({"threshold": f"v > {'-' * 3000}1"}, DEEP),
    "sum": ({"equations": f"dv/dt = (I - {' + '.join(['v'] * 300)})/(10*ms) : 1\nI : 1"}, DEEP),
    "length": ({"threshold": f"v > {'1' * 20_000}"}, "20,004 characters, more than 10,000"),
}  # fmt: skip


def model(**changes):
    parts = {
        "equations": "dv/dt = (I - v)/(10*ms) : 1\nI : 1", "threshold": "v > 1", "reset": "v -= 1", "on_pre": "I_post += w",
    }  # fmt: skip
    return NeuronModel("mine", **(parts | changes), spike_height=None, bias=None)


@pytest.mark.parametrize("defect", DEFECTS)
def test_what_would_take_for_ever_is_refused(defect):
    changes, reason = DEFECTS[defect]
    with pytest.raises(ValueError, match=rf"^mine\.{next(iter(changes))}: ") as caught:
        model(**changes)
    assert reason in str(caught.value) and len(str(caught.value)) < 500


def test_what_brian2_alone_does_with_it():
    """The reason for the bound: the same expression as an equation of Brian2 does not come back."""
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(
            [sys.executable, "-c", "import brian2; brian2.Equations('x = 9**9**9 : 1')"], timeout=8, check=False
        )


def test_edits_are_checked_as_well():
    with pytest.raises(ValueError, match=r"IF\.reset: .*too large"):
        IF().edit(reset="v -= 10**10**10")


def test_what_people_write_is_accepted():
    model(equations="dv/dt = (I - v**20/(v**20 + 0.5**20))/(10*ms) : 1\nI : 1")
    model(equations=f"dv/dt = (I - {' + '.join(['v'] * 150)})/(10*ms) : 1\nI : 1")
    model(threshold="v > 2**-3 * 10**6", reset="v = -1e-300")
    model(equations="dv/dt = (I - (v + I)**5*(v - I)**4)/(10*ms**2)*ms : 1\nI : 1")
    LIF().edit(refractory="5*ms")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_terms_are_never_fewer_than_sympy_finds(data):
    def draw(depth):
        kind = data.draw(st.sampled_from("nnn+*^-" if depth else "n"))
        if kind == "n":
            return data.draw(st.sampled_from(["a", "b", "c", "2", "0.5"]))
        if kind == "^":
            return f"({draw(depth - 1)})**{data.draw(st.integers(0, 4))}"
        return f"({draw(depth - 1)} {kind} {draw(depth - 1)})"

    text = draw(4)
    _, counted = _Size({}).of(ast.parse(text))
    if counted <= MAX_TERMS:
        assert len(sympy.Add.make_args(sympy.expand(sympy.sympify(text)))) <= counted
