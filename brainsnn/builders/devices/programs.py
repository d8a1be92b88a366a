"""Run compiled programs side by side, and report their trials as they end."""

import os
import signal
import subprocess
from threading import Thread

from brainsnn.disk_space import disk_full_error

__all__ = ["DISK_FULL", "run_programs"]

#: Exit status of a program that could not write its recordings because the disk is full.
DISK_FULL = 28


def run_programs(command, folders, on_trial_done):
    """
    Run one program in each of several folders, all at once.

    Parameters
    ----------
    command : list of str
    folders : list of `~pathlib.Path`
        Working directories, with the files of the trials.
    on_trial_done : callable
        Called without arguments whenever a trial has ended.

    Raises
    ------
    RuntimeError
        If a program fails; the others are stopped.
    OSError
        If it failed because the disk is full.
    """
    running = [_start(command, folder) for folder in folders]
    listeners = [Thread(target=_listen, args=(program, on_trial_done), daemon=True) for program in running]
    try:
        for listener in listeners:
            listener.start()
        for program, listener in zip(running, listeners):
            errors = program.stderr.read()
            listener.join()
            if program.wait() != 0:
                status = program.returncode
                reason = errors.strip() or (signal.strsignal(-status) if status < 0 else None) or "no message"
                if status == DISK_FULL:
                    raise disk_full_error(reason)
                raise RuntimeError(f"The compiled network stopped with exit status {status}: {reason}")
    finally:
        for program in running:
            if program.poll() is None:
                program.kill()
                program.wait()
        for program, listener in zip(running, listeners):
            if listener.ident is not None:  # it was started
                listener.join()
            program.stdout.close()
            program.stderr.close()


def _start(command, folder):
    environment = {**os.environ, "BRAINSNN_TRIALS": str(folder), "LD_BIND_NOW": "1"}
    environment["BRAINSNN_PARENT"] = str(os.getpid())  # the program ends with this process
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def _listen(program, on_trial_done):
    for line in program.stdout:
        if line == "trial\n":
            on_trial_done()
