"""Running the trials of a network in a CUDA program: compiled by nvcc once, then any number of images."""

import numpy as np
from brian2 import SpikeMonitor, Synapses
from brian2.codegen.generators.cpp_generator import c_data_type

from brainsnn.builders.devices.cuda import toolchain
from brainsnn.builders.devices.monitor_files import MonitorFiles
from brainsnn.builders.devices.program_cache import compiled_program
from brainsnn.builders.devices.standalone.backend import StandaloneBackend

__all__ = ["CudaBackend"]


class CudaBackend(StandaloneBackend):
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
    can_stream = False
    has_threads = False

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
            # A counter that starts anywhere at once; every trial brings a seed of its own.
            f"{cuda}.random_number_generator_type": "CURAND_RNG_PSEUDO_PHILOX4_32_10",
        }

    @classmethod
    def missing(cls):
        """What is not there of brian2cuda, CUDA and a GPU; see `~brainsnn.builders.devices.backend.Backend.missing`."""
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
            raise ValueError(
                "convert: connectivity='synapses' on device='cuda_standalone' would add simultaneous spikes in an "
                "order that changes from run to run. Use connectivity='event_driven', which connects the same neurons, "
                "or device='cpp_standalone'."
            )
        if feedback is not None and feedback.learning is not None:
            raise ValueError(
                "convert: PredictiveGate(learning=...) changes weights, which threads of device='cuda_standalone' share. Use "
                "device='cpp_standalone' or 'runtime'."
            )
        return graph, connectivity

    def run(self, objects, trials, processes, on_trial_done, on_record):
        """
        Run all trials; see `~brainsnn.builders.devices.runtime.RuntimeBackend.run` for the parameters.

        Raises
        ------
        ValueError
            If there are several images and a monitor, or synapses with a state, of the user's.
        RuntimeError
            If there is no GPU, or as on C++ standalone.
        """
        if trials.n_trials > 1 and (alone := self._one_image_only(objects)):
            raise ValueError(
                f"run: {', '.join(alone)} was added to the network; on device='cuda_standalone' monitors hold one image, and "
                "synapses that change, or that take time, are not made ready for the next. Run the images one by one, record "
                "with convert(record=...), or use device='cpp_standalone'."
            )
        toolchain.check_gpu()
        return super().run(objects, trials, processes, on_trial_done, on_record)

    def _one_image_only(self, objects):
        """Names of what the user has added that would not begin each image anew, or not go on as elsewhere."""
        if self._written is None:
            self._note_delays(objects)
        synapses = {obj.name for obj in objects.added if isinstance(obj, Synapses)}
        changing = {obj.name for obj, _ in objects.learned} | {name for name in objects.state if name in synapses}
        return sorted({*objects.added_monitors, *changing, *self._delayed})

    def write(self, objects):
        """Generate the code of a network, behind which Brian2 has forgotten what it knew of delays."""
        self._note_delays(objects)
        super().write(objects)

    def _note_delays(self, objects):
        self._delayed = [pathway.name for pathway in objects.added_pathways if self._takes_time(pathway)]

    def _takes_time(self, pathway):
        delay = self.device.array_cache.get(pathway.variables["delay"], 0)  # None: nobody knows it yet
        return delay is None or bool(np.any(delay))

    # Compiling

    def _compiled(self):
        return compiled_program(
            self.project,
            build=lambda: toolchain.compile_project(self.project, self.toolchain),
            extra_key=toolchain.version(self.toolchain),
        )

    def _insert_trials(self, network, code):
        """Put the trials into the place of Brian2's run, where brian2cuda has buffers of random numbers for it."""
        start = f"{network.name}.run("
        queue = self.device.main_queue
        k = next(k for k, entry in enumerate(queue) if entry[0] == "run_network")
        what, (run, lines) = queue[k]
        queue[k] = what, (run, [code if line.startswith(start) else line for line in lines])

    def _main_code(self, objects):
        template = self.device.connection_codeobject_class.templater.env.get_template("cuda_trials.cu")
        own = {group.name for group in objects.groups.values()}
        self._settable = {name: variable for name, variable in objects.assignable.items() if variable.owner.name in own}
        reset = {f"{group}.{name}": v for group, variables in objects.state.items() for name, v in variables.items()}
        return template.render(
            settable="\n".join(self._entry(name, variable) for name, variable in self._settable.items()),
            state="\n".join(self._entry(name, variable) for name, variable in reset.items()),
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

    def _entry(self, name, variable):
        array = self._name(variable)
        # brian2cuda can keep the spikes of several steps.
        pointer = f"dev{array}[current_idx{array}]" if variable.name.endswith("space") else f"dev{array}"
        return f'        {{"{name}", (char*){pointer}, {variable.size}*sizeof({c_data_type(variable.dtype)})}},'

    def _monitor(self, monitor):
        is_spikes = isinstance(monitor, SpikeMonitor)
        names = (("i", "t") if monitor.record else ()) if is_spikes else monitor.record_variables
        arrays = [{"array": self._name(v), "type": c_data_type(v.dtype)} for v in (monitor.variables[n] for n in names)]
        return {"name": monitor.name, "arrays": arrays, "width": None if is_spikes else monitor.n_indices}

    # Results

    def _recordings(self, monitors, trials):
        def read(folder, variable):
            return np.fromfile(folder / "results" / f"trials_{self._name(variable)}", dtype=variable.dtype)

        # The threads of a step note their spikes in any order.
        return MonitorFiles(monitors, trials, read, sort_spikes=True)
