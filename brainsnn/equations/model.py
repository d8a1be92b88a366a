"""The small thing that every neuron model is an instance of: equations, threshold, reset, parameters."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as _with_fields
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import Any

from brian2 import Equations, Quantity, get_dimensions, have_same_dimensions, in_best_unit
from brian2.equations.equations import DIFFERENTIAL_EQUATION, PARAMETER, SUBEXPRESSION
from brian2.units.fundamentalunits import DIMENSIONLESS, get_unit_for_display
from brian2.utils.stringtools import get_identifiers, word_substitute

from brainsnn.equations import integration  # noqa: F401  (registers the method for noisy equations)

__all__ = ["INTEGRATION_METHODS", "NeuronModel", "assignments"]

_ASSIGNMENT = re.compile(r"^\s*(\w+)\s*((?:\*\*|//|[-+*/%])?=)(?!=)\s*(.*)$")

#: Tried in turn. The first one is exact for the linear equations of the literature's neurons, the second one for
#: the same equations with additive noise.
INTEGRATION_METHODS = ("exponential_euler", "exponential_euler_additive", "euler", "milstein")


def _clean_lines(text):
    """The equations of a text, one to a line, without comments and surplus white space."""
    lines = (line.split("#")[0] for line in text.splitlines())
    return [" ".join(line.split()) for line in lines if line.strip()]


@cache
def _parsed(equations):
    """Brian2 takes milliseconds to parse equations, and a network asks for those of its few models hundreds of times."""
    return Equations(equations)


@dataclass(frozen=True)
class NeuronModel:
    """
    A spiking neuron model in Brian2's own words, and what the network builder needs to know about it.

    Parameters
    ----------
    name : str
        Name of the model.
    equations : str
        Brian2 equations, one on each line.
    threshold : str, optional
        Condition to spike; None for neurons that do not spike.
    reset : str, optional
        Statements executed when a neuron spikes.
    update : str, optional
        Statements executed at every step before the threshold, for models defined by a discrete map.
    parameters : dict
        Value of every parameter, with units. A name that ``equations`` declares (``m_f : 1``) is a per-neuron
        parameter and this is its initial value, any other name is a constant of the equations.
    receives : str, optional
        Variable that collects the spikes; junctions, graded connections and the stimulus act in its place.
    on_pre : str, optional
        What a spike does to its target. ``w`` is the weight; suffixes ``_pre`` and ``_post`` name variables of the
        source and the target neuron.
    output : str, optional
        Variable that is the output of these neurons where they are a readout.
    membrane : str, optional
        Variable over which maximum and ``membrane`` average pooling work; None if the model cannot be pooled.
    spike_height : str, optional
        Per-neuron parameter by which a spike's weight is scaled, the output gain.
    bias : str, optional
        Per-neuron parameter that takes the bias of the layer.
    threshold_parameter : str, optional
        Per-neuron parameter that ``convert(..., thresholds={layer: value})`` sets.
    input_unit : `~brian2.units.fundamentalunits.Quantity`, optional
        The physical value of ``receives`` (and of the bias) that stands for the number 1 of the artificial network.
    initial : dict, optional
        Values of state variables at the beginning of each trial, ``{"v": -70*mV}``; 0 by default.
    derived : dict, optional
        Parameters that follow from another one, ``{"h": ("m_f", spike_height)}``.
    attention : dict, optional
        Parameter that each attention mechanism changes, ``{"input_gain": "gain", ...}``.
    encoder : {"current", "poisson"}, optional
        How images reach the network unless ``convert`` says otherwise: as a current into the first population, or as
        signed Poisson spikes.
    method : str or tuple of str, optional
        Integration method, or several to be tried in turn.
    readout : `NeuronModel`, optional
        Model of the neurons that read the last layer out.

    See Also
    --------
    brainsnn.equations.asn.ASN, brainsnn.equations.integrate_and_fire.IF

    Examples
    --------
    >>> from brainsnn.equations import ASN
    >>> noisy = ASN(m_f=0.1).replace(
    ...     "dS_dyn/dt = (gain*I - S_dyn)/tau_phi : 1",
    ...     "dS_dyn/dt = (gain*I - S_dyn)/tau_phi + sigma*xi/sqrt(tau_phi) : 1", sigma=0.05)
    >>> noisy.parameters["sigma"]
    0.05
    """

    name: str
    equations: str
    threshold: str | None = None
    reset: str | None = None
    update: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    receives: str = "I"
    on_pre: str = "I_post += w*h_pre"
    output: str = "S"
    membrane: str | None = None
    spike_height: str | None = "h"
    bias: str | None = "bias"
    threshold_parameter: str | None = None
    input_unit: Quantity | float = 1.0
    initial: Mapping[str, Any] = field(default_factory=dict)
    derived: Mapping[str, tuple[str, Callable]] = field(default_factory=dict)
    attention: Mapping[str, str] = field(default_factory=dict)
    encoder: str = "current"
    method: str | tuple[str, ...] = INTEGRATION_METHODS
    readout: "NeuronModel | None" = None

    def __post_init__(self) -> None:
        equations = "\n".join(_clean_lines(self.equations))
        object.__setattr__(self, "equations", equations)
        declared = self.brian_equations
        parameters = dict(self.parameters)
        for name, (origin, function) in self.derived.items():
            parameters.setdefault(name, function(parameters[origin]))
        object.__setattr__(self, "parameters", MappingProxyType(parameters))
        if self.receives not in declared:
            raise ValueError(
                f"{self.name}.receives: no variable {self.receives!r} in the equations, which define "
                f"{', '.join(declared)}. Name the variable that collects the spikes."
            )
        for name in self.initial:
            if name not in declared:
                raise ValueError(f"{self.name}.initial: {name!r} is no variable; there are {', '.join(declared)}.")
        for role in (self.spike_height, self.bias, self.threshold_parameter):
            if role is not None and role not in self.neuron_parameters:
                raise ValueError(
                    f"{self.name}: {role!r} is no per-neuron parameter of the equations; declare it as '{role} : 1' or "
                    f"say that the model has none."
                )
        for name in (*self.neuron_parameters, *self.initial):
            value = self.initial.get(name, self.parameters.get(name))
            if value is not None and not have_same_dimensions(value, Quantity(1, dim=declared[name].dim)):
                raise ValueError(
                    f"{self.name}.{name}: the value {value!r} does not have the unit "
                    f"{get_unit_for_display(declared[name].dim)} that the equations declare."
                )
        if self.readout is not None and self.readout.output not in self.readout.brian_equations:
            raise ValueError(
                f"{self.name}.readout: the output {self.readout.output!r} is not a variable of the readout, which has "
                f"{', '.join(self.readout.brian_equations)}. Name one of them with NeuronModel(output=...)."
            )
        if self.threshold is not None and self.readout is not None and self.readout.threshold is not None:
            raise ValueError(
                f"{self.name}.readout: a readout does not spike, got a threshold {self.readout.threshold!r}."
            )

    # What the model says of itself

    @property
    def brian_equations(self) -> Equations:
        """The equations as a `~brian2.equations.equations.Equations` object."""
        return _parsed(self.equations)

    @property
    def neuron_parameters(self) -> tuple[str, ...]:
        """Names of the per-neuron parameters, in the order of the equations (tuple of str)."""
        return tuple(eq.varname for eq in self.brian_equations.values() if eq.type == PARAMETER)

    @property
    def constants(self) -> dict[str, Any]:
        """Parameters that are the same for all neurons and written into the equations as numbers (dict)."""
        return {name: value for name, value in self.parameters.items() if name not in self.brian_equations}

    def __str__(self) -> str:
        parts = [f"{self.name}", "  equations"]
        parts += [f"    {line}" for line in self.equations.splitlines()]
        for title, code in (
            ("every step", self.update),
            ("threshold", self.threshold),
            ("reset", self.reset),
            ("spike arrives", self.on_pre if self.threshold is not None else None),
        ):
            if code:
                parts.append(f"  {title}")
                parts += [f"    {line.strip()}" for line in code.replace(";", "\n").splitlines() if line.strip()]
        parts.append("  parameters")
        for name, value in self.parameters.items():
            shown = in_best_unit(value, 4) if get_dimensions(value) is not DIMENSIONLESS else f"{float(value):.5g}"
            parts.append(f"    {name} = {shown}" + ("   (per neuron)" if name in self.neuron_parameters else ""))
        return "\n".join(parts)

    def _repr_latex_(self):
        return self.brian_equations._repr_latex_()

    # Changing a model gives a new model

    def replace(self, old: str, new: str, **parameters: Any) -> "NeuronModel":
        """
        The same model with one equation changed.

        Parameters
        ----------
        old : str
            The equation to replace, as it is printed; white space does not count.
        new : str
            What to put there, one or several lines.
        **parameters
            Values of the parameters that the new equation brings along.

        Returns
        -------
        model : `NeuronModel`
            The changed model. The variants that the builder derives from it (first layer, junction, pooled) change with it.

        Raises
        ------
        ValueError
            If ``old`` is not an equation of the model; the message names the closest one.
        """
        lines = self.equations.splitlines()
        wanted = _clean_lines(old)
        if len(wanted) != 1 or wanted[0] not in lines:
            closest = get_close_matches(" ".join(wanted), lines, n=1, cutoff=0.0)
            raise ValueError(f"{self.name}.replace: no equation {old.strip()!r}. Did you mean {closest[0]!r}?")
        position = lines.index(wanted[0])
        lines[position : position + 1] = _clean_lines(new)
        return self.edit(equations="\n".join(lines), **parameters)

    def edit(self, **changes: Any) -> "NeuronModel":
        """
        The same model with fields (``threshold=...``, ``reset=...``, ``on_pre=...``) or parameters changed.

        Parameters
        ----------
        **changes
            Fields of `NeuronModel` or values of parameters. A parameter that the model does not have yet is added.

        Returns
        -------
        model : `NeuronModel`
        """
        fields = {name: value for name, value in changes.items() if name in self.__dataclass_fields__}
        new_parameters = {name: value for name, value in changes.items() if name not in fields}
        parameters = {**fields.pop("parameters", self.parameters), **new_parameters}
        for name, (origin, _) in self.derived.items():
            if origin in new_parameters and name not in new_parameters:
                parameters.pop(name, None)  # follows from its origin again
        return _with_fields(self, parameters=parameters, **fields)

    # The variants that a network needs

    def with_inputs(self, spikes: bool = True, graded: int = 0, stimulus: bool = False) -> "NeuronModel":
        """
        The model for a population whose input comes from spikes, from graded connections, from the stimulus, or from several.

        Whatever arrives without passing the synaptic filter takes the place of the received variable ``I`` in all
        equations but its own, in the threshold, and where the reset reads it: ``gain*I`` becomes ``gain*stimulus`` in the first
        layer, ``gain*(I + graded)`` behind a junction that also gets spikes. Without incoming spikes there is no ``I`` that a
        reset could change; such statements are left out.

        Parameters
        ----------
        spikes, stimulus : bool
            Whether the population gets spikes, and the stimulus.
        graded : int
            Number of variables written by graded connections: ``graded``, ``graded_2``, ...

        Returns
        -------
        model : `NeuronModel`

        Raises
        ------
        ValueError
            If the statements of every step read ``I`` and the population gets both spikes and other inputs.
        """
        terms = [self.receives] if spikes else []
        lines = self.equations.splitlines()
        # As the equations write it: Brian2 prints amp as "A", which its equations do not accept.
        unit = self._definition_line(self.receives).split(":")[1].split("(")[0].strip()
        for name in graded_variables(graded):
            terms.append(name)
            lines.append(f"{name} : {unit}")
        if stimulus:
            terms.append("stimulus")
            lines += [
                f"stimulus = image*is_on + background*(1 - is_on) : {unit}",
                "is_on = int(t >= t_on and t < t_off) : 1 (shared)",
                f"image : {unit}",
                f"background : {unit}",
                "t_on : second (shared)",
                "t_off : second (shared)",
            ]
        if not terms:
            raise ValueError(f"{self.name}.with_inputs: a population needs at least one kind of input.")
        if terms == [self.receives]:
            return self
        # What is not filtered is written by connections (graded) or follows from the image (stimulus).
        total = terms[0] if len(terms) == 1 else f"({' + '.join(terms)})"
        own = self._definition_line(self.receives)
        lines = [line if line == own else _substitute_right(line, self.receives, total) for line in lines]
        receives = self.receives
        if not spikes:
            lines.remove(own)
            receives = terms[0]
        reset = [
            f"{variable} {operator} {word_substitute(expression, {self.receives: total})}"
            for variable, operator, expression in assignments(self.reset)
            if spikes or variable != self.receives
        ]
        threshold = self.threshold and word_substitute(self.threshold, {self.receives: total})
        update = word_substitute(self.update, {self.receives: total}) if self.update and not spikes else self.update
        if self.update and spikes and self.receives in get_identifiers(self.update):
            raise ValueError(
                f"{self.name}: its every-step statements read {self.receives!r}, which cannot be combined with stimulus or "
                f"graded inputs in one population."
            )
        equations = "\n".join(lines)
        return _with_fields(
            self, equations=equations, receives=receives, update=update, threshold=threshold,
            reset="\n".join(reset) if self.reset else self.reset,
            initial=_kept(self.initial, equations),
        )  # fmt: skip

    @property
    def has_linear_filter(self) -> bool:
        """
        Whether spikes pass a filter that is linear and the same for all neurons, so that a junction is exact (bool).
        """
        if self.update and self.receives in get_identifiers(self.update):
            return False
        equation = self.brian_equations[self.receives]
        others = set(self.brian_equations) - {self.receives}
        return equation.type == DIFFERENTIAL_EQUATION and not (equation.identifiers & (others | {"xi", "t"}))

    def junction(self) -> "NeuronModel":
        """
        The synaptic filter alone: a group that holds the current of a residual stream and does not spike.

        Returns
        -------
        model : `NeuronModel`

        Raises
        ------
        ValueError
            If the model has no linear filter (see `has_linear_filter`).
        """
        if not self.has_linear_filter:
            raise ValueError(
                f"{self.name}: a junction needs a synaptic filter that is linear and the same for all neurons; "
                f"{self._definition_line(self.receives)!r} is not. Read the model with read_keras(..., junctions=False)."
            )
        return _with_fields(
            self,
            name=f"{self.name} junction",
            equations=self._definition_line(self.receives),
            threshold=None, reset=None, update=None, readout=None,
            membrane=None, spike_height=None, bias=None, threshold_parameter=None,
            derived={}, attention={}, parameters=self.constants, initial={},
        )  # fmt: skip

    def membrane_only(self) -> "NeuronModel":
        """
        The equations up to the membrane variable, without a spike: what stands in front of a pooling.

        Returns
        -------
        model : `NeuronModel`

        Raises
        ------
        ValueError
            If the model names no membrane variable.
        """
        needed: set[str] = set()
        frontier = {self._need_membrane(), self.receives}
        equations = self.brian_equations
        while frontier:
            name = frontier.pop()
            needed.add(name)
            frontier |= (equations[name].identifiers & set(equations)) - needed
        needed |= {self.bias} if self.bias else set()
        lines = [line for line in self.equations.splitlines() if next(iter(Equations(line))) in needed]
        parameters = {n: v for n, v in self.parameters.items() if n in needed or n not in equations}
        return _with_fields(
            self, name=f"{self.name} membrane", equations="\n".join(lines), threshold=None, reset=None, readout=None,
            spike_height=None, threshold_parameter=None, derived={}, parameters=parameters,
            initial=_kept(self.initial, "\n".join(lines)),
            attention={k: v for k, v in self.attention.items() if v in needed},
        )  # fmt: skip

    def pooled(self) -> "NeuronModel":
        """
        The model for neurons whose membrane variable is a pooling over other neurons' membranes, ``pooled``.

        An input gain acts behind the pooling, at the size at which the neurons spike.

        Returns
        -------
        model : `NeuronModel`
        """
        membrane = self._need_membrane()
        definition = self._definition_line(membrane)
        dropped = {definition, self._definition_line(self.receives)}
        unit = definition.split(":")[1].split("(")[0].strip()
        lines = [line for line in self.equations.splitlines() if line not in dropped]
        gain = self.attention.get("input_gain")
        lines.append(f"{membrane} = {gain}*pooled : {unit}" if gain else f"{membrane} = pooled : {unit}")
        lines.append(f"pooled : {unit}")
        initial = {name: value for name, value in self.initial.items() if name not in (membrane, self.receives)}
        return _with_fields(self, equations="\n".join(lines), receives="pooled", initial=initial)

    def _need_membrane(self) -> str:
        if self.membrane is None:
            raise ValueError(
                f"{self.name}.membrane: the model names no membrane variable, so that maximum and membrane pooling are not "
                f"defined for it. Use average pooling with average_pooling='spikes', or set membrane=... of the model."
            )
        return self.membrane

    def _definition_line(self, variable: str) -> str:
        for line in self.equations.splitlines():
            if next(iter(Equations(line))) == variable:
                return line
        raise ValueError(f"{self.name}: no equation defines {variable!r}.")


def _kept(values, equations):
    """The entries of a dict whose names the equations declare."""
    declared = Equations(equations)
    return {name: value for name, value in values.items() if name in declared}


def graded_variables(n: int) -> list[str]:
    """
    Names of the variables that graded connections write.

    Parameters
    ----------
    n : int
        Their number.

    Returns
    -------
    names : list of str
    """
    return ["graded" if k == 1 else f"graded_{k}" for k in range(1, n + 1)]


def assignments(code: str | None) -> list[tuple[str, str, str]]:
    """
    The statements of a reset, of a spike, or of every step.

    Parameters
    ----------
    code : str or None

    Returns
    -------
    found : list of (str, str, str)
        Variable, operator such as ``+=``, expression.
    """
    found = (_ASSIGNMENT.match(line.split("#")[0]) for line in (code or "").replace(";", "\n").splitlines())
    return [(match[1], match[2], match[3]) for match in found if match]


def _substitute_right(line, name, expression):
    """Replace a name on the right-hand side of an equation."""
    equation = next(iter(Equations(line).values()))
    if equation.type not in (DIFFERENTIAL_EQUATION, SUBEXPRESSION):
        return line
    left, right = line.split("=", 1)
    return f"{left}={word_substitute(right, {name: expression})}"
