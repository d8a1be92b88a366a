"""The CUDA device of one network, and its code objects; the only module that imports brian2cuda."""

import logging

import numpy as np
from brian2.codegen.targets import codegen_targets
from brian2cuda.codeobject import CUDAStandaloneCodeObject, c_data_type
from brian2cuda.device import CUDAStandaloneDevice

from brainsnn.builders.codegen.codeobjects import shifted_arrays
from brainsnn.builders.devices.standalone.assignments import AssignableArrays

__all__ = ["ConnectionCudaCodeObject", "NetworkCudaDevice"]


# brian2cuda would list all its preferences whenever a network is compiled.
logging.getLogger("brian2.brian2cuda").setLevel(logging.WARNING)


def _is_written(code, pointer):
    """Return whether generated code writes to an array."""
    # Written for brian2cuda 1.0b1: an array is written by a line POINTER[_idx] = VALUE;
    lines = code if isinstance(code, list) else code.splitlines()
    return any(line.strip().startswith(f"{pointer}[_idx] = ") for line in lines)


class ConnectionCudaCodeObject(CUDAStandaloneCodeObject):
    """CUDA code object with brainsnn's templates."""

    templater = CUDAStandaloneCodeObject.templater.derive(
        "brainsnn.builders.codegen",
        env_globals={"shifted_arrays": shifted_arrays(c_data_type), "is_written": _is_written},
    )
    sign_dtype = np.int8
    threshold_template = "threshold"
    gathers = True


codegen_targets.add(ConnectionCudaCodeObject)


class NetworkCudaDevice(AssignableArrays, CUDAStandaloneDevice):
    """brian2cuda's device with brainsnn's connections."""

    connection_codeobject_class = ConnectionCudaCodeObject

    def code_object(self, owner, name, abstract_code, variables, template_name, variable_indices, **kwds):
        """Return a code object. brian2cuda keeps several arrays of spikes, and recognises them by the end of their names."""
        if "_spikes" in variables:
            variables, variable_indices = (
                {"_spikespace" if key == "_spikes" else key: value for key, value in names.items()}
                for names in (variables, variable_indices)
            )
            kwds["template_kwds"] = {
                **kwds["template_kwds"],
                "tables": [*kwds["template_kwds"]["tables"], "_spikespace"],
            }
        if recorded := (kwds.get("template_kwds") or {}).get("record_variables"):
            # Written for Brian2 2.10: the order of a set, which differs between processes, and with it the program's key.
            ordered = {key: recorded[key] for key in sorted(recorded)}
            kwds["template_kwds"] = {**kwds["template_kwds"], "record_variables": ordered}
        return super().code_object(owner, name, abstract_code, variables, template_name, variable_indices, **kwds)

    def replace_run(self, network, code):
        """
        Put code in the place of Brian2's run of a network, where brian2cuda has its buffers of random numbers.

        Parameters
        ----------
        network : `~brian2.core.network.Network`
        code : str
        """
        # Written for brian2cuda 1.0b1: the lines of a run are in the main queue, one of them calls run().
        start = f"{network.name}.run("
        k = next(k for k, (what, _) in enumerate(self.main_queue) if what == "run_network")
        what, (run, lines) = self.main_queue[k]
        self.main_queue[k] = what, (run, [code if line.startswith(start) else line for line in lines])
