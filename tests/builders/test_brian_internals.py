"""What brainsnn relies on inside Brian2: if Brian2 changes there, the message says which file to adapt."""

import inspect
from importlib import import_module

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, get_device, ms
from brian2.codegen import cpp_prefs
from brian2.codegen.runtime.cython_rt import CythonCodeObject
from brian2.codegen.templates import Templater
from brian2.core.variables import VariableView
from brian2.devices.cpp_standalone.codeobject import CPPStandaloneCodeObject
from brian2.devices.cpp_standalone.device import CPPStandaloneDevice
from brian2.groups.neurongroup import Thresholder

import brainsnn.builders.devices.brian_versions as versions
from brainsnn.builders.devices.active_device import active, make_active, preferences
from brainsnn.builders.devices.program_cache import _canonical_names
from brainsnn.builders.devices.runtime.backend import RuntimeBackend
from brainsnn.builders.devices.standalone.backend import NetworkDevice
from brainsnn.builders.network.connections import EventDrivenProjection
from brainsnn.builders.network.fused_group import SpikingGroup
from brainsnn.builders.network.trial_network import TrialNetwork
from brainsnn.builders.operators import dense
from brainsnn.builders.run_guard import RunGuard

# The name `brian2.devices.device` is the active device itself.
brian_devices = import_module("brian2.devices.device")
TESTED = "written for Brian2 2.5.4 to 2.11"


def changed(where, what):
    return f"Brian2 has changed: {what}. Adapt brainsnn/{where}, which is {TESTED}."


def test_the_active_device_is_a_module_variable():
    """active_device.py sets it, because set_device keeps every device that was active."""
    message = changed(
        "builders/devices/active_device.py", "brian2.devices.device.active_device is not the active device"
    )
    device = CPPStandaloneDevice()
    with active(device):
        assert get_device() is device, message
    assert brian_devices.active_device is brian_devices.runtime_device, message


def test_activating_a_device_keeps_the_time_step():
    defaultclock.dt = 0.3 * ms
    try:
        make_active(CPPStandaloneDevice(), build_on_run=False)
        assert defaultclock.dt == 0.3 * ms, changed(
            "builders/devices/active_device.py", "Device.activate sets another dt"
        )
    finally:
        make_active(brian_devices.runtime_device)
        defaultclock.dt = 0.1 * ms


def test_a_thresholder_can_be_replaced_by_one_that_fuses():
    """fused_group.py swaps the class of the thresholder that NeuronGroup makes."""
    where = "builders/network/fused_group.py"
    group = SpikingGroup(2, "dv/dt = 1/ms : 1", threshold="v > 1", reset="v = 0", method="euler")
    thresholder = group.thresholder["spike"]
    assert isinstance(thresholder, Thresholder), changed(where, "NeuronGroup.thresholder holds other objects")
    group.state_updater.update_abstract_code({})
    assert group.state_updater.abstract_code, changed(where, "a state updater has no abstract_code")
    group.fuse(True)
    thresholder.update_abstract_code({})
    assert group.state_updater.abstract_code in thresholder.abstract_code, changed(
        where, "abstract code is joined differently"
    )
    assert "_cond" in thresholder.abstract_code, changed(where, "the condition of a threshold is not called _cond")


def test_the_default_clock_is_found_in_what_a_device_writes():
    """brian_versions.py removes repeated settings from the main queue."""
    where, device = "builders/devices/brian_versions.py", CPPStandaloneDevice()
    make_active(device, build_on_run=False)
    make_active(brian_devices.runtime_device)
    make_active(device, build_on_run=False)
    defaultclock.dt = 0.2 * ms
    defaultclock.dt = 0.2 * ms
    make_active(brian_devices.runtime_device)
    settings = [entry for entry in device.main_queue if "defaultclock_dt" in repr(entry)]
    assert len(settings) > 1, changed(where, "an assignment to defaultclock.dt is not in Device.main_queue")
    versions.drop_repeated_clock_settings(device)
    kept = [entry for entry in device.main_queue if "defaultclock_dt" in repr(entry)]
    assert all(a != b for a, b in zip(kept, kept[1:])), changed(where, "entries of Device.main_queue have another form")
    assert kept[-1] == settings[-1]


def test_assignments_pass_through_methods_that_a_device_can_override():
    """standalone/assignments.py overrides them, and calls what they replace."""
    where = "builders/devices/standalone/assignments.py"
    for name in ("get_value", "fill_with_array", "resize", "variableview_set_with_index_array"):
        assert callable(getattr(CPPStandaloneDevice, name, None)), changed(where, f"CPPStandaloneDevice.{name} is gone")
    for name in ("set_with_expression", "set_with_expression_conditional"):
        original = getattr(getattr(VariableView, name), "original_function", None)
        assert callable(original), changed(where, f"VariableView.{name}.original_function is gone")


def test_queues_of_spikes_can_be_cleared():
    """runtime.py clears the spikes that are still in a queue before each trial."""
    from brainsnn.builders.devices.runtime.backend import _clear_queue

    source = SpikeGeneratorGroup(1, [0], [0] * ms, dt=1 * ms)
    target = NeuronGroup(1, "n : 1", dt=1 * ms)
    synapses = Synapses(source, target, on_pre="n_post += 1", delay=2 * ms, dt=1 * ms)
    synapses.connect()
    network = Network(source, target, synapses)
    network.run(1 * ms)
    _clear_queue(synapses.pre.queue)
    network.run(5 * ms)
    assert target.n[0] == 0, changed("builders/devices/runtime.py", "a SpikeQueue is restored from another state")


