"""Checks of what the variables of a neuron model are for in a network."""

from brian2 import Quantity, have_same_dimensions
from brian2.units.fundamentalunits import get_unit_for_display

__all__ = ["check_roles"]


def check_roles(model):
    """
    Refuse roles that are not parameters of the neurons, values with another unit than declared, and a readout that spikes.

    Parameters
    ----------
    model : `~brainsnn.equations.model.NeuronModel`

    Raises
    ------
    ValueError
        With the field that is at fault.
    """
    for role in (model.spike_height, model.bias, model.threshold_parameter):
        if role is not None and role not in model.neuron_parameters:
            raise ValueError(
                f"{model.name}: the equations do not declare the per-neuron parameter {role!r}. Declare it as "
                f"'{role} : 1', or set spike_height, bias or threshold_parameter to None."
            )
    declared = model.brian_equations
    for name in (*model.neuron_parameters, *model.initial):
        value = model.initial.get(name, model.parameters.get(name))
        if value is not None and not have_same_dimensions(value, Quantity(1, dim=declared[name].dim)):
            raise ValueError(
                f"{model.name}.{name}: the value {value!r} does not have the unit "
                f"{get_unit_for_display(declared[name].dim)} that the equations declare."
            )
    if model.readout is not None and model.readout.output not in model.readout.brian_equations:
        raise ValueError(
            f"{model.name}.readout: the output {model.readout.output!r} is not a variable of the readout, which has "
            f"{', '.join(model.readout.brian_equations)}. Name one of them with NeuronModel(output=...)."
        )
    if model.threshold is not None and model.readout is not None and model.readout.threshold is not None:
        raise ValueError(
            f"{model.name}.readout: readout neurons must not spike, got the threshold {model.readout.threshold!r}. "
            "Use threshold=None."
        )
