"""Running the trials of a network in a GeNN program: built once, then any number of images."""

from dataclasses import replace

import numpy as np
from brian2 import SpikeMonitor
from brian2.equations.equations import SUBEXPRESSION
from brian2.utils.stringtools import get_identifiers, word_substitute

from brainsnn.builders.devices.brian_versions import results_file
from brainsnn.builders.devices.genn import build as genn_build
from brainsnn.builders.devices.genn.limits import check_graph, check_statements, recorded_late
from brainsnn.builders.devices.monitor_files import MonitorFiles
from brainsnn.builders.devices.standalone.backend import StandaloneBackend, trials_code

__all__ = ["GennBackend", "GennCudaBackend"]

# One step: replayed signs go in, GeNN steps. GeNN hands the spikes of a step over at the beginning of the next one, so
# what spikes alone write stands there one step late: with such recordings a further step is run, each monitor loses
# the step that it has too much, and all of them hold what they hold on other devices.
RUN = """
for (long step=0; step<n_steps + %EXTRA%; step++)
{
    %REPLAY%
    const std::vector<int64_t> before = {%RECORDED%};
    eng.run(DT);
    %LATE%
    %OTHERS%
}
"""


def _device_class():
    try:
        from brainsnn.builders.devices.genn.device import TrialsDevice
    except ImportError as error:
        raise ImportError(
            f"GeNN needs brian2genn, which could not be imported ({error}). It wants Brian2 2.5 and NumPy 1: install "
            "brainsnn[genn] into an environment of its own, see docs/devices.md."
        ) from error
    return TrialsDevice


