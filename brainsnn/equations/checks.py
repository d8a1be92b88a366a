"""Checks of a neuron model when it is made: what is written, what it refers to, and the units of what is known."""

import ast
import re
from dataclasses import fields
from difflib import get_close_matches

import numpy as np
from brian2 import Equations, Function, Quantity, get_dimensions, have_same_dimensions, second
from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_FUNCTIONS, DEFAULT_UNITS
from brian2.equations.equations import DIFFERENTIAL_EQUATION, PARAMETER, SUBEXPRESSION
from brian2.parsing.expressions import parse_expression_dimensions
from brian2.parsing.sympytools import str_to_sympy
from brian2.stateupdaters.base import StateUpdateMethod
from brian2.units.fundamentalunits import DIMENSIONLESS, get_unit_for_display
from brian2.utils.stringtools import get_identifiers

from brainsnn.equations.reserved_names import ALWAYS, REFRACTORY, in_brian2, in_cpp
from brainsnn.equations.statements import assigned, assignments, unread

__all__ = [
    "check_equations",
    "check_model",
    "check_time_constants",
    "innermost",
    "innermost_reason",
    "is_time",
    "known_names",
    "parsed_equations",
]

#: Flags that Brian2 knows for other equations, and what to do instead.
OTHER_FLAGS = {
    "linked": "a network has no linked variables. Declare a parameter and set it, or add brian2.Synapses with a summed variable "
    "to snn.network",
    "event-driven": "this flag belongs to the equations of synapses. Leave it out; neurons are integrated in every step",
}
FLAGS = {
    DIFFERENTIAL_EQUATION: ("unless refractory",),
    PARAMETER: ("constant", "shared"),
    SUBEXPRESSION: ("shared", "constant over dt"),
}
FORMS = "an equation is 'dx/dt = expression : unit', 'x = expression : unit' or, for a parameter, 'x : unit'"


def is_time(value):
    """Return whether a value is one time, greater than 0 and finite (bool)."""
    is_quantity = isinstance(value, Quantity) and np.ndim(value) == 0
    return is_quantity and value.dim is second.dim and 0 < float(value) < np.inf


def check_time_constants(name, **values):
    """
    Refuse time constants of a model that are not a time greater than 0.

    Parameters
    ----------
    name : str
        Name of the model.
    **values : object
        By their names.

    Raises
    ------
    ValueError
    """
    for constant, value in values.items():
        if not is_time(value):
            shown = value if isinstance(value, Quantity) else repr(value)
            raise ValueError(
                f"{name}.{constant}: a time constant must be a time greater than 0, such as 20*ms, got {shown}."
            )


def innermost(error):
    """
    Return the error that was raised in the first place.

    Parameters
    ----------
    error : Exception

    Returns
    -------
    cause : Exception
    """
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def innermost_reason(error):
    """
    Return what went wrong in the first place, in one line, without Brian2's references to what is printed above.

    Parameters
    ----------
    error : Exception

    Returns
    -------
    reason : str
    """
    error = innermost(error)
    text = f"unknown operator {error.args[0]}" if isinstance(error, KeyError) else str(error)
    text = re.sub(r"\(See above.*?\)|\(<\w+>, line \d+\)", "", text)
    return " ".join(text.split()).rstrip(".")


def parsed_equations(name, text):
    """
    Return parsed equations.

    Parameters
    ----------
    name : str
        Name of the model.
    text : str
        One equation per line.

    Returns
    -------
    equations : `~brian2.equations.equations.Equations`

    Raises
    ------
    ValueError
        With the line that is at fault.
    """
    try:
        return Equations(text)
    except Exception as whole:
        for line in text.splitlines():
            try:
                Equations(line)
            except Exception as error:
                reason = innermost_reason(error)
                reason = FORMS if "Expected end of text" in reason else reason
                raise ValueError(f"{name}.equations: {line!r}: {reason}.") from None
        raise ValueError(f"{name}.equations: {innermost_reason(whole)}.") from None


def check_model(model):
    """
    Refuse a model that cannot run, whatever the network is.

    Parameters
    ----------
    model : `~brainsnn.equations.model.NeuronModel`

    Raises
    ------
    ValueError
        With the equation, statement or field that is at fault.
    """
    _check_names_and_flags(model)
    _check_method(model)
    _check_values(model)
    for what in ("threshold", "refractory", "reset", "update", "on_pre"):
        _check_syntax(f"{model.name}.{what}", getattr(model, what), what in ("threshold", "refractory"))
    _check_functions(model)
    _check_targets(model)
    _check_refractory(model)
    check_equations(model, complete=False)


