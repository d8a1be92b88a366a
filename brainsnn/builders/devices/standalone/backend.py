"""Run the trials of a network in C++ standalone mode: compiled once, then any number of images."""

import numpy as np
from brian2 import second
from brian2.codegen.generators.cpp_generator import c_data_type
from brian2.core.functions import Function
from brian2.core.variables import DynamicArrayVariable
from brian2.devices.cpp_standalone.device import CPPStandaloneDevice

from brainsnn.builders.codegen.codeobjects import render
from brainsnn.builders.devices.active_device import preferences
from brainsnn.builders.devices.brian_versions import (
    HAS_STANDARD_GENERATORS,
    compiler_flags,
    drop_repeated_clock_settings,
)
from brainsnn.builders.devices.compiled import CompiledBackend
from brainsnn.builders.devices.program_cache import compiled_program
from brainsnn.builders.devices.programs import DISK_FULL
from brainsnn.builders.devices.standalone.assignments import AssignableArrays
from brainsnn.builders.devices.standalone.recordings import RecordingFiles, recorded_arrays
from brainsnn.builders.network.fused_group import SpikingGroup
from brainsnn.builders.time_blocks.accesses import n_spiking, plan_codes
from brainsnn.builders.time_blocks.plan import block_steps
from brainsnn.system.compilers import written_makefile

__all__ = ["NetworkDevice", "StandaloneBackend"]


#: Preferences of a program with one thread.
ONE_THREAD = {"devices.cpp_standalone.openmp_threads": 0}


class NetworkDevice(AssignableArrays, CPPStandaloneDevice):
    """The C++ standalone device of one network."""

    def code_object(self, owner, name, abstract_code, variables, *arguments, **kwds):
        """
        Generate the code of an object; one that draws random numbers runs on one thread.

        Brian2 has a random generator for each thread, so that random numbers would depend on the number of threads.
        """
        draws = any(isinstance(variable, Function) and not variable.stateless for variable in variables.values())
        with preferences(ONE_THREAD if draws else {}):
            return super().code_object(owner, name, abstract_code, variables, *arguments, **kwds)


