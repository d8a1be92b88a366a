"""Whether a synaptic filter is linear, decided by the form of its equation and of what spikes do."""

from functools import cache

import numpy as np
import sympy as sp
from brian2 import Quantity
from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_UNITS
from brian2.equations.equations import DIFFERENTIAL_EQUATION
from brian2.parsing.sympytools import str_to_sympy

from brainsnn.equations.statements import assigned, assignments

__all__ = ["why_not_linear"]


def why_not_linear(model):
    """
    Return why the synaptic filter of a model is not a linear one that is the same for all neurons.

    A filter is linear if its equation is homogeneous in the received variable with constant coefficients, if a spike adds a
    multiple of its weight to it, and if nothing else sets it.

    Parameters
    ----------
    model : `~brainsnn.equations.model.NeuronModel`

    Returns
    -------
    reason : str or None
        None if it is linear.
    """
    name, equation = model.receives, model.brian_equations[model.receives]
    if equation.type != DIFFERENTIAL_EQUATION:
        return f"{name!r} does not follow a differential equation"
    if "unless refractory" in equation.flags:
        return f"{model.definition(name)!r} holds while the neuron is refractory"
    constants = frozenset(
        n for n, value in model.constants.items() if isinstance(value, (int, float, np.number, Quantity))
    )
    if not _is_homogeneous(equation.expr.code, name, constants):
        return f"{model.definition(name)!r} is not proportional to {name!r} with constant coefficients"
    statements = assignments(model.on_pre)
    if [(target.removesuffix("_post"), operator) for target, operator, _ in statements] != [(name, "+=")]:
        return f"on_pre {model.on_pre!r} does more than to add to {name!r}"
    _, _, added = statements[0]
    # The spikes that reach a readout, which sends none, have the height of their source.
    sources = {f"{n}_pre" for n in (*model.brian_equations, *(["h"] if model.spike_height is None else []))}
    if not _is_homogeneous(added, "w", constants | sources):
        return f"on_pre {model.on_pre!r} does not add a multiple of the weight"
    if name in assigned(model.reset) | assigned(model.update):
        return f"the reset or the update writes {name!r}"
    if np.any(np.asarray(model.initial.get(name, 0.0), dtype=float)):
        return f"{name!r} does not start at 0"
    return None


@cache
def _is_homogeneous(code, name, constants):
    """Return whether an expression is a multiple of a variable, with a factor made of constants only."""
    expression = str_to_sympy(code)
    variable = next((s for s in expression.free_symbols if s.name == name), None)
    if variable is None:
        # str_to_sympy writes I, E, ... as symbols of these names; without the variable it is a multiple only if it is 0.
        return expression == 0
    known = {*constants, *DEFAULT_UNITS, *DEFAULT_CONSTANTS, "dt"}
    # simplify finds more, but imports all of SymPy's physics, which takes longer than anything else in convert.
    return any(_is_constant(form(expression / variable), known) for form in (sp.cancel, sp.simplify))


def _is_constant(factor, known):
    if factor.has(sp.core.function.AppliedUndef) or factor.atoms(sp.Function):
        return False
    return {symbol.name for symbol in factor.free_symbols} <= known
