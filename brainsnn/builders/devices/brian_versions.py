"""The one place that knows how Brian2 versions differ."""

import os

from brian2.devices.cpp_standalone.codeobject import generate_rand_code
from brian2.devices.cpp_standalone.device import CPPStandaloneDevice

__all__ = ["SEED_GENERATORS", "results_file", "use_results"]

# Older programs draw from NumPy's C library, newer ones from the standard library: the same Mersenne twister, one for
# each thread, and the same numbers for the same seed.
_HAS_STANDARD_GENERATORS = "_random_generators" in generate_rand_code("rand", None)["support_code"]

# Newer devices can be told where results lie; older ones look into the project's own folder.
_HAS_RESULTS_DIRECTORY = hasattr(CPPStandaloneDevice(), "results_dir")

#: C++ statement that seeds the generators of a standalone program, of which each takes the next value of ``trial_seed``.
SEED_GENERATORS = (
    "for (auto& generator : _random_generators) generator.seed(trial_seed++);"
    if _HAS_STANDARD_GENERATORS
    else "for (auto* generator : _mersenne_twister_states) rk_seed(trial_seed++, generator);"
)


def results_file(device, variable):
    """
    Name of the file into which a standalone program writes an array.

    Parameters
    ----------
    device : `~brian2.devices.cpp_standalone.device.CPPStandaloneDevice`
    variable : `~brian2.core.variables.ArrayVariable`

    Returns
    -------
    name : str
        Within the folder ``results`` of the program's working directory.
    """
    return os.path.basename(device.get_array_filename(variable))


def use_results(device, folder):
    """
    Let a device read arrays from the results of a program.

    Parameters
    ----------
    device : `~brian2.devices.cpp_standalone.device.CPPStandaloneDevice`
    folder : `~pathlib.Path`
        Working directory of the program.
    """
    if _HAS_RESULTS_DIRECTORY:
        device.results_dir = f"{folder / 'results'}{os.sep}"
    else:
        device.project_dir = str(folder)
    device.has_been_run = True