class StandaloneBackend(CompiledBackend):
    """Trials in C++ programs on the processor."""

    name = "cpp_standalone"
    has_threads = True
    can_stream = True

    def __init__(self, threads=1):
        super().__init__(threads)
        self.preferences = ONE_THREAD if threads == 1 else {"devices.cpp_standalone.openmp_threads": threads}
        # From NumPy's generator, which Brian2's seed(...) sets: it determines what the user's objects draw at their start.
        self._construction_seed = int(np.random.randint(2**32, dtype=np.uint32))  # noqa: NPY002

    def _make_device(self):
        return NetworkDevice()

    def run(self, objects, trials, processes, on_trial_done, on_record):
        """Run all trials; see `~brainsnn.builders.devices.backend.Backend.run`."""
        self.build(objects)
        self._switched_off = objects.network.switched_off()
        return super().run(objects, trials, processes, on_trial_done, on_record)

    def _write(self, objects):
        objects.network.run_trial(0 * second)
        self._is_begun = True
        seed_code = render("construction_seed.cpp", has_standard_generators=HAS_STANDARD_GENERATORS)
        self.device.insert_code("after_start", seed_code)
        self.device.insert_code("main", self._trials_code(objects))
        drop_repeated_clock_settings(self.device)
        self.device.build(directory=str(self.project), compile=False, run=False)
        makefile = self.project / "makefile"
        if not makefile.exists():  # on Windows
            makefile.write_text(written_makefile(compiler_flags(), self.threads > 1))
        (self.project / "memory.cpp").write_text(render("memory.cpp"))

    def _compiled(self):
        return compiled_program(self.project)

    def _recordings(self, monitors, trials):
        return RecordingFiles(self.directory, monitors, trials)

    def _write_trials(self, folder, trials, indices):
        super()._write_trials(folder, trials, indices)
        (folder / "construction_seed.txt").write_text(f"{self._construction_seed}\n")
        (folder / "switched_off.txt").write_text("\n".join(sorted(self._switched_off)))

    def _compiled_in(self, network, changes):
        """Objects can be switched off and on again, but not one part of a group whose parts run in one pass."""
        split = {
            part.name for group in network.objects
            if isinstance(group, SpikingGroup) and group.fused_parts and len({part.active for part in group.parts}) > 1
            for part in group.parts
        }  # fmt: skip
        switched = network.switched_off() - split
        return [(name, what) for name, what in changes if what != "active" or name not in switched]

    # The code that runs the trials

    def _trials_code(self, objects):
        self._settable = objects.assignable
        settable = [self._array(name, variable) for name, variable in self._settable.items()]
        settable += [
            self._weights(owner, name)
            for owner, name in self._persistent
            if f"{owner.name}.{name}" not in self._settable
        ]
        steps = [(obj, code) for obj in objects.network.sorted_objects if obj.active for code in obj.code_objects]
        return render(
            "standalone_trials.cpp",
            settable=settable,
            state=[
                self._array(f"{group}.{name}", variable)
                for group, variables in objects.state.items()
                for name, variable in variables.items()
            ],
            checked=[
                {**self._array(f"{group} {name}", variable), "itemsize": np.dtype(variable.dtype).itemsize}
                for group, name, variable in objects.checked
            ],
            trains=[
                {"name": name, "array": self._array_name(replay.variables["train"]), "n_neurons": len(replay.target)}
                for name, replay in objects.replays.items()
            ],
            steps=[{"object": obj.name, "clock": obj.clock.name, "code": code.name} for obj, code in steps],
            blocks=self._blocks(objects, steps),
            pathways=[pathway.name for pathway in objects.pathways],
            clocks=sorted(clock.name for clock in objects.network._clocks),
            network=objects.network.name,
            disk_full=DISK_FULL,
            has_standard_generators=HAS_STANDARD_GENERATORS,
            **recorded_arrays(self.device, objects.monitors),
        )

    def _blocks(self, objects, steps):
        """Return how the steps of a trial run in blocks; None if queues of synapses or several clocks need Brian2's own loop."""
        clocks = {obj.clock for obj, _ in steps}
        if len(clocks) != 1 or objects.pathways:
            return None
        plan = plan_codes(steps)
        kept = [self._kept(variable) for variable in plan.arrays]
        return {
            "plan": plan.numbers(range(len(steps)), {variable: k for k, variable in enumerate(plan.arrays)}),
            "kept": kept,
            "n_steps": block_steps(sum(array["n_bytes"] for array in kept if not array["n_neurons"])),
            "clock": clocks.pop().name,
        }

    def _kept(self, variable):
        """An array that blocks hand to each other."""
        n_bytes = variable.size * np.dtype(variable.dtype).itemsize
        data_type = c_data_type(variable.dtype)
        return {
            "data": self._array_name(variable),
            "type": data_type,
            "n_bytes": n_bytes,
            "n_neurons": n_spiking(variable),
        }

    def _array_name(self, variable):
        return self.device.get_array_name(variable, access_data=False)

    def _array(self, name, variable):
        """Where the program keeps the array of a variable."""
        array = self._array_name(variable)
        if isinstance(variable, DynamicArrayVariable):  # as long as there are synapses, which the program itself makes
            return {"name": name, "data": f"{array}.data()", "n_bytes": f"{array}.size()*sizeof({array}[0])"}
        return {"name": name, "data": array, "n_bytes": f"{variable.size}*sizeof({array}[0])"}

    def _weights(self, owner, name):
        """Where the program keeps the weights of a projection, in a vector (Synapses) or in an array."""
        array = self._array_name(owner.variables[name])
        n = len(self._values[owner.name, name])
        return {"name": f"{owner.name}.{name}", "data": f"&{array}[0]", "n_bytes": f"{n}*sizeof({array}[0])"}