def _check_names_and_flags(model):
    for name in (*model.brian_equations, *model.parameters):
        if in_cpp(name) or name.startswith("_"):
            own = "starts with an underscore, as Brian2's own names do"
            means = own if name.startswith("_") else "means something in C++, into which equations are translated"
            raise ValueError(f"{model.name}: {name!r} {means}. Use another name, such as {name.strip('_')}_0.")
    for name, equation in model.brian_equations.items():
        line = model.definition(name)
        if name.endswith(("_pre", "_post")):
            raise ValueError(
                f"{model.name}.equations: {line!r}: in on_pre the endings _pre and _post mean variables of the source and of the "
                f"target. Rename it, for example to '{name}_'."
            )
        for flag in equation.flags:
            if flag in FLAGS[equation.type]:
                continue
            instead = OTHER_FLAGS.get(flag) or (
                f"the flags of such an equation are {', '.join(FLAGS[equation.type])}; {flag!r} is none of them"
            )
            raise ValueError(f"{model.name}.equations: {line!r}: {instead}.")


def _check_method(model):
    known = StateUpdateMethod.stateupdaters
    for method in (model.method,) if isinstance(model.method, str) else model.method:
        if method not in known:
            nearest = get_close_matches(str(method), known, n=1)
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            raise ValueError(
                f"{model.name}.method: {method!r} is not an integration method.{hint} Known: {', '.join(sorted(known))}."
            )


def _check_values(model):
    for field in ("parameters", "initial"):
        for name, value in getattr(model, field).items():
            if name not in model.brian_equations and (taken := in_brian2(name)):
                raise ValueError(
                    f"{model.name}.{field}: {name!r} is {taken} in Brian2, which would be used instead of this value. Use "
                    f"another name, such as {name}_0, in the equations and here."
                )
            function = isinstance(value, Function) or hasattr(value, "_arg_units")
            if callable(value) and not function:
                raise ValueError(
                    f"{model.name}.{name}: Brian2 needs the units of the function {value!r}; decorate it with "
                    "brian2.check_units(x=1, result=1), or give a TimedArray."
                )
            if function and field == "parameters" and name not in model.brian_equations:
                continue
            equation = model.brian_equations.get(name)
            nearest = get_close_matches(name, [f.name for f in fields(model)], n=1) if equation is None else []
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            if function or isinstance(value, str) or np.asarray(value).dtype.kind not in "biuf":
                what = "a function" if function else repr(value)
                fix = "Assign values to snn.populations[layer] for those that differ between neurons."
                raise ValueError(
                    f"{model.name}.{field}: {name} = {what}; give a number, with its unit if it has one. {fix}{hint}"
                )
            if np.size(value) != 1 and equation is None and field == "parameters":
                raise ValueError(
                    f"{model.name}.{field}: {name} has {np.size(value)} values; give one. Values for each neuron of a layer: "
                    f"snn.set_parameters(layer, {name}=...) after convert."
                )
            if field == "initial" and (equation is None or equation.type == SUBEXPRESSION):
                what = "no variable of the equations" if equation is None else f"computed: {str(equation)!r}"
                raise ValueError(
                    f"{model.name}.initial: {name!r} is {what}. Give the value of a variable that is integrated."
                )
            if field == "initial" and name in model.parameters:
                raise ValueError(
                    f"{model.name}.initial: {name!r} is a parameter with a value of its own; set that, as in edit({name}=...)."
                )


def _check_syntax(about, code, is_condition):
    """Refuse statements, or a condition, that are not valid Python."""
    if not isinstance(code, str):
        return
    lines = [code] if is_condition else [line.strip() for line in code.replace(";", "\n").splitlines()]
    for line in filter(None, lines):
        parts = assignments(line)
        if not is_condition and not parts:
            raise ValueError(f"{about}: {line!r} is not an assignment, such as 'v = 0' or 'v -= 1'.")
        expression = line if is_condition else parts[0][2]
        try:
            str_to_sympy(expression)
        except Exception as error:
            reason = innermost_reason(error)
            # sympy takes int(condition) for complex; Brian2 does not
            if "Invalid comparison of non-real" not in reason:
                raise ValueError(f"{about}: {line!r}: {reason}.") from None


def _check_functions(model):
    """Refuse calls of functions that neither Brian2 nor the parameters have."""
    codes = {model.definition(e.varname): e.expr.code for e in model.brian_equations.values() if e.expr is not None}
    statements = [
        model.threshold,
        *(s[2] for code in (model.reset, model.update, model.on_pre) for s in assignments(code)),
    ]
    for shown, code in [*codes.items(), *((code, code) for code in statements if code)]:
        for node in ast.walk(ast.parse(code.strip(), mode="eval")):
            if not isinstance(node, ast.Call) or node.func.id in DEFAULT_FUNCTIONS or node.func.id in model.parameters:
                continue
            function = node.func.id
            nearest = get_close_matches(function, DEFAULT_FUNCTIONS, n=1)
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            raise ValueError(
                f"{model.name}: {shown!r} calls {function!r}, which is not a function of Brian2.{hint} A function or a "
                f"TimedArray of yours is a parameter: {function}=... beside the equation."
            )


