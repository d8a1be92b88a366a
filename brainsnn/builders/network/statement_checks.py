"""Checks of the statements of neurons and connections, before anything runs."""

from difflib import get_close_matches

from brian2.codegen.translation import get_identifiers_recursively
from brian2.equations.equations import SUBEXPRESSION
from brian2.equations.unitcheck import check_units_statements
from brian2.parsing.expressions import is_boolean_expression, parse_expression_dimensions
from brian2.units.allunits import second
from brian2.units.fundamentalunits import DIMENSIONLESS, DimensionMismatchError
from brian2.utils.stringtools import get_identifiers

from brainsnn.equations.checks import innermost_reason
from brainsnn.equations.statements import assigned, assignments, unread

__all__ = ["check_neuron_statements", "check_on_pre"]


def check_neuron_statements(group, model):
    """
    Refuse the threshold, reset or update of neurons if they use unknown names or wrong units.

    Parameters
    ----------
    group : `~brian2.groups.neurongroup.NeuronGroup`
    model : `~brainsnn.equations.model.NeuronModel`

    Raises
    ------
    ValueError
        Brian2 would refuse them only at the first run, in terms of its own objects.
    """
    equations = model.brian_equations
    statements = {
        "threshold": model.threshold,
        "refractory": model.refractory if isinstance(model.refractory, str) else None,
        "reset": model.reset if model.threshold else None,
        "update": model.update,
    }
    for what, code in statements.items():
        about = f"convert: the {what} {code!r} of {model.name!r}"
        written = assigned(code)
        for name in sorted(written):
            if name in equations and equations[name].type == SUBEXPRESSION:
                raise ValueError(f"{about} writes {name!r}, which follows from the equation {str(equations[name])!r}.")
        for name in sorted(get_identifiers(code or "") - written):
            try:
                group.resolve_all({name}, run_namespace={}, user_identifiers=set())
            except KeyError:
                raise ValueError(
                    f"{about} uses {name!r}, which {group.name!r} does not have. It has {', '.join(sorted(equations))}; add an "
                    "equation or a parameter with model.edit(...)."
                ) from None
        try:
            _check_units(group, code, is_condition=what in ("threshold", "refractory"))
        except DimensionMismatchError as error:
            raise ValueError(f"{about} does not fit the units of the equations: {error}") from None
        except (SyntaxError, TypeError, ValueError) as error:
            raise ValueError(f"{about}: {innermost_reason(error)}.") from None
    if statements["refractory"]:
        _check_refractory(group, model)
    if model.threshold:
        variables = group.resolve_all(get_identifiers(model.threshold), run_namespace={}, user_identifiers=set())
        if not is_boolean_expression(model.threshold, variables):
            raise ValueError(
                f"convert: the threshold {model.threshold!r} of {model.name!r} is no condition, such as 'v > 1'."
            )


def _check_refractory(group, model):
    """Refuse a refractory period that is neither a time nor a condition."""
    code = model.refractory
    variables = group.resolve_all(get_identifiers(code), run_namespace={}, user_identifiers=set())
    dim = parse_expression_dimensions(code, variables)
    if dim is not second.dim and not (dim is DIMENSIONLESS and is_boolean_expression(code, variables)):
        raise ValueError(
            f"convert: the refractory {code!r} of {model.name!r} is neither a time, such as '5*ms', nor a condition, such as "
            "'v > 0'."
        )


def _check_units(group, code, is_condition):
    if not code:
        return
    local = {name for name in assigned(code) if name not in group.variables}
    known = get_identifiers_recursively([code], group.variables) - local
    variables = group.resolve_all(known, run_namespace={}, user_identifiers=set())
    if is_condition:
        parse_expression_dimensions(code, variables)
    else:
        check_units_statements(code, variables)


def check_on_pre(projection, on_pre, refused=()):
    """
    Refuse statements of an arriving spike if they use unknown names or wrong units.

    Parameters
    ----------
    projection : `~brian2.groups.group.Group`
        With ``source`` and ``target``.
    on_pre : str
    refused : container of str
        Names that this kind of projection does not have.

    Raises
    ------
    ValueError
        Brian2 would refuse them only at the first run, in terms of its own objects.
    """
    about = f"convert: on_pre {on_pre!r} of {projection.name!r}"
    local = {name for name, operator, _ in assignments(on_pre) if operator == "=" and name not in projection.variables}
    for name in (n for n in unread(on_pre, projection.variables) if n in local):
        nearest = get_close_matches(name, [v for v in projection.variables if v.endswith("_post")], n=1)
        raise ValueError(
            f"{about} assigns {name!r}, which is not a variable of the target and is not read afterwards."
            + (f" Did you mean {nearest[0]!r}?" if nearest else " Variables of the target have the suffix _post.")
        )
    for name in sorted(assigned(on_pre)):
        if refused and name.endswith("_pre") and name in projection.variables:
            raise ValueError(
                f"{about} writes {name!r}, a variable of the source. Only connectivity='synapses' can; what a spike changes in "
                "its own neuron belongs to the reset."
            )
    for name in sorted(get_identifiers(on_pre) - local):
        if name in refused:
            raise ValueError(
                f"{about} uses {name!r}, which only connectivity='synapses' has. Use {name}_pre or {name}_post."
            )
        try:
            projection.resolve_all({name}, run_namespace={}, user_identifiers=set())
        except KeyError:
            source, target = projection.source.name, projection.target.name
            raise ValueError(
                f"{about} uses {name!r}, which is neither w, nor a variable of the source {source!r} (suffix _pre) or the target "
                f"{target!r} (suffix _post), nor a parameter. Define it with model.edit(...); a readout may have its own on_pre: "
                "neuron.edit(readout=neuron.readout.edit(on_pre=...))."
            ) from None
    names = get_identifiers_recursively([on_pre], projection.variables) - local
    try:
        check_units_statements(on_pre, projection.resolve_all(names, run_namespace={}, user_identifiers=set()))
    except DimensionMismatchError as error:
        raise ValueError(f"{about} does not fit the units of the equations: {error}") from None