def test_a_network_that_was_prepared_runs_again_without_code_generation(monkeypatch):
    """trial_network.py prepares objects in the place of Network.before_run, and only if something changed."""
    where = "builders/network/trial_network.py"
    group = SpikingGroup(
        2, "dv/dt = 1/ms : 1", threshold="v > 2", reset="v = 0", method="euler", name="counted", dt=1 * ms
    )
    backend = RuntimeBackend()
    own = backend.own_objects(group.clock)
    network = TrialNetwork(
        group, own, backend=backend, guard=RunGuard(), dtype=np.dtype(float), name="network_prepared_once"
    )
    network.run(2 * ms, namespace={})
    monkeypatch.setattr(
        network, "_prepare_object", lambda *_: pytest.fail(changed(where, "objects are prepared again"))
    )
    network.run(2 * ms, namespace={})
    assert group.v[0] == pytest.approx(1.0), changed(where, "a prepared network does not go on")
    assert hasattr(network, "t_"), changed("builders/devices/runtime.py", "Network.t_ is gone")


def test_templates_are_found_beside_those_of_brian2():
    """codeobjects.py derives from the templaters of Brian2's code objects."""
    where = "builders/codegen/codeobjects.py"
    for codeobject in (CythonCodeObject, CPPStandaloneCodeObject):
        assert isinstance(codeobject.templater, Templater), changed(where, f"{codeobject.__name__} has no templater")
    assert "env_globals" in inspect.signature(Templater.derive).parameters, changed(
        where, "Templater.derive takes other arguments"
    )


def test_flags_that_a_compiler_refuses_are_noted():
    """brian_versions.py makes Brian2 forget them."""
    message = changed("builders/devices/brian_versions.py", "cpp_prefs does not note which flags a compiler refuses")
    _, before = cpp_prefs.get_compiler_and_args()
    known = dict(cpp_prefs._compiler_flag_compatibility)
    assert before and set(before) <= {flag for _, flag in known}, message
    try:
        cpp_prefs._compiler_flag_compatibility.update(dict.fromkeys(known, False))
        assert cpp_prefs.get_compiler_and_args()[1] == [], message
        versions.forget_refused_flags()
        assert cpp_prefs.get_compiler_and_args()[1] == before
    finally:
        cpp_prefs._compiler_flag_compatibility.update(known)


@pytest.fixture
def project(tmp_path):
    """The code that Brian2 writes for a group."""
    device = CPPStandaloneDevice()
    make_active(device, build_on_run=False)
    try:
        network = Network(NeuronGroup(1, "v : 1", name="alone"))
        network.run(0 * ms, namespace={})
        device.build(directory=str(tmp_path / "project"), compile=False, run=False)
    finally:
        make_active(brian_devices.runtime_device)
    return tmp_path / "project"


def test_the_makefile_names_its_flags(project):
    """compiler.py reads flags from the makefile that Brian2 writes."""
    from brainsnn.builders.devices.compiler import makefile_variables

    found = makefile_variables(project)
    missing = {"CXXFLAGS", "OPTIMISATIONS"} - set(found)
    assert not missing, changed("builders/devices/compiler.py", f"the makefile defines no {missing}")
    assert (project / "main.cpp").exists()


def test_every_result_file_is_checked(project):
    """brian_versions.py makes a program fail that cannot write its results, by regular expressions."""
    opened = (project / "objects.cpp").read_text().count(".open(results_dir")
    checked = versions.check_result_files(project)
    text = (project / "objects.cpp").read_text()
    message = changed("builders/devices/brian_versions.py", f"{checked} of {opened} result files are checked")
    assert checked == opened > 2 and "Error writing" not in text, message


def test_generated_statements_index_arrays_by_their_pointer(tmp_path):
    """codeobjects.py renames the arrays of a statement and marks its numbers as float, by regular expressions."""
    where = "builders/codegen/codeobjects.py"
    device = NetworkDevice()
    with preferences({"core.default_float_dtype": np.float32}):
        make_active(device, build_on_run=False)
        try:
            groups = [
                NeuronGroup(4, "h : 1\nI : 1", threshold="h > 0", reset="", name=f"indexed_{k}") for k in range(2)
            ]
            operator = dense(np.ones((4, 4)), (1, 1, 4))
            projection = EventDrivenProjection(*groups, operator, "I_post += 0.5*w*h_pre", "indexing")
            Network(*groups, projection).run(0 * ms, namespace={})
            device.build(directory=str(tmp_path / "project"), compile=False, run=False)
        finally:
            make_active(brian_devices.runtime_device)
    code = next(tmp_path.rglob("indexing*.cpp")).read_text()
    for entry in ("_ptr_array_indexed_1_I[_idx]", "_ptr_array_indexed_0_h_0[0]", "_ptr_array_indexing_w_0[_idx]"):
        assert entry in code, changed(where, f"generated code does not read an array as {entry}")
    assert "0.5f" in code, changed(where, "numbers in generated code are written in another way")


def test_code_objects_are_numbered_in_their_names():
    """program_cache.py renames them, because the number depends on what was made before."""
    names = []
    for _ in range(2):
        group = NeuronGroup(1, "v : 1", threshold="v > 1", reset="", name="numbered*")
        network = Network(group)
        network.run(0 * ms, namespace={})
        names.append(group.thresholder["spike"].codeobj.name)
    rename = _canonical_names()
    for name in names:
        message = changed("builders/devices/program_cache.py", f"a code object is called {name!r}")
        assert rename(name).endswith("_codeobject_1") and "_codeobject" in name, message
