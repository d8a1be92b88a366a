"""Processes are told apart and limited, with what this system has and with the fallbacks."""

import os
import subprocess
import sys

import pytest
from sweep_example import wait_for

from brainsnn.leftovers import remove_leftovers, temporary_start
from brainsnn.system import processes
from brainsnn.system.fallbacks import is_portable
from brainsnn.system.memory import container_memory, huge_zeros, untouched_zeros


def test_only_two_values_are_taken(monkeypatch):
    for given, expected in {"": False, "0": False, "1": True, " 1 ": True}.items():
        monkeypatch.setenv("BRAINSNN_PORTABLE", given)
        assert is_portable() == expected
    monkeypatch.setenv("BRAINSNN_PORTABLE", "yes")
    with pytest.raises(ValueError, match="BRAINSNN_PORTABLE='yes' must be 1"):
        is_portable()


def test_a_process_is_gone_when_it_has_ended(portable):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = processes.process_start(process.pid)
    assert start > 0 and not processes.is_gone(process.pid, start)
    assert processes.is_gone(process.pid, start + 10**6)  # another one with this number
    process.kill()
    wait_for(lambda: processes.is_gone(process.pid, start), "end of the process")  # its parent has not asked for it yet
    process.communicate()
    assert processes.is_gone(process.pid, start) and processes.process_start(process.pid) == 0


def test_names_of_this_machine(portable):
    code = "from brainsnn.system.processes import machine_name; print(machine_name())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert processes.machine_name() == other and len(other) == 12


def test_what_is_known_by_one_way_is_unknown_by_the_other(tmp_path, monkeypatch):
    """Also if the variable changes while a process runs: it must not take another one for gone."""
    for value in ("0", "1", "0"):
        monkeypatch.setenv("BRAINSNN_PORTABLE", value)
        (tmp_path / f"{temporary_start('x')}{value}.part").touch()
        remove_leftovers(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_cores(portable):
    assert 1 <= processes.n_cores() <= os.cpu_count()


ENDLESS, GREEDY = "while True: pass", "x = bytearray(10**9); input()"


@pytest.mark.parametrize(("code", "reason"), [(ENDLESS, "took too long"), (GREEDY, "took too much memory")])
def test_a_process_that_uses_more_than_it_may_is_ended(code, reason, forced):
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    with processes.limited(process, 0.5, 2**20) as ended, process:
        process.wait(timeout=60)
    assert ended == [reason] and process.returncode != 0


def test_a_process_that_waits_too_long_is_ended(portable):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with processes.limited(process, 0.2, 2**30) as ended, process:
        process.wait(timeout=60)
    assert ended == ["took too long"]


def test_a_process_that_ends_by_itself(portable):
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    with processes.limited(process, 30, 2**30) as ended, process:
        assert process.wait(timeout=60) == 0
    assert ended == []


def test_zeros(portable):
    for zeros in (huge_zeros(5 * 2**20 + 3), untouched_zeros(5000)):
        assert zeros.flags.writeable and not zeros.any()
        zeros[-1] = 1
    assert len(huge_zeros(5 * 2**20 + 3)) == 5 * 2**20 + 3
    assert container_memory() is None or container_memory() > 0
