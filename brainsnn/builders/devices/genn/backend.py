"""Run the trials of a network in a GeNN program: built once, then any number of images."""

from dataclasses import replace

import numpy as np
from brian2 import SpikeMonitor
from brian2.equations.equations import SUBEXPRESSION
from brian2.utils.stringtools import get_identifiers, word_substitute

from brainsnn.builders.codegen.codeobjects import render
from brainsnn.builders.devices.brian_versions import results_file
from brainsnn.builders.devices.compiled import CompiledBackend
from brainsnn.builders.devices.genn import build as genn_build
from brainsnn.builders.devices.genn.limits import check_graph, check_statements, recorded_late
from brainsnn.builders.devices.monitor_files import MonitorFiles
from brainsnn.errors import DeviceLimitError
from brainsnn.system.disk import link_folder

__all__ = ["GennBackend", "GennCudaBackend"]


def _device_class():
    try:
        from brainsnn.builders.devices.genn.device import TrialsDevice
    except ImportError as error:
        raise ImportError(
            f"GeNN needs brian2genn, which could not be imported ({error}). It needs Brian2 2.5 and NumPy 1: install "
            "brainsnn[genn] into a separate environment: python3.11 -m venv venv-genn, then venv-genn/bin/pip install "
            "'brainsnn[genn]'."
        ) from error
    return TrialsDevice


