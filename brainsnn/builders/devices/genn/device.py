"""brian2genn's device, corrected and extended for the networks of this package."""

import contextlib
import io

from brian2 import second
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2genn.device import DelayedCodeObject, GeNNDevice
from brian2genn.genn_generator import GeNNCodeGenerator

from brainsnn.builders.codegen.codeobjects import render
from brainsnn.builders.devices.standalone.assignments import AssignableArrays

__all__ = ["TrialsDevice"]

# Written for brian2genn 1.7.0, for the whole process: brian2genn has no clip for a single device.
DEFAULT_FUNCTIONS["clip"].implementations.add_implementation(
    GeNNCodeGenerator, code=render("genn_clip.cpp"), name="_clip"
)


class TrialsDevice(AssignableArrays, GeNNDevice):
    """
    A GeNN device that writes a program for many trials, without running or changing anything else.

    Attributes
    ----------
    trials_code : callable
        Returns the part of ``main()`` that runs the trials, once all models are known.
    users_dt : `~brian2.units.fundamentalunits.Quantity` or None
        Time step of the user's default clock; this device's default clock is that of the network.
    """

    trials_code = None
    users_dt = None

    def activate(self, build_on_run=True, **kwargs):
        """Make this the active device, without brian2genn's changes to the preferences of the whole process."""
        super(GeNNDevice, self).activate(build_on_run, **kwargs)

    def write_project(self, network, project, use_gpu):
        """
        Generate the files of a network's program, except those that GeNN's generator writes.

        Parameters
        ----------
        network : `~brian2.core.network.Network`
        project : `~pathlib.Path`
        use_gpu : bool
        """
        with contextlib.redirect_stdout(io.StringIO()):
            network.run_trial(0 * second)
            # In the order of the network, not of a set: the order of connections is that in which a neuron adds them up.
            order = {obj.name: k for k, obj in enumerate(network.sorted_objects)}
            active = [obj for obj in self.net_objects if obj.active]
            self.net_objects = sorted(active, key=lambda obj: order[obj.name])
            self.max_row_length_synapses = sorted(self.max_row_length_synapses)
            self.run_statement_used = False  # brian2genn would refuse to build after a run
            self.build(directory=str(project), compile=False, run=False, use_GPU=use_gpu)

    # Code generation

    def code_object(self, owner, name, abstract_code, variables, template_name, *args, **kwds):
        """Return a code object; GeNN itself fuses state update and threshold."""
        if template_name == "fused_threshold":
            template_name, kwds["codeobj_class"] = "threshold", None
        return super().code_object(owner, name, abstract_code, variables, template_name, *args, **kwds)

    def process_neuron_groups(self, neuron_groups, objects):
        """Make the neuron models; brian2genn would leave out the statements of groups that do not spike."""
        for group in neuron_groups:
            parts = [part.codeobj for part in (group.state_updater, *group.updates) if part.active and part.codeobj]
            if len(parts) > 1 or (parts and group.state_updater.codeobj is None):
                group.state_updater.codeobj = _joined(group, parts)
        super().process_neuron_groups(neuron_groups, objects)

    def collect_synapses_variables(self, synapse_model, pathway, codeobj):
        """
        Collect what the statement of a spike uses.

        brian2genn refuses variables of the source neuron, because on GeNN its reset comes before the statement. That the reset
        does not change them has been checked (`~brainsnn.builders.devices.genn.limits.check_statements`).
        """
        indices = codeobj.variable_indices
        codeobj.variable_indices = {
            name: "_source_idx" if index == "_presynaptic_idx" else index for name, index in indices.items()
        }
        try:
            super().collect_synapses_variables(synapse_model, pathway, codeobj)
        finally:
            codeobj.variable_indices = indices

    def process_state_monitors(self, directory, state_monitors, writer):
        """Prepare recording; GeNN has no way to copy shared parameters back, which do not change during a trial."""
        super().process_state_monitors(directory, state_monitors, writer)
        for monitor in self.state_monitor_models:
            shared = self.groupDict[monitor.monitored].shared_variables
            monitor.variables = [name for name in dict.fromkeys(monitor.variables) if name not in shared]

    def generate_main_source(self, writer, main_lines):
        """Write the main program, with the loop over trials."""
        self.insert_code("before_network_run", self.trials_code())
        # Connections do not change; without this they would be written to disk in every run.
        connections = {model.name for model in self.synapse_models}
        for variable, array in self.dynamic_arrays.items():
            if getattr(variable.owner, "name", None) in connections:
                self.insert_code("before_end", f"brian::{array}.clear();")
        super().generate_main_source(writer, main_lines)

    def genn_array(self, model, name):
        """
        Return where GeNN keeps a variable of a group.

        Parameters
        ----------
        model : `~brian2genn.device.neuronModel`
        name : str

        Returns
        -------
        pointer, n_bytes : str
            C++ expressions.
        """
        if name in model.shared_variables:
            return f"(char*)&{name}{model.name}", f"sizeof({name}{model.name})"
        c_type = model.variabletypes[model.variables.index(name)]
        return f"(char*){name}{model.name}", f"{model.N}*sizeof({c_type})"


def _joined(group, parts):
    """Join the code objects of a group's state update and of its statements of every step."""
    variables, indices = {}, {}
    for part in parts:
        variables.update(part.variables)
        indices.update(part.variable_indices)
    code = "\n".join(part.abstract_code[None] for part in parts if part.abstract_code[None])
    return DelayedCodeObject(group, group.state_updater.name, {None: code}, variables, indices, set())
