"""Sweeps on a real SLURM, which runs for these tests on this machine alone."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess

import pytest
from locations import ROOT

pytest.importorskip("xarray", reason="sweeps need xarray")
pytest.importorskip("dask_jobqueue", reason="SLURM needs dask-jobqueue")
import sweep_example
from sweep_example import N_UNITS, bits, calls, meanwhile, wait_for, wait_for_calls

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "squeue", "sinfo")
#: Debian keeps its daemons here, which is not on every user's path.
PATH = os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/sbin"))
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MailProg=/bin/true
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=2000
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def free_ports(n):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def ask(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A cluster of one node with two cores, and a configuration of dask for it."""
    missing = [program for program in PROGRAMS if shutil.which(program, path=PATH) is None]
    if missing:
        pytest.skip(
            f"SLURM is not installed: {', '.join(missing)} not found (Debian: slurmctld slurmd slurm-client munge)"
        )
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    user, host = pwd.getpwuid(os.getuid()).pw_name, socket.gethostname().split(".")[0]
    configuration = folder / "slurm.conf"
    configuration.write_text(CONFIGURATION.format(host=host, user=user, folder=folder, ports=free_ports(2)))
    daemons = [
        ["munged", "--foreground", "--force", f"--socket={folder}/munge.sock", f"--key-file={key}",
         f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed"],
        ["slurmctld", "-D", "-c"],
        ["slurmd", "-D"],
    ]  # fmt: skip
    settings = {
        "PATH": PATH, "SLURM_CONF": str(configuration), "DASK_JOBQUEUE__SLURM__CORES": "1",
        "DASK_JOBQUEUE__SLURM__MEMORY": "900MB", "DASK_JOBQUEUE__SLURM__INTERFACE": "lo",
        "DASK_JOBQUEUE__SLURM__LOG_DIRECTORY": str(folder), "DASK_JOBQUEUE__SLURM__LOCAL_DIRECTORY": str(folder),
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        for name, value in settings.items():
            patch.setenv(name, value)
        for command in daemons:
            log = stack.enter_context(open(folder / f"{command[0]}.out", "w"))
            daemon = subprocess.Popen(command, stdout=log, stderr=log)
            stack.callback(daemon.wait)
            stack.callback(daemon.terminate)
            if command[0] == "munged":
                wait_for((folder / "munge.sock").exists, "munged")
        wait_for(lambda: ask("sinfo", "-h", "-o", "%T") == ["idle"], f"idle node (see {folder})", 60)
        import dask

        dask.config.refresh()
        stack.callback(ask, "scancel", "--user", user)
        yield folder
    dask.config.refresh()


def jobs():
    return ask("squeue", "--noheader", "--format", "%i")


@pytest.mark.slow
def test_jobs_compute_the_same(tmp_path, undisturbed, log, slurm):
    sweep_example.run(tmp_path / "sweep", workers=2, cluster="slurm")
    assert bits(tmp_path / "sweep") == undisturbed
    assert len(calls(log)) == N_UNITS
    wait_for(lambda: not jobs(), "end of the jobs")


@pytest.mark.slow
def test_another_job_takes_the_place_of_a_cancelled_one(tmp_path, undisturbed, log, gate, slurm):
    def cancel():
        wait_for_calls(log, tmp_path / "sweep", n_waiting=1)
        cancelled.extend(jobs())
        ask("scancel", *cancelled)
        wait_for_calls(log, tmp_path / "sweep", n_waiting=2)
        gate.touch()

    cancelled = []
    with meanwhile(cancel):
        sweep_example.run(tmp_path / "sweep", workers=1, cluster="slurm")
    assert len(cancelled) == 1
    assert bits(tmp_path / "sweep") == undisturbed
    assert len(calls(log)) == N_UNITS + 1
    assert len({line.split()[0] for line in calls(log)}) == 2


def test_a_job_that_is_not_described_is_an_error(tmp_path, log, monkeypatch):
    import dask

    with dask.config.set({"jobqueue.slurm.memory": None, "jobqueue.slurm.cores": 1}):
        with pytest.raises(ValueError, match="does not set 'memory' of a job"):
            sweep_example.run(tmp_path / "sweep", workers=2, cluster="slurm")
    assert not calls(log) and not (tmp_path / "sweep").exists()
