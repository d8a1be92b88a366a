"""The two sides of a threshold condition as traces, from recorded variables and constants."""

import ast
from dataclasses import dataclass

import numpy as np
import sympy as sp
from brian2.parsing.sympytools import str_to_sympy
from brian2.units.allunits import all_units

__all__ = ["ThresholdSides", "threshold_sides"]

_COMPARISONS = (ast.Gt, ast.GtE, ast.Lt, ast.LtE)
#: Functions that a condition may call here. Nothing else of a loaded file is ever called.
_FUNCTIONS = {
    "exp",
    "log",
    "log10",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "tanh",
    "sinh",
    "cosh",
    "abs",
    "sign",
    "clip",
    "floor",
    "ceil",
}


@dataclass(frozen=True)
class ThresholdSides:
    """
    The condition for a spike, which compares two expressions.

    Parameters
    ----------
    condition : str
    sides : tuple of str
        Both expressions; empty if the condition is not a single comparison, or cannot be evaluated from recordings.
    variables : tuple of str
        Variables of the equations in them, in the order of the condition.
    constants : dict of str to float
        Values of the other names, in SI units, without the time.
    """

    condition: str
    sides: tuple[str, ...]
    variables: tuple[str, ...]
    constants: dict[str, float]

    def values(self, side, states, times):
        """
        Return the values of one side over time.

        Parameters
        ----------
        side : str
        states : dict of str to (n_steps,) ndarray
            Values of all `variables`.
        times : (n_steps,) ndarray
            In seconds.

        Returns
        -------
        values : (n_steps,) ndarray
        """
        expression = str_to_sympy(side)
        symbols = sorted(expression.free_symbols, key=str)
        known = {**self.constants, "t": times, **states}
        values = sp.lambdify(symbols, expression, "numpy")(*(np.asarray(known[str(s)], dtype=float) for s in symbols))
        return np.broadcast_to(values, len(times))


def threshold_sides(model):
    """
    Return what the threshold of a population compares.

    Parameters
    ----------
    model : `~brainsnn.results.description.PopulationModel` or None

    Returns
    -------
    sides : `ThresholdSides` or None
        None for a population that does not spike, or whose equations are not known.
    """
    if model is None or model.threshold is None:
        return None
    condition = model.threshold
    node = ast.parse(condition, mode="eval").body
    called = {ast.unparse(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)}
    found = [n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id not in called]
    names = [n.id for n in sorted(found, key=lambda n: (n.lineno, n.col_offset))]
    constants = {str(unit): float(unit) for unit in all_units} | model.constants
    is_known = called <= _FUNCTIONS and {*names} <= {*constants, *model.units, "t"}
    is_comparison = isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], _COMPARISONS)
    sides = (node.left, node.comparators[0]) if is_known and is_comparison else ()
    return ThresholdSides(
        condition,
        tuple(ast.get_source_segment(condition, side) for side in sides),
        tuple(dict.fromkeys(name for name in names if name in model.units)),
        constants,
    )
