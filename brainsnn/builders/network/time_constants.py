"""Time constants of a neuron model: positive, and not too short for the time step and the integration method."""

import numpy as np
from brian2 import Quantity, get_dimensions, ms, second
from brian2.utils.stringtools import get_identifiers

__all__ = ["check_time_constant", "check_time_constants", "is_time_constant"]

#: Methods that integrate a decay exactly, however long the time step is.
EXACT = {"exact", "linear", "independent", "exponential_euler", "exponential_euler_additive"}


def is_time_constant(name, dim):
    """Return whether a parameter is a time constant: a time whose name starts with ``tau`` (bool)."""
    return name.startswith("tau") and dim is second.dim


def check_time_constants(model, method, dt):
    """
    Check the time constants that a model's differential equations use.

    Parameters
    ----------
    model : `~brainsnn.equations.model.NeuronModel`
    method : str
        Integration method.
    dt : float
        Time step in seconds.

    Raises
    ------
    ValueError
        If one is not greater than 0, or is shorter than a time step that the method does not take exactly.
    """
    equations = model.brian_equations
    used = {name for equation in equations.values() if equation.expr is not None
            for name in get_identifiers(equation.expr.code)}  # fmt: skip
    for name, value in model.constants.items():
        if not callable(value) and is_time_constant(name, get_dimensions(value)):
            is_integrated = name in used and bool(equations.diff_eq_names)
            check_time_constant(f"convert: {model.name}.{name}", value, method if is_integrated else None, dt)


def check_time_constant(about, value, method, dt):
    """
    Check one time constant.

    Parameters
    ----------
    about : str
        What it is; the message of an error starts with it.
    value : float, Quantity or ndarray
        In seconds.
    method : str or None
        Integration method of the equations that use it; None if no differential equation does.
    dt : float
        Time step in seconds.

    Raises
    ------
    ValueError
        As for `check_time_constants`.
    """
    value = np.asarray(value, dtype=float)
    if not (value > 0).all():
        raise ValueError(
            f"{about}: a time constant must be greater than 0, got {Quantity(value.min(), dim=second.dim)}."
        )
    if method is not None and method not in EXACT and value.min() < dt * (1 - 1e-6):
        raise ValueError(
            f"{about}: {value.min() * second / ms:g} ms is shorter than the time step of {dt * second / ms:g} ms, which the "
            f"integration method {method!r} cannot take. Convert with a smaller dt, or use a longer time constant."
        )
