"""The option --device, and fixtures that several test files use."""

import os
import subprocess
import sys

import chosen_device
import pytest

# TensorFlow turns oneDNN on for some processors only; without it, it cannot dilate a transposed convolution.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def pytest_addoption(parser):
    parser.addoption(
        "--device", default=chosen_device.DEFAULT, metavar="NAME",
        help="device on which behavioural tests run (%(default)s); what it cannot do is skipped with its reason",
    )  # fmt: skip


def pytest_configure(config):
    chosen_device.DEVICE = config.getoption("--device")
    if chosen_device.DEVICE != chosen_device.DEFAULT:
        from brainsnn.builders.devices.registry import backend_class

        try:
            missing = backend_class(chosen_device.DEVICE).missing()
        except ValueError as error:
            raise pytest.UsageError(f"--device: {error}") from None
        if missing is not None:
            raise pytest.UsageError(f"--device {chosen_device.DEVICE}: {missing}")


def pytest_report_header():
    return f"device of behavioural tests: {chosen_device.DEVICE}"


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """Skip a test if the chosen device refuses what it asks for, with the reason that the device gives."""
    from brainsnn.errors import DeviceLimitError

    try:
        return (yield)
    except DeviceLimitError as error:
        if chosen_device.DEVICE == chosen_device.DEFAULT:
            raise
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def runtime_device():
    """A network that an earlier test converted and never ran leaves its device active, as documented."""
    if "brian2" in sys.modules:
        sys.modules["brian2"].set_device("runtime")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MB, where the machine lets us mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command to make a small disk with")
    if mounted.returncode != 0:
        pytest.skip(f"a small disk can only be mounted by root: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def log(tmp_path, monkeypatch):
    """File with a line for each call of the swept function of `sweep_example`."""
    path = tmp_path / "log"
    path.touch()
    monkeypatch.setenv("MEASURE_LOG", str(path))
    return path


@pytest.fixture
def gate(tmp_path, undisturbed, monkeypatch):
    """File to be made: most calls of the swept function of `sweep_example` wait for it."""
    path = tmp_path / "gate"
    monkeypatch.setenv("MEASURE_GATE", str(path))
    return path


@pytest.fixture
def undisturbed(tmp_path, log):
    """What `sweep_example` gives when nothing happens."""
    import sweep_example

    sweep_example.run(tmp_path / "undisturbed", workers=1).close()
    log.write_text("")
    return sweep_example.bits(tmp_path / "undisturbed")


@pytest.fixture(params=["0", "1"], ids=["of this system", "fallback"])
def portable(request, monkeypatch):
    """Whether the fallbacks for other operating systems are forced: the test runs with and without them."""
    monkeypatch.setenv("BRAINSNN_PORTABLE", request.param)
    return request.param == "1"


@pytest.fixture
def forced(monkeypatch):
    """Force the fallbacks for other operating systems."""
    monkeypatch.setenv("BRAINSNN_PORTABLE", "1")
