"""Variants of a neuron model that a network needs: other inputs, junctions, membranes and pooling."""

import re
from dataclasses import replace as with_fields

from brian2 import Equations
from brian2.equations.equations import DIFFERENTIAL_EQUATION, SUBEXPRESSION
from brian2.utils.stringtools import get_identifiers, word_substitute

from brainsnn.equations.linear_filter import why_not_linear
from brainsnn.equations.statements import assigned, assignments

__all__ = [
    "NetworkVariants", "graded_variables", "height_name", "stimulus_equations",
]  # fmt: skip

#: Names that the builder adds to a user's equations, and graded_2, graded_3, ...
RESERVED = tuple(
    "stimulus image background is_on t_on t_off graded pooled biased input_unit spike_scale n_spikes n_passed".split()
)


class NetworkVariants:
    """Mixin of `~brainsnn.equations.model.NeuronModel` with the variants that the network builder derives."""

    def with_free_names(self, added=None):
        """
        Return the model with constants renamed that have a name which the builder adds to the equations.

        Parameters
        ----------
        added : tuple of str, optional
            These names, those of inputs by default.

        Returns
        -------
        model : `~brainsnn.equations.model.NeuronModel`

        Raises
        ------
        ValueError
            If the equations themselves define such a name.

        Examples
        --------
        >>> import brainsnn as bs
        >>> neuron = bs.LIF().edit(threshold="v > 1 + image", image=0.1)
        >>> neuron.with_free_names().threshold  # the builder needs the name
        'v > 1 + image_of_neuron'
        """
        reserved = f"{', '.join(RESERVED)}, graded_2, ..." if added is None else ", ".join(added)
        pattern = re.compile("|".join([*RESERVED, r"graded_\d+"] if added is None else added))
        taken = [name for name in sorted(self.used_names) if pattern.fullmatch(name)]
        for name in taken:
            if name in self.brian_equations:
                raise ValueError(
                    f"{self.name}: {self.definition(name)!r} uses a name that the network needs. Rename it, for example to "
                    f"'my_{name}'. Reserved: {reserved}."
                )
        readout = self.readout and self.readout.with_free_names(added)
        if not taken:
            return self if readout is self.readout else with_fields(self, readout=readout)
        new = {name: f"{name}_of_neuron" for name in taken}
        new |= {f"{name}{end}": f"{other}{end}" for name, other in new.items() for end in ("_pre", "_post")}
        code = {name: getattr(self, name) for name in ("threshold", "reset", "update", "on_pre")}
        code |= {"refractory": self.refractory} if isinstance(self.refractory, str) else {}
        return with_fields(
            self, equations="\n".join(_substitute_right(line, new) for line in self.equations.splitlines()), readout=readout,
            parameters={new.get(name, name): value for name, value in self.parameters.items()},
            derived={n: (tuple(new.get(o, o) for o in origins), function) for n, (origins, function) in self.derived.items()},
            **{name: text and word_substitute(text, new) for name, text in code.items()},
        )  # fmt: skip

    def with_inputs(self, spikes=True, graded=0, stimulus=False):
        """
        Return the model of a population with spikes, graded connections or the stimulus as inputs.

        The synaptic filter acts on spikes only. Other inputs are added to the received variable ``I``, or replace it if no
        spikes arrive. This sum replaces ``I`` in the threshold, where the reset reads it, and in all equations except that
        of ``I``. For example, ``gain*I`` becomes ``gain*stimulus`` in the first layer, and ``gain*(I + graded)`` after a
        junction if spikes arrive too. Without incoming spikes there is no ``I``, so a reset does not change it. A discrete map
        that collects its input in ``I`` and clears it in every step (``IF``) keeps ``I`` where its reset is collected there, too.

        Parameters
        ----------
        spikes, stimulus : bool
            Whether the population receives spikes, and whether it receives the stimulus.
        graded : int
            Number of variables that graded connections write: ``graded``, ``graded_2``, ...

        Returns
        -------
        model : `~brainsnn.equations.model.NeuronModel`

        Raises
        ------
        ValueError
            If there is no input, or if the every-step statements read ``I`` and write it in another way than to clear it.

        Examples
        --------
        >>> import brainsnn as bs
        >>> first = bs.ASN().with_inputs(spikes=False, stimulus=True)
        >>> first.definition("S_dyn")
        'dS_dyn/dt = (gain*stimulus - S_dyn)/tau_phi : 1'
        """
        terms = ([self.receives] if spikes else []) + graded_variables(graded) + (["stimulus"] if stimulus else [])
        if not terms:
            raise ValueError(f"{self.name}.with_inputs: a population needs at least one kind of input.")
        if terms == [self.receives]:
            return self
        collects = self._collects_input()
        if collects and self.receives in assigned(self.reset):  # in which the reset is collected as well
            terms, spikes = [self.receives, *(term for term in terms if term != self.receives)], True
        total = {self.receives: terms[0] if len(terms) == 1 else f"({' + '.join(terms)})"}
        unit, own = self.unit_of(self.receives), self.definition(self.receives)
        lines = [line if line == own else _substitute_right(line, total) for line in self.equations.splitlines()]
        lines += [f"{name} : {unit}" for name in graded_variables(graded)]
        lines += stimulus_equations(unit) if stimulus else []
        if not spikes:
            lines.remove(own)
        equations = "\n".join(lines)
        return with_fields(
            self, equations=equations, receives=self.receives if spikes else terms[0],
            update=self._update_with(total, spikes),
            threshold=self.threshold and word_substitute(self.threshold, total),
            refractory=word_substitute(self.refractory, total) if isinstance(self.refractory, str) else self.refractory,
            reset=self.reset and self._reset_with(total, spikes), initial=_declared(self.initial, equations),
        )  # fmt: skip

    def _collects_input(self):
        """Return whether the every-step statements read ``I`` and then clear it; refuse other ways of writing it."""
        statements = assignments(self.update)
        written = [k for k, (variable, _, _) in enumerate(statements) if variable == self.receives]
        if not written:
            return False
        read = [k for k, (_, operator, code) in enumerate(statements) if self.receives in get_identifiers(code)]
        _, operator, code = statements[written[0]]
        if len(written) == 1 and operator == "=" and not get_identifiers(code) and max(read, default=-1) < written[0]:
            return True
        raise ValueError(
            f"{self.name}: its every-step statements change {self.receives!r}, in which they collect spikes, so a population "
            f"cannot receive the stimulus or graded inputs. Clear it once, after it was read, as in '{self.receives} = 0', or "
            "use encoder='poisson', which turns images into spikes."
        )

    def _update_with(self, total, spikes):
        """Return the every-step statements in which a sum replaces ``I`` where it is read; without spikes nothing clears it."""
        statements = [part for part in assignments(self.update) if spikes or part[0] != self.receives]
        code = "\n".join(f"{name} {operator} {word_substitute(code, total)}" for name, operator, code in statements)
        return code or None

    def _reset_with(self, substitutions, spikes):
        """Return the reset with names replaced on the right, without statements for ``I`` if there are no spikes."""
        return "\n".join(
            f"{variable} {operator} {word_substitute(expression, substitutions)}"
            for variable, operator, expression in assignments(self.reset)
            if spikes or variable != self.receives
        )

    @property
    def has_linear_filter(self):
        """Whether the synaptic filter is linear and the same for all neurons, as junctions need (bool)."""
        return why_not_linear(self) is None

    def junction(self):
        """
        Return the synaptic filter alone: neurons that hold the current of a residual stream and do not spike.

        Returns
        -------
        model : `~brainsnn.equations.model.NeuronModel`

        Raises
        ------
        ValueError
            If the model has no linear filter (see `has_linear_filter`).

        Examples
        --------
        >>> import brainsnn as bs
        >>> bs.ASN().junction().equations
        'dI/dt = -I/tau_beta : 1'
        """
        if not self.has_linear_filter:
            raise ValueError(
                f"{self.name}: a junction needs a synaptic filter that is linear and the same for all neurons, and "
                f"{why_not_linear(self)}. Read the model with read_keras(..., junctions=False)."
            )
        return with_fields(
            self, name=f"{self.name} junction", equations=self.definition(self.receives), threshold=None, reset=None,
            refractory=None, update=None, readout=None, membrane=None, spike_height=None, bias=None, threshold_parameter=None,
            derived={}, attention={}, parameters=self.constants, initial={},
        )  # fmt: skip

    def membrane_only(self):
        """
        Return the equations up to the membrane variable, without spikes: the neurons that a pooling reads.

        Returns
        -------
        model : `~brainsnn.equations.model.NeuronModel`

        Raises
        ------
        ValueError
            If the model has no membrane variable, or its reset changes it or a variable on which it depends.

        Examples
        --------
        >>> import brainsnn as bs
        >>> neuron = bs.ASN().membrane_only()
        >>> neuron.threshold is None, neuron.membrane
        (True, 'S_dyn')
        """
        needed, equations = self._membrane_variables(), self.brian_equations
        needed |= {self.bias} if self.bias else set()
        lines = "\n".join(self.definition(name) for name in equations if name in needed)
        parameters = {n: v for n, v in self.parameters.items() if n in needed or n not in equations}
        gain = self.attention.get("input_gain")
        # It acts once, behind the pooling (see `pooled`); a switchable gain has two values.
        gains = [f"{gain}{end}" for end in ("", "_rest", "_attended")]
        parameters |= {name: 1.0 for name in gains if name in needed and name in self.neuron_parameters}
        other = set(equations) - needed
        update = [f"{name} {operator} {code}" for name, operator, code in assignments(self.update) if name not in other]
        return with_fields(
            self, name=f"{self.name} membrane", equations=lines, threshold=None, reset=None, refractory=None, readout=None,
            update="\n".join(update) or None, spike_height=None, threshold_parameter=None, derived={}, parameters=parameters,
            initial=_declared(self.initial, lines),
            attention={k: v for k, v in self.attention.items() if v in needed},
        )  # fmt: skip

    def pooled(self):
        """
        Return the model of neurons whose membrane variable is ``pooled``, a pooling over other neurons' membranes.

        An input gain is applied after the pooling, so that it has the size of the spiking population.

        Returns
        -------
        model : `~brainsnn.equations.model.NeuronModel`

        Raises
        ------
        ValueError
            If the model has no membrane variable, its reset changes it or a variable on which it depends, or another equation
            reads the synaptic current.

        Examples
        --------
        >>> import brainsnn as bs
        >>> bs.ASN().pooled().definition("S")
        'S = S_dyn + bias : 1'
        """
        self._membrane_variables()
        replaced = {self.definition(self.membrane), self.definition(self.receives)}
        unit, gain = self.unit_of(self.membrane), self.attention.get("input_gain")
        lines = [line for line in self.equations.splitlines() if line not in replaced]
        for code in (*lines, *filter(None, self._codes)):
            if self.receives in get_identifiers(code):
                raise ValueError(
                    f"{self.name}: {code!r} reads {self.receives!r}, which neurons after a pooling do not have. Let it "
                    f"depend on {self.membrane!r}, or use average pooling with average_pooling='spikes'."
                )
        lines += [f"{self.membrane} = {gain}*pooled : {unit}" if gain else f"{self.membrane} = pooled : {unit}"]
        lines += [f"pooled : {unit}"]
        initial = {name: value for name, value in self.initial.items() if name not in (self.membrane, self.receives)}
        return with_fields(self, equations="\n".join(lines), receives="pooled", initial=initial)

    @property
    def has_pooled_membrane(self):
        """Whether maximum pooling and membrane pooling can read the membrane variable (bool)."""
        try:
            self.pooled()
        except ValueError:
            return False
        return True

    def _is_held(self, name):
        """Whether a variable changes otherwise, or not at all, while a neuron is refractory."""
        equation = self.brian_equations[name]
        return "unless refractory" in equation.flags or not {"lastspike", "not_refractory"}.isdisjoint(
            equation.identifiers
        )

    def _membrane_variables(self):
        """Return the variables on which the membrane depends. Refuse a model without a membrane, or whose spikes change it."""
        if self.membrane is None:
            raise ValueError(
                f"{self.name}.membrane: the model names no membrane variable, so its membranes cannot be pooled, or read without "
                "spikes. Pool spikes (average_pooling='spikes', max_pooling='spikes'; kind='spiking' for a Readout), use "
                "ASN(), or name the variable with membrane=..."
            )
        needed, frontier = set(), {self.membrane, self.receives}
        while frontier:
            name = frontier.pop()
            needed.add(name)
            frontier |= (self.brian_equations[name].identifiers & set(self.brian_equations)) - needed
        held = [name for name in needed if self._is_held(name)]
        if held:
            raise ValueError(
                f"{self.name}.refractory: {self.definition(held[0])!r} depends on the neuron's own spikes. Maximum pooling and "
                "membrane pooling read membranes of neurons that do not spike. Use average pooling with average_pooling='spikes'."
            )
        changed = needed & assigned(self.reset)
        if changed:
            what = (
                f"changes the membrane variable {self.membrane!r}" if self.membrane in changed
                else f"would be lost: {self.membrane!r} depends on {', '.join(sorted(changed))}, which the reset changes"
            )  # fmt: skip
            raise ValueError(
                f"{self.name}.reset: {self.reset!r} {what}. Maximum pooling and membrane pooling read membranes of neurons "
                "that do not spike. Use average pooling with average_pooling='spikes', or a model whose reset changes another "
                "variable, such as ASN."
            )
        return needed