def _check_targets(model):
    """Refuse statements without an effect, and a spike that writes to a variable of the target which an equation computes."""
    for part, code in (("reset", model.reset), ("update", model.update)):
        for name in unread(code, model.brian_equations):
            by_case = {known.lower(): known for known in model.brian_equations}
            nearest = get_close_matches(name.lower(), by_case, n=1)
            fix = f"Did you mean {by_case[nearest[0]]!r}?" if nearest else f"Declare it to keep it: '{name} : 1'."
            what = "a constant, which statements cannot set," if name in model.parameters else "not a variable"
            raise ValueError(
                f"{model.name}.{part}: {code!r} assigns {name!r}, which is {what} and is not read afterwards. {fix}"
            )
    for name in assigned(model.on_pre):
        equation = model.brian_equations.get(name.removesuffix("_post"))
        if equation is not None and equation.type == SUBEXPRESSION:
            raise ValueError(
                f"{model.name}.on_pre: {model.on_pre!r} writes {name!r}, which follows from the equation {str(equation)!r}."
            )


def _check_refractory(model):
    value = model.refractory
    if value is None:
        return
    if model.threshold is None:
        raise ValueError(f"{model.name}.refractory: neurons without a threshold do not spike. Leave refractory out.")
    if isinstance(value, str):
        return
    if not have_same_dimensions(value, second) or np.size(value) != 1 or not value >= 0 * second:
        raise ValueError(
            f"{model.name}.refractory: {value!r} is neither a time of 0 or more, such as 5*ms, nor an expression: a time such as "
            "'tau_ref', or a condition such as 'v > 0' under which a neuron remains refractory."
        )


def known_names(model):
    """
    Return what the equations and statements of a model may refer to.

    Parameters
    ----------
    model : `~brainsnn.equations.model.NeuronModel`

    Returns
    -------
    known : dict of str to object
        Functions, and values or variables with units.
    """
    declared = {e.varname: Quantity(1, dim=e.dim) for e in model.brian_equations.values()}
    noise = dict.fromkeys(model.brian_equations.stochastic_variables, second**-0.5)
    # Brian2 takes variables first, then its own functions and units, then names from outside.
    own = {**model.constants, **DEFAULT_CONSTANTS, **DEFAULT_UNITS, **DEFAULT_FUNCTIONS}
    return {**own, **noise, **(REFRACTORY if model.refractory is not None else {}), **ALWAYS, **declared}


def check_equations(model, complete=True):
    """
    Check the names and units of equations.

    Parameters
    ----------
    model : `~brainsnn.equations.model.NeuronModel`
    complete : bool, optional
        Whether all names must be known. If not, equations with unknown ones are left for later.

    Raises
    ------
    ValueError
        With the equation that is at fault.
    """
    known = known_names(model)
    for equation in model.brian_equations.values():
        if equation.expr is None:
            continue
        line = f"{model.name}.equations: {model.definition(equation.varname)!r}"
        uses_refractory = "unless refractory" in equation.flags or not equation.identifiers.isdisjoint(REFRACTORY)
        if complete and uses_refractory and model.refractory is None and model.threshold is not None:
            raise ValueError(f"{line} needs a refractory period, such as model.edit(refractory=5*ms).")
        unknown = sorted(get_identifiers(equation.expr.code) - known.keys() - {"True", "False", "and", "or", "not"})
        if unknown and not complete:
            continue
        if unknown:
            raise ValueError(
                f"{line} uses {', '.join(map(repr, unknown))}, which is neither a variable, a parameter, a function nor a unit. "
                f"Give its value with model.edit({unknown[0]}=...); names of your script are not looked up."
            )
        try:
            found = parse_expression_dimensions(equation.expr.code, known)
        except Exception as error:
            raise ValueError(f"{line}: {innermost_reason(error)}.") from None
        expected = equation.dim / second.dim if equation.type == DIFFERENTIAL_EQUATION else equation.dim
        if get_dimensions(found) is not expected:
            given, wanted = (
                "no unit" if dim is DIMENSIONLESS else f"the unit {get_unit_for_display(dim)}"
                for dim in (found, expected)
            )
            raise ValueError(f"{line}: the right-hand side has {given}, but {wanted} is needed.")
