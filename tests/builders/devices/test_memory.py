"""Arrays start at lines of the cache, large ones at different places in huge pages, in this process and in programs."""

import subprocess

import numpy as np
from brian2 import NeuronGroup
from brian2.devices.device import runtime_device

from brainsnn.builders.codegen.codeobjects import render
from brainsnn.builders.devices.compiler_command import cpp_compiler, run_compiler
from brainsnn.builders.devices.runtime.memory import LARGE, LINE, place_arrays

SIZES = [1, 7, 1000, LARGE // 8, LARGE // 8 + 1, LARGE // 4, LARGE // 8]
PROGRAM = """
#include <cstdio>
#include <cstring>
int main()
{
    const size_t sizes[] = {%s};
    for (size_t size : sizes)
    {
        double* const array = new double[size];
        memset(array, 1, size*sizeof(double));
        printf("%%zu\\n", (size_t)array);
    }
    for (int k=0; k<1000; k++)
        delete[] new double[100000];
    delete[] (double*)nullptr;
}
"""


def assert_placed(addresses):
    assert all(address % LINE == 0 for address in addresses)
    large = [address for address, size in zip(addresses, SIZES, strict=True) if size * 8 >= LARGE]
    assert len({address % 4096 for address in large}) == len(large) > 2


def test_arrays_of_this_process():
    groups = [NeuronGroup(size, "x : 1") for size in SIZES]
    for group in groups:
        group.x = np.arange(len(group))
    variables = [group.variables["x"] for group in groups]
    place_arrays(variables)
    assert_placed([runtime_device.arrays[variable].ctypes.data for variable in variables])
    for group in groups:
        np.testing.assert_array_equal(group.x[:], np.arange(len(group)))
        group.x[0] = -1
        assert group.variables["x"].get_value()[0] == -1 and group.x[0] == -1


def test_arrays_of_programs(tmp_path):
    (tmp_path / "main.cpp").write_text(PROGRAM % ", ".join(map(str, SIZES)))
    (tmp_path / "memory.cpp").write_text(render("memory.cpp"))
    run_compiler([*cpp_compiler(), "-std=c++11", "-O2", "main.cpp", "memory.cpp", "-o", "main"], tmp_path)
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert_placed([int(line) for line in done.stdout.split()])


def test_programs_free_what_they_delete(tmp_path):
    loop = "for (int k=0; k<2000; k++) { double* a = new double[10000000]; a[k] = 1; delete[] a; }"
    (tmp_path / "main.cpp").write_text(f"int main() {{ {loop} }}")
    (tmp_path / "memory.cpp").write_text(render("memory.cpp"))
    run_compiler([*cpp_compiler(), "-std=c++11", "-O0", "main.cpp", "memory.cpp", "-o", "main"], tmp_path)
    limited = f"ulimit -v 1000000; exec '{tmp_path / 'main'}'"
    assert subprocess.run(["sh", "-c", limited], timeout=60, check=False).returncode == 0