class GennBackend(StandaloneBackend):
    """
    Trials in programs that GeNN generates through brian2genn, with plain synapses, on the processor.

    Raises
    ------
    ImportError
        If brian2genn is not installed.
    """

    name = "genn"
    can_stream = False
    has_threads = False
    use_gpu = False

    def __init__(self, threads=1):
        super().__init__(threads)
        # What brian2genn would set for the rest of the process.
        self.preferences |= {
            "codegen.generators.cpp.restrict_keyword": "__restrict",
            "codegen.loop_invariant_optimisations": False,
            "core.network.default_schedule": ["start", "synapses", "groups", "thresholds", "resets", "end"],
        }
        self._late = []

    @classmethod
    def missing(cls):
        """What is not there of brian2genn, GeNN, and a graphics card; see `~brainsnn.builders.devices.backend.Backend.missing`."""
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
        """The graph without junctions, and plain synapses; see `~brainsnn.builders.devices.backend.Backend.prepare`."""
        if any(population.kind == "junction" for population in graph.populations.values()):
            graph = graph.expand_junctions()
        check_graph(self.name, graph, schedule, encoder, feedback)
        return graph, "synapses"

    def prepare_neuron(self, neuron):
        """
        The model with a variable for each equation that a spike reads; see `~brainsnn.builders.devices.backend.Backend.prepare_neuron`.

        A spike can bring only variables of its source along, so the spike height under an attention that comes and goes is
        stored at each step.
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
        """Brian2's default clock of this device, the only one that brian2genn knows."""
        self._dt = self.device.defaultclock.dt = dt
        return self.device.defaultclock

    def check(self, assembly, recordings):
        """Refuse what would differ; see `~brainsnn.builders.devices.backend.Backend.check`."""
        arriving = check_statements(self.name, assembly)
        self._late = [
            monitor.name
            for (name, variable), monitor in recordings.state_monitors.items()
            if recorded_late(self.name, name, variable, assembly, arriving)
        ]
        for name, monitor in recordings.readout_monitors.items():
            if recorded_late(self.name, name, assembly.models[name].output, assembly, arriving):
                self._late.append(monitor.name)

    # Building

    def build(self, objects):
        """
        Generate and build the program of a network, unless that is done; see `~brainsnn.builders.devices.backend.Backend.build`.

        Raises
        ------
        RuntimeError
            If GeNN is not there, objects were added to the network, or GeNN or the compiler fails.
        """
        genn_build.find_genn()
        return super().build(objects)

    def _compiled(self):
        return genn_build.compiled_genn(self.project, self.use_gpu)

    def _write(self, objects):
        foreign = objects.network.added
        if foreign:
            raise RuntimeError(
                f"{', '.join(sorted(foreign))} was added to the network; device={self.name!r} runs only what convert makes. "
                "Record with convert(record=...), put statements of every step into the neuron model with "
                "model.edit(update=...), or use device='cpp_standalone'."
            )
        if self.device.defaultclock.dt != self._dt:  # the user took it for theirs
            self.device.users_dt, self.device.defaultclock.dt = self.device.defaultclock.dt, self._dt
        for replay in objects.replays.values():
            replay.active = False  # the program's own loop does it
        self._is_begun = True
        self.device.trial_code = lambda: self._main_code(objects)
        try:
            self.device.write_project(objects.network, self.project, self.use_gpu)
        except NotImplementedError as error:
            raise RuntimeError(f"device={self.name!r}: {error} Use device='cpp_standalone'.") from error

    def _main_code(self, objects):
        device = self.device
        models = {model.name: model for model in device.neuron_models}

        def entry(group, name):
            array, n_bytes = device.genn_array(models[group], name)
            return f'        {{"{group}.{name}", {array}, {n_bytes}}},'

        def names(group):
            return [*models[group].variables, *models[group].shared_variables]

        self._settable = {
            f"{group.name}.{name}": (group.name, name)
            for group in objects.groups.values()
            for name in names(group.name)
            if name != "_seed" and not group.variables[name].read_only
        }
        resets = [entry(g, name) for g, variables in objects.state.items() for name in variables if name in names(g)]
        recorded = ", ".join(f"{device.get_array_name(m.variables['N'])}[0]" for m in objects.monitors)
        recorded = recorded.replace("_array_", "brian::_array_")
        return trials_code(
            settable="\n".join(entry(*array) for array in self._settable.values()),
            state="\n".join(resets),
            open_trains="\n".join(
                f'std::ifstream train_{name}(path + "/{name}.train", std::ios::binary); std::vector<int8_t> signs_{name};'
                for name in objects.replays
            ),
            read_trains="\n".join(
                f"if (train_{name}) {{ signs_{name}.resize(n_steps*{len(replay.target)}); "
                f"train_{name}.read((char*)signs_{name}.data(), signs_{name}.size()); }}"
                for name, replay in objects.replays.items()
            ),
            seed=device.seed_code() + device.restart_code(),
            run=self._step_code(objects, recorded),
            open_recordings='std::ofstream ends("results/trial_ends", std::ios::binary);',
            write_recordings=f"const std::vector<int64_t> recorded = {{{recorded}}};\n"
            "ends.write((const char*)recorded.data(), recorded.size()*sizeof(int64_t));",
        )

    def _step_code(self, objects, recorded):
        late, others = [], []
        for k, monitor in enumerate(objects.monitors):
            (late if monitor.name in self._late else others).append(self._forget_code(monitor, f"before[{k}]"))
        parts = {
            "EXTRA": "1" if late else "0",
            "REPLAY": "\n".join(
                self.device.replay_code(name, replay.target) for name, replay in objects.replays.items()
            ),
            "RECORDED": recorded,
            "LATE": f"if (step == 0) {{ {' '.join(late)} }}" if late else "",
            "OTHERS": f"if (step == n_steps) {{ {' '.join(others)} }}" if late else "",
        }
        code = RUN
        for name, text in parts.items():
            code = code.replace(f"%{name}%", text)
        return code

    def _forget_code(self, monitor, n):
        """C++ statements that cut a monitor back to its first n entries."""

        def array(name):
            return f"brian::{self.device.get_array_name(monitor.variables[name], access_data=False)}"

        if isinstance(monitor, SpikeMonitor):
            code = [f"{array(name)}.resize({n});" for name in (("i", "t") if monitor.record else ())]
        else:
            code = [f"{array('t')}.resize({n});"]
            code += [f"{array(name)}.resize({n}, {monitor.n_indices});" for name in monitor.record_variables]
        return " ".join([*code, f"brian::{self.device.get_array_name(monitor.variables['N'])}[0] = {n};"])

    # Running

    def _recordings(self, monitors, trials):
        def read(folder, variable):
            return np.fromfile(folder / "results" / results_file(self.device, variable), dtype=variable.dtype)

        return MonitorFiles(monitors, trials, read)

    def _write_trials(self, folder, trials, indices):
        super()._write_trials(folder, trials, indices)
        (folder / genn_build.LIBRARY_FOLDER).symlink_to(self._program.parent)

    def _command(self):
        # The name of a folder for timings, and the duration of brian2genn's own run behind ours: none.
        return [str(self._program), "test", "0"]


class GennCudaBackend(GennBackend):
    """GeNN on a graphics card, through its CUDA backend."""

    name = "genn_cuda"
    use_gpu = True

    @classmethod
    def missing(cls):
        """As of `GennBackend`, and CUDA; see `~brainsnn.builders.devices.backend.Backend.missing`."""
        return super().missing() or genn_build.missing_cuda()

    def build(self, objects):
        """
        See `GennBackend.build`.

        Raises
        ------
        RuntimeError
            If GeNN, CUDA or the graphics card is not there, and as of `GennBackend.build`.
        """
        if self.missing():
            raise RuntimeError(self.missing())
        return super().build(objects)