class GennBackend(CompiledBackend):
    """
    Trials in programs that GeNN generates through brian2genn, with plain synapses, on the processor.

    Raises
    ------
    ImportError
        If brian2genn is not installed.
    """

    name = "genn"
    use_gpu = False

    def __init__(self, threads=1):
        super().__init__(threads)
        # What brian2genn would set for the rest of the process.
        self.preferences = {
            "devices.cpp_standalone.openmp_threads": 0,
            "codegen.generators.cpp.restrict_keyword": "__restrict",
            "codegen.loop_invariant_optimisations": False,
            "core.network.default_schedule": ["start", "synapses", "groups", "thresholds", "resets", "end"],
        }
        self._late = []

    @classmethod
    def missing(cls):
        """Say whether brian2genn or GeNN is missing; see `~brainsnn.builders.devices.backend.Backend.missing`."""
        try:
            _device_class()
            genn_build.find_genn()
        except (ImportError, RuntimeError) as error:
            return str(error)
        return None

    def _make_device(self):
        return _device_class()()

    # What the builder asks

    def prepare(self, graph, connectivity, schedule, encoder, feedback):
        """Return the graph without junctions, and plain synapses; see `~brainsnn.builders.devices.backend.Backend.prepare`."""
        if any(population.kind == "junction" for population in graph.populations.values()):
            graph = graph.expand_junctions()
        check_graph(self.name, graph, schedule, encoder, feedback)
        return graph, "synapses"

    def prepare_neuron(self, neuron):
        """
        Return the model with a variable for each equation that a spike reads.

        In GeNN a spike can read only variables of its source. The spike height under attention that switches on and off
        follows from an equation, so it is stored at each step.
        """
        equations, lines = neuron.brian_equations, []
        on_pre, update = neuron.on_pre, [neuron.update] if neuron.update else []
        for name in sorted(get_identifiers(on_pre)):
            source = name.removesuffix("_pre")
            if source != name and source in equations and equations[source].type == SUBEXPRESSION:
                lines.append(f"{source}_sent : {neuron.unit_of(source)}")
                update.append(f"{source}_sent = {source}")
                on_pre = word_substitute(on_pre, {name: f"{source}_sent_pre"})
        if not lines:
            return neuron
        return replace(neuron, equations="\n".join([neuron.equations, *lines]), update="\n".join(update), on_pre=on_pre)

    def make_clock(self, dt):
        """Return the default clock of this device, the only one that brian2genn knows."""
        self._dt = self.device.defaultclock.dt = dt
        return self.device.defaultclock

    def check(self, assembly, monitors):
        """Refuse what would differ; see `~brainsnn.builders.devices.backend.Backend.check`."""
        arriving = check_statements(self.name, assembly)
        self._late = [
            monitor.name
            for (name, variable), monitor in monitors.state_monitors.items()
            if recorded_late(self.name, name, variable, assembly, arriving)
        ]
        for name, monitor in monitors.readout_monitors.items():
            if recorded_late(self.name, name, assembly.models[name].output, assembly, arriving):
                self._late.append(monitor.name)

    # Building

    def build(self, objects):
        """Generate and build the program; see `~brainsnn.builders.devices.backend.Backend.build`."""
        genn_build.find_genn()
        return super().build(objects)

    @property
    def _own_objects_only(self):
        return (
            f"device={self.name!r} runs only what convert makes. Record with convert(record=...), put statements of every step "
            "into the neuron model with model.edit(update=...), or use device='cpp_standalone'."
        )

    def check_added(self, obj=None):
        """Refuse all objects; see `~brainsnn.builders.devices.backend.Backend.check_added`."""
        raise DeviceLimitError(self._own_objects_only)

    def _compiled(self):
        return genn_build.compiled_genn(self.project, self.use_gpu)

    def _write(self, objects):
        foreign = objects.network.added
        if foreign:
            raise RuntimeError(f"{', '.join(sorted(foreign))} was added to the network; {self._own_objects_only}")
        if self.device.defaultclock.dt != self._dt:  # the user has set a time step meanwhile, for other objects
            self.device.users_dt, self.device.defaultclock.dt = self.device.defaultclock.dt, self._dt
        for replay in objects.replays.values():
            replay.active = False  # the loop over trials replays the spikes itself
        self._is_begun = True
        self.device.trials_code = lambda: self._trials_code(objects)
        try:
            self.device.write_project(objects.network, self.project, self.use_gpu)
        except NotImplementedError as error:
            raise RuntimeError(f"device={self.name!r}: {error} Use device='cpp_standalone'.") from error

    def _trials_code(self, objects):
        device = self.device
        models = {model.name: model for model in device.neuron_models}

        def names(group):
            """Return the variables of a group."""
            return [*models[group].variables, *models[group].shared_variables]

        def entry(group, name, separator="."):
            """Return where GeNN keeps a variable, and its size."""
            array, n_bytes = device.genn_array(models[group], name)
            return {"name": f"{group}{separator}{name}", "data": array, "n_bytes": n_bytes}

        self._settable = {
            f"{group.name}.{name}": (group.name, name)
            for group in objects.groups.values()
            for name in names(group.name)
            if name != "_seed" and not group.variables[name].read_only
        }
        return render(
            "genn_trials.cpp",
            settable=[entry(*array) for array in self._settable.values()],
            state=[entry(g, name) for g, variables in objects.state.items() for name in variables if name in names(g)],
            checked=[
                {**entry(group, name, " "), "itemsize": np.dtype(variable.dtype).itemsize}
                for group, name, variable in objects.checked
                if group in models and name in names(group)
            ],
            trains=[
                {"name": name, "target": replay.target.name, "n_neurons": len(replay.target)}
                for name, replay in objects.replays.items()
            ],
            models=device.neuron_models,
            seeded=[model for model in device.neuron_models if "_seed" in model.variables],
            monitors=[self._monitor(k, monitor) for k, monitor in enumerate(objects.monitors)],
            late=self._late,
        )

    def _monitor(self, index, monitor):
        """Where the program keeps what a monitor records."""

        def array(name, access_data=False):
            """Return the name of an array in the program."""
            return f"brian::{self.device.get_array_name(monitor.variables[name], access_data=access_data)}"

        if isinstance(monitor, SpikeMonitor):
            arrays = [(name, None) for name in (("i", "t") if monitor.record else ())]
        else:
            arrays = [("t", None), *((name, monitor.n_indices) for name in monitor.record_variables)]
        return {
            "name": monitor.name,
            "index": index,
            "count": array("N", access_data=True),
            "arrays": [{"name": array(name), "width": width} for name, width in arrays],
        }

    # Running

    def _recordings(self, monitors, trials):
        def read(folder, variable):
            """Return what the program wrote of a variable."""
            return np.fromfile(folder / "results" / results_file(self.device, variable), dtype=variable.dtype)

        return MonitorFiles(monitors, trials, read)

    def _write_trials(self, folder, trials, indices):
        super()._write_trials(folder, trials, indices)
        link_folder(folder / genn_build.LIBRARY_FOLDER, self._program.parent)

    def _command(self):
        # The name of a folder for timings, and the duration of brian2genn's own run after ours: 0.
        return [str(self._program), "test", "0"]


class GennCudaBackend(GennBackend):
    """GeNN on a graphics card, through its CUDA backend."""

    name = "genn_cuda"
    use_gpu = True

    @classmethod
    def missing(cls):
        """Say whether brian2genn, GeNN, CUDA or a graphics card is missing."""
        return super().missing() or genn_build.missing_cuda()

    def build(self, objects):
        """Generate and build the program; see `~brainsnn.builders.devices.backend.Backend.build`."""
        if self.missing():
            raise RuntimeError(self.missing())
        return super().build(objects)
