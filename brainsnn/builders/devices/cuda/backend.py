"""Run the trials of a network in a CUDA program: compiled by nvcc once, then any number of images."""

import numpy as np
from brian2 import SpikeMonitor, Synapses, second
from brian2.codegen.generators.cpp_generator import c_data_type
from brian2.core.variables import DynamicArrayVariable

from brainsnn.builders.codegen.codeobjects import render
from brainsnn.builders.devices.brian_versions import drop_repeated_clock_settings
from brainsnn.builders.devices.compiled import CompiledBackend
from brainsnn.builders.devices.cuda import toolchain
from brainsnn.builders.devices.monitor_files import MonitorFiles
from brainsnn.builders.devices.program_cache import compiled_program
from brainsnn.builders.network.arrays import dynamic_names
from brainsnn.errors import DeviceLimitError

__all__ = ["CudaBackend"]


class CudaBackend(CompiledBackend):
    """
    Trials in one compiled program on an NVIDIA GPU, through brian2cuda.

    Raises
    ------
    ImportError
        If brian2cuda is not installed.
    RuntimeError
        If nvcc or cuRAND are missing.
    """

    name = "cuda_standalone"

    def __init__(self, threads=1):
        self.toolchain = toolchain.find_toolchain()
        super().__init__(threads)
        capability = toolchain.compute_capability() or toolchain.WITHOUT_GPU
        cuda, backend = "devices.cuda_standalone", "devices.cuda_standalone.cuda_backend"
        self.preferences = {
            f"{backend}.detect_gpus": False,
            f"{backend}.gpu_id": 0,
            f"{backend}.compute_capability": float(capability),
            f"{backend}.cuda_path": str(self.toolchain.root),
            f"{backend}.cuda_runtime_version": toolchain.release(self.toolchain),
            # Without the approximate functions that brian2cuda asks for, so that spikes stay those of other devices.
            f"{backend}.extra_compile_args_nvcc": ["-w", "-std=c++17"],
            "codegen.cpp.extra_compile_args": ["-std=c++17", "-O2"],
            # A counter-based generator, which can be seeded again at once: every trial has its own seed.
            f"{cuda}.random_number_generator_type": "CURAND_RNG_PSEUDO_PHILOX4_32_10",
        }

    @classmethod
    def missing(cls):
        """Say whether brian2cuda, CUDA or a GPU is missing; see `~brainsnn.builders.devices.backend.Backend.missing`."""
        try:
            toolchain.find_toolchain()
            toolchain.check_gpu()
        except (ImportError, RuntimeError) as error:
            return str(error)
        return None

    def _make_device(self):
        from brainsnn.builders.devices.cuda.device import NetworkCudaDevice

        return NetworkCudaDevice()

    def prepare(self, graph, connectivity, schedule, encoder, feedback):
        """Refuse synapses and learning; see `~brainsnn.builders.devices.backend.Backend.prepare`."""
        if connectivity == "synapses":
            raise DeviceLimitError(
                "convert: connectivity='synapses' on device='cuda_standalone' would add simultaneous spikes in an "
                "order that changes from run to run. Use connectivity='event_driven', which connects the same neurons, "
                "or device='cpp_standalone'."
            )
        if feedback is not None and feedback.learning is not None:
            raise DeviceLimitError(
                "convert: PredictiveGate(learning=...) changes weights, which threads of device='cuda_standalone' share. Use "
                "device='cpp_standalone' or 'runtime'."
            )
        return graph, connectivity

    def run(self, objects, trials, processes, on_trial_done, on_record):
        """Run all trials; see `~brainsnn.builders.devices.backend.Backend.run`."""
        if trials.n_trials > 1 and (alone := self._one_image_only(objects)):
            raise DeviceLimitError(
                f"run: {', '.join(alone)} was added to the network; on device='cuda_standalone' monitors hold one image, and "
                "synapses that change or have delays are not reset before the next image. Run the images one by one, record "
                "with convert(record=...), or use device='cpp_standalone'."
            )
        toolchain.check_gpu()
        return super().run(objects, trials, processes, on_trial_done, on_record)

    def _one_image_only(self, objects):
        """Names of added objects that this device, unlike others, does not reset before each image or keep between runs."""
        if not self._written:
            self._note_delays(objects)
        synapses = [obj for obj in objects.added if isinstance(obj, Synapses)]
        changing = {obj.name for obj, _ in objects.learned} | {obj.name for obj in synapses if dynamic_names(obj)}
        return sorted({*objects.added_monitors, *changing, *self._delayed})

    def write(self, objects):
        """Generate the code of a network; afterwards Brian2 no longer knows the delays."""
        self._note_delays(objects)
        super().write(objects)

    def _note_delays(self, objects):
        self._delayed = [pathway.name for pathway in objects.pathways if self._takes_time(pathway)]

    def _takes_time(self, pathway):
        delay = self.device.array_cache.get(pathway.variables["delay"], 0)  # None: not known yet
        return delay is None or bool(np.any(delay))

    # Compiling

    def _compiled(self):
        return compiled_program(
            self.project,
            build=lambda: toolchain.compile_project(self.project, self.toolchain),
            extra_key=toolchain.version(self.toolchain),
        )

    def _write(self, objects):
        objects.network.run_trial(0 * second)
        self._is_begun = True
        self.device.replace_run(objects.network, self._trials_code(objects))
        drop_repeated_clock_settings(self.device)
        self.device.build(directory=str(self.project), compile=False, run=False)

    def _trials_code(self, objects):
        own = {group.name for group in objects.groups.values()}
        self._settable = {name: variable for name, variable in objects.assignable.items() if variable.owner.name in own}
        reset = {f"{group}.{name}": v for group, variables in objects.state.items() for name, v in variables.items()}
        return render(
            "cuda_trials.cu",
            settable=[self._array(name, variable) for name, variable in self._settable.items()],
            state=[self._array(name, variable) for name, variable in reset.items()],
            checked=[
                {**self._array(f"{group} {name}", variable), "itemsize": np.dtype(variable.dtype).itemsize}
                for group, name, variable in objects.checked
            ],
            trains=[
                {"name": name, "array": self._name(replay.variables["train"]), "n_neurons": len(replay.target)}
                for name, replay in objects.replays.items()
            ],
            random_numbers=[
                f"dev_{code.name}_{kind}_allocator"
                for kind, codes in self.device.codeobjects_with_rng["host_api"]["per_run"][-1].items()
                for code in codes
            ],
            network=objects.network.name,
            clocks=sorted(clock.name for clock in objects.network._clocks),
            monitors=[self._monitor(monitor) for monitor in objects.monitors],
        )

    def _name(self, variable):
        return self.device.get_array_name(variable, access_data=False)

    def _array(self, name, variable):
        """Where the program keeps the array of a variable, on the GPU."""
        array = self._name(variable)
        if isinstance(variable, DynamicArrayVariable):
            pointer = f"thrust::raw_pointer_cast(dev{array}.data())"
            return {
                "name": name,
                "data": pointer,
                "n_bytes": f"dev{array}.size()*sizeof({c_data_type(variable.dtype)})",
            }
        # brian2cuda can keep the spikes of several steps.
        pointer = f"dev{array}[current_idx{array}]" if variable.name.endswith("space") else f"dev{array}"
        return {"name": name, "data": pointer, "n_bytes": f"{variable.size}*sizeof({c_data_type(variable.dtype)})"}

    def _monitor(self, monitor):
        is_spikes = isinstance(monitor, SpikeMonitor)
        names = (("i", "t") if monitor.record else ()) if is_spikes else monitor.record_variables
        arrays = [{"array": self._name(v), "type": c_data_type(v.dtype)} for v in (monitor.variables[n] for n in names)]
        return {"name": monitor.name, "arrays": arrays, "width": None if is_spikes else monitor.n_indices}

    # Results

    def _recordings(self, monitors, trials):
        def read(folder, variable):
            return np.fromfile(folder / "results" / f"trials_{self._name(variable)}", dtype=variable.dtype)

        # The threads of a step record their spikes in any order.
        return MonitorFiles(monitors, trials, read, sort_spikes=True)