def graded_variables(n):
    """
    Return the names of the variables that graded connections write.

    Parameters
    ----------
    n : int
        Number of variables.

    Returns
    -------
    names : list of str
        ``["graded", "graded_2", ...]``
    """
    return ["graded" if k == 1 else f"graded_{k}" for k in range(1, n + 1)]


def stimulus_equations(unit):
    """
    Return the equations of neurons that receive the stimulus: an image between two times, else a background.

    Parameters
    ----------
    unit : str
        Unit of the stimulus, as in the equations.

    Returns
    -------
    lines : list of str
    """
    return [
        f"stimulus = image*is_on + background*(1 - is_on) : {unit}",
        "is_on = int(t >= t_on and t < t_off) : 1 (shared)",
        f"image : {unit}",
        f"background : {unit}",
        "t_on : second (shared)",
        "t_off : second (shared)",
    ]


def height_name(neuron):
    """Return the name of the height in ``on_pre``; a switchable model also has the two values between which it switches."""
    height = neuron.spike_height or "h"
    switched = height.removesuffix("_rest")
    return switched if switched in neuron.brian_equations else height


def _declared(values, equations):
    """Return the entries of a dict whose names the equations declare."""
    declared = Equations(equations)
    return {name: value for name, value in values.items() if name in declared}


def _substitute_right(line, substitutions):
    """Replace names on the right-hand side of an equation."""
    equation = next(iter(Equations(line).values()))
    if equation.type not in (DIFFERENTIAL_EQUATION, SUBEXPRESSION):
        return line
    left, right = line.split("=", 1)
    return f"{left}={word_substitute(right, substitutions)}"
