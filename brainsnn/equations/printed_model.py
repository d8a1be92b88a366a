"""How a neuron model appears: in one line, as a text, and in a notebook."""

from typing import Any

import numpy as np
from brian2 import TimedArray, get_dimensions, in_best_unit, second
from brian2.units.fundamentalunits import DIMENSIONLESS

from brainsnn.equations.statements import assigned
from brainsnn.html_tables import code_rows, fragment
from brainsnn.one_line import one_line

__all__ = ["PrintedModel", "shown"]


def shown(value):
    """Return the text of a parameter's value: a number with its unit, a range, or what kind of function it is (str)."""
    if isinstance(value, TimedArray):
        return f"TimedArray of {len(value.values)} steps of {in_best_unit(value.dt * second)}"
    if callable(value):
        return f"function {getattr(getattr(value, 'pyfunc', value), '__name__', value)}"
    if np.size(value) > 1:
        return f"{shown(np.min(value))} ... {shown(np.max(value))}"
    return in_best_unit(value, 4) if get_dimensions(value) is not DIMENSIONLESS else f"{float(value):.5g}"


class PrintedModel:
    """The part of a `~brainsnn.equations.model.NeuronModel` that prints it."""

    def _parts(self):
        """Yield title and lines of each part of the model."""
        yield "equations", self.equations.splitlines()
        for title, code in (
            ("every step", self.update),
            ("threshold", self.threshold),
            ("refractory", None if self.refractory is None else str(self.refractory)),
            ("reset", self.reset),
            ("spike arrives", self._arrival),
        ):
            if code:
                yield title, [line.strip() for line in code.replace(";", "\n").splitlines() if line.strip()]
        if self.initial:
            yield "at the start", [f"{name} = {shown(value)}" for name, value in self.initial.items()]
        if self.brian_equations.diff_eq_names:
            methods = [self.method] if isinstance(self.method, str) else self.method
            yield "method", [", ".join(methods) + (" (the first that can)" if len(methods) > 1 else "")]
        lines = []
        for name, value in self.parameters.items():
            equation = self.brian_equations.get(name)
            scope = "" if equation is None else "   (shared)" if "shared" in equation.flags else "   (per neuron)"
            lines.append(f"{name} = {shown(value)}{scope}")
        yield "parameters", lines

    def __repr__(self: Any) -> str:
        moving = ", ".join(self.brian_equations.diff_eq_names) or ", ".join(sorted(assigned(self.update or "")))
        values = ", ".join(f"{name}={shown(value)}" for name, value in self.parameters.items())
        return one_line(self, f"{self.name}, spikes when {self.threshold}, of {moving}; {values}")

    def __str__(self: Any) -> str:
        parts = [[f"  {title}", *(f"    {line}" for line in lines)] for title, lines in self._parts()]
        return "\n".join([self.name, *(line for part in parts for line in part)])

    def _repr_html_(self: Any) -> str:
        return fragment(self.name, code_rows((title, "\n".join(lines)) for title, lines in self._parts() if lines))

    def _repr_latex_(self):
        return self.brian_equations._repr_latex_()
