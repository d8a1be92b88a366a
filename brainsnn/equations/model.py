"""The class of all neuron models: equations, threshold, reset and parameters, in Brian2's syntax."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as _with_fields
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import Any

from brian2 import Equations, Quantity
from brian2.equations.equations import DIFFERENTIAL_EQUATION, PARAMETER
from brian2.utils.stringtools import get_identifiers

from brainsnn.equations import integration  # noqa: F401  (registers the method for noisy equations)
from brainsnn.equations.checks import check_model, parsed_equations
from brainsnn.equations.expression_limits import check_expression_limits
from brainsnn.equations.printed_model import PrintedModel
from brainsnn.equations.roles import check_roles
from brainsnn.equations.statements import assigned, cleaned
from brainsnn.equations.variants import NetworkVariants
from brainsnn.errors import UnknownNameError

__all__ = ["INTEGRATION_METHODS", "NeuronModel"]

#: Methods that are tried in this order. The first is exact for the linear equations of the published neurons, the second
#: for the same equations with additive noise.
INTEGRATION_METHODS = ("exponential_euler", "exponential_euler_additive", "euler", "milstein")

#: What a spike does, unless a model says otherwise.
ON_PRE = "I_post += w*h_pre"


def _clean_lines(text):
    """Return the equations of a text, one per line, without comments and extra white space."""
    lines = (line.split("#")[0] for line in text.splitlines())
    return [" ".join(line.split()) for line in lines if line.strip()]


@cache
def _parsed(name, equations):
    """Parse equations once: Brian2 needs milliseconds, and a network reads the same few models hundreds of times."""
    return parsed_equations(name, equations)


@dataclass(frozen=True, repr=False)
class NeuronModel(NetworkVariants, PrintedModel):
    """
    A spiking neuron model in Brian2's syntax, and the role of its variables in a network.

    Parameters
    ----------
    name : str
        Name of the model.
    equations : str
        Brian2 equations, one per line.
    threshold : str, optional
        Condition for a spike; None for neurons that do not spike.
    reset : str, optional
        Statements executed when a neuron spikes.
    refractory : `~brian2.units.fundamentalunits.Quantity` or str, optional
        How long a neuron does not spike again, and does not change variables whose equation is marked ``(unless refractory)``: a
        time, an expression of one, or a condition under which it remains refractory. Equations and statements may read
        ``not_refractory`` and ``lastspike``.
    update : str, optional
        Statements executed in every step before the threshold, for models defined as a discrete map.
    parameters : dict
        Value of every parameter, with units. A constant may also be a `~brian2.input.timedarray.TimedArray` or a function with
        units. A name that ``equations`` declare (``m_f : 1``) is a per-neuron parameter, and
        its value is the initial one. All other names are constants of the equations.
    receives : str, optional
        Variable to which incoming spikes are added. Graded connections and the stimulus replace it (see `with_inputs`).
    on_pre : str, optional
        Statements executed when a spike arrives at a synapse. ``w`` is the weight; the suffixes ``_pre`` and ``_post``
        denote variables of the source neuron and the target neuron, and no suffix means the target. ``"I_post += w*h_pre"``
        by default; a readout has those of the neuron by default.
    membrane : str, optional
        Variable that maximum pooling and ``membrane`` average pooling read; None if the model cannot be pooled. A readout
        reports a maximum over membranes in it.
    spike_height : str, optional
        Per-neuron parameter that scales the weight of a spike, the output gain.
    bias : str, optional
        Per-neuron parameter that holds the bias of the layer.
    threshold_parameter : str, optional
        Per-neuron parameter that ``convert(..., thresholds={layer: value})`` sets.
    input_unit : `~brian2.units.fundamentalunits.Quantity`, optional
        Physical value of ``receives`` (and of the bias) that corresponds to 1 in the artificial network.
    initial : dict, optional
        Values of state variables at the start of each trial, for example ``{"v": -70*mV}``; 0 by default. One value, or one for
        each neuron of the layer.
    derived : dict, optional
        Parameters computed from others: name -> (names of the others, function of their values), for example
        ``{"h": (("m_f", "tau_beta"), height)}``.
    attention : dict, optional
        Parameter that each attention mechanism changes, for example ``{"input_gain": "gain"}``.
    encoder : {"current", "poisson"}, optional
        How images enter the network unless ``convert`` sets it: as a current into the first population, or as signed
        Poisson spikes. With ``"poisson"``, the neuron is made for spikes of height 1, and they are not scaled to its synapse.
    method : str or tuple of str, optional
        Integration method, or several that are tried in order.
    readout : `NeuronModel`, optional
        Model of the neurons that read out the last layer.
    output : str, optional
        Variable that is the output of the network, if these neurons are a readout.

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
    on_pre: str | None = None
    membrane: str | None = None
    spike_height: str | None = "h"
    bias: str | None = "bias"
    threshold_parameter: str | None = None
    input_unit: Quantity | float = 1.0
    initial: Mapping[str, Any] = field(default_factory=dict)
    derived: Mapping[str, tuple[tuple[str, ...], Callable]] = field(default_factory=dict)
    attention: Mapping[str, str] = field(default_factory=dict)
    encoder: str = "current"
    method: str | tuple[str, ...] = INTEGRATION_METHODS
    readout: "NeuronModel | None" = None
    output: str = "S"
    refractory: Quantity | str | None = None

    def __post_init__(self) -> None:
        equations = "\n".join(_clean_lines(self.equations))
        object.__setattr__(self, "equations", equations)
        if self.on_pre is None and self.threshold is not None:
            object.__setattr__(self, "on_pre", ON_PRE)
        for name in ("threshold", "reset", "update", "on_pre"):
            object.__setattr__(self, name, cleaned(getattr(self, name)))
        check_expression_limits(self)
        declared = self.brian_equations
        parameters = dict(self.parameters)
        derived = {n: ((o,) if isinstance(o, str) else tuple(o), f) for n, (o, f) in self.derived.items()}
        object.__setattr__(self, "derived", derived)
        underivable = None
        for name, (origins, function) in derived.items():
            for origin in origins:
                if origin not in parameters:
                    raise ValueError(
                        f"{self.name}.derived: {name!r} is computed from {origin!r}, which is not a parameter. Give its value."
                    )
            if name not in parameters:
                try:
                    parameters[name] = function(*(parameters[origin] for origin in origins))
                except TypeError as error:  # the values are checked below, where all else is known
                    underivable = error
        object.__setattr__(self, "parameters", MappingProxyType(parameters))
        if self.receives not in declared:
            raise ValueError(
                f"{self.name}.receives: the equations do not define {self.receives!r}; they define "
                f"{', '.join(declared)}. Name the variable to which incoming spikes are added."
            )
        for name in parameters:
            if name in declared and declared[name].type != PARAMETER:
                fix = (
                    f"give its value at the start of a trial as initial={{{name!r}: ...}}"
                    if declared[name].type == DIFFERENTIAL_EQUATION else "change that equation"
                )  # fmt: skip
                raise ValueError(
                    f"{self.name}.{name}: follows from {self.definition(name)!r}, so it cannot be a parameter; {fix}."
                )
        for name in self.initial:
            if name not in declared:
                raise ValueError(
                    f"{self.name}.initial: the equations do not define {name!r}; they define {', '.join(declared)}."
                )
        if self.membrane is not None and self.membrane not in declared:
            raise ValueError(
                f"{self.name}.membrane: the equations do not define {self.membrane!r}; they define {', '.join(declared)}."
            )
        check_model(self)
        check_roles(self)
        if underivable is not None:
            raise underivable

    @property
    def brian_equations(self) -> Equations:
        """The equations as a `~brian2.equations.equations.Equations` object."""
        return _parsed(self.name, self.equations)

    @property
    def neuron_parameters(self) -> tuple[str, ...]:
        """Names of the per-neuron parameters, in the order of the equations (tuple of str)."""
        return tuple(eq.varname for eq in self.brian_equations.values() if eq.type == PARAMETER)

    @property
    def constants(self) -> dict[str, Any]:
        """Parameters that are the same for all neurons and written into the equations as numbers (dict)."""
        return {name: value for name, value in self.parameters.items() if name not in self.brian_equations}

    @property
    def used_names(self) -> set[str]:
        """Names that equations and statements use; those of ``on_pre`` without the weight and without endings (set of str)."""
        names = set(self.brian_equations).union(*(eq.identifiers for eq in self.brian_equations.values()))
        names = names.union(*(get_identifiers(code) for code in self._codes if code))
        on_pre = get_identifiers(self.on_pre or "") - {"w"}
        return names | {name.removesuffix("_pre").removesuffix("_post") for name in on_pre}

    @property
    def _codes(self):
        """Conditions and statements of the neurons themselves."""
        refractory = self.refractory if isinstance(self.refractory, str) else None
        return self.threshold, refractory, self.reset, self.update

    @property
    def _arrival(self):
        """What an arriving spike does; None if no equation defines what it changes, as in neurons that pool others."""
        written = {name.removesuffix("_post") for name in assigned(self.on_pre) if not name.endswith("_pre")}
        return self.on_pre if not written or written & set(self.brian_equations) else None

    def definition(self, variable: str) -> str:
        """
        Return the line of the equations that defines a variable.

        Parameters
        ----------
        variable : str

        Returns
        -------
        line : str

        Raises
        ------
        ValueError
            If no equation defines it.

        Examples
        --------
        >>> import brainsnn as bs
        >>> bs.ASN().definition("theta")
        'theta = m_f + theta_dyn : 1'
        """
        defined = re.compile(rf"(d{re.escape(variable)}\s*/\s*dt|{re.escape(variable)})\s*[=:]")
        for line in self.equations.splitlines():
            if defined.match(line):
                return line
        raise ValueError(
            f"{self.name}: the equations do not define {variable!r}; they define {', '.join(self.brian_equations)}."
        )

    def unit_of(self, variable: str) -> str:
        """
        Return the unit of a variable as the equations write it.

        Brian2 prints some units in a form that its equations do not accept, such as A for amp.

        Parameters
        ----------
        variable : str

        Returns
        -------
        unit : str

        Raises
        ------
        ValueError
            If no equation defines the variable.

        Examples
        --------
        >>> import brainsnn as bs
        >>> bs.ASN().unit_of("theta")
        '1'
        """
        return self.definition(variable).rsplit(":", 1)[1].split("(")[0].strip()

    # Changes return a new model

    def replace(self, old: str, new: str, **parameters: Any) -> "NeuronModel":
        """
        Return the model with one equation replaced.

        Parameters
        ----------
        old : str
            The equation to replace, as ``print(model)`` shows it. White space is ignored.
        new : str
            The equation or equations that replace it, one per line.
        **parameters
            Values of parameters that the new equation introduces.

        Returns
        -------
        model : `NeuronModel`
            The changed model. The variants that the builder derives (first layer, junction, pooled) include the change.

        Raises
        ------
        ValueError
            If the model has no equation ``old``; the message names the closest one.

        Examples
        --------
        >>> import brainsnn as bs
        >>> print(bs.ASN().definition("S_dyn"))
        dS_dyn/dt = (gain*I - S_dyn)/tau_phi : 1
        >>> noisy = bs.ASN().replace(
        ...     "dS_dyn/dt = (gain*I - S_dyn)/tau_phi : 1",
        ...     "dS_dyn/dt = (gain*I - S_dyn)/tau_phi + sigma*xi/sqrt(tau_phi) : 1",
        ...     sigma=0.05,
        ... )
        >>> noisy.parameters["sigma"]
        0.05
        """
        lines = self.equations.splitlines()
        wanted = _clean_lines(old)
        if len(wanted) != 1 or wanted[0] not in lines:
            closest = get_close_matches(" ".join(wanted), lines, n=1, cutoff=0.0)
            raise ValueError(
                f"{self.name}.replace: the model has no equation {old.strip()!r}. Did you mean {closest[0]!r}?"
            )
        position = lines.index(wanted[0])
        lines[position : position + 1] = _clean_lines(new)
        return self.edit(equations="\n".join(lines), **parameters)

    def edit(self, **changes: Any) -> "NeuronModel":
        """
        Return the model with fields (``threshold=...``, ``reset=...``, ``on_pre=...``) or parameters changed.

        Parameters
        ----------
        **changes
            Fields of `NeuronModel` or values of parameters. A new parameter is added if an equation or a statement uses it.

        Returns
        -------
        model : `NeuronModel`

        Raises
        ------
        UnknownNameError
            If no equation or statement of the changed model uses a new parameter.

        Examples
        --------
        >>> import brainsnn as bs
        >>> slow = bs.ASN(m_f=0.1).edit(m_f=0.2, refractory=3 * bs.ms)
        >>> slow.parameters["m_f"], slow.refractory
        (0.2, 3. * msecond)
        """
        fields = {name: value for name, value in changes.items() if name in self.__dataclass_fields__}
        new_parameters = {name: value for name, value in changes.items() if name not in fields}
        parameters = {**fields.pop("parameters", self.parameters), **new_parameters}
        for name, (origins, _) in self.derived.items():
            if not new_parameters.keys().isdisjoint(origins) and name not in new_parameters:
                parameters.pop(name, None)  # so that it is computed from the new value
        model = _with_fields(self, parameters=parameters, **fields)
        for name in new_parameters:
            if name not in model.used_names:
                raise UnknownNameError(
                    name,
                    sorted(model.used_names & {*self.parameters, *model.parameters}),
                    f"parameter of {self.name!r}",
                    "No equation or statement uses it.",
                )
        return model
