"""Run a function in a process of its own, with limits on time and memory, and report what became of it."""

import atexit
import contextlib
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from brainsnn.builders.devices.cache import cache_directory

__all__ = ["Guard", "Outcome", "own_folder", "serve"]

#: Seconds that a call may take, and bytes of memory beyond those of a process that has imported everything.
SECONDS, MEMORY = 60, 3 * 2**30
#: Calls after which a process ends: Keras keeps what it has made.
CALLS = 200
#: What code reports to Python's audit hooks when it touches the world outside.
WRITES = {
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.symlink", "os.link", "shutil.rmtree",
    "shutil.move", "shutil.copyfile",
}  # fmt: skip
#: Where Brian2 keeps its extensions and logs, and brainsnn its programs.
OF_BRIAN = (
    os.path.expanduser("~/.cython"),
    str(cache_directory()),
    *(os.path.join(tempfile.gettempdir(), f"{name}_") for name in ("brian", "brainsnn")),
)
RUNS = {"os.system", "os.exec", "os.posix_spawn", "socket.connect", "pickle.find_class"}


@dataclass(frozen=True)
class Outcome:
    """
    What became of a call.

    Attributes
    ----------
    kind : {"value", "refused", "raw"}
        Whether it returned, raised an error that the package raises on purpose, or anything else: another error, a crash, more
        time or memory than allowed, a file written elsewhere, other code run.
    value : object
        What it returned.
    message : str
        The error, or what happened.
    """

    kind: str
    value: object = None
    message: str = ""


class Guard:
    """
    A process that calls functions of one kind.

    Parameters
    ----------
    function : str
        ``module:function``; it gets a folder that it may write to, and what a call gives it.
    pickles : bool, optional
        Whether it may load pickles of its own.
    """

    _all: "list[Guard]" = []

    def __init__(self, function, pickles=False):
        self.function, self.pickles, self.process, self.calls = function, pickles, None, 0
        Guard._all.append(self)

    def __call__(self, folder, **arguments):
        """Return the `Outcome` of a call."""
        if self.process is None:
            self._start()
        self.calls += 1
        self.pipe.send((str(folder), arguments))
        if not self.pipe.poll(SECONDS):
            self.stop()
            return Outcome("raw", message=f"no answer in {SECONDS} s")
        try:
            outcome = Outcome(*self.pipe.recv())
        except EOFError:
            code, self.process = self.process.wait(), None
            return Outcome("raw", message=f"the process ended with the status {code}")
        if self.calls >= CALLS:
            self.stop()
        return outcome

    def _start(self):
        self.pipe, theirs = multiprocessing.Pipe()
        code = f"import guarded; guarded.serve({self.function!r}, {theirs.fileno()}, {self.pickles})"
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        # multiprocessing's own processes may not start others where they are daemons. The pipe's end ends it.
        self.process, self.calls = (
            subprocess.Popen([sys.executable, "-c", code], pass_fds=[theirs.fileno()], env=environment),
            0,
        )
        theirs.close()
        self.pipe.recv()  # it has imported everything

    def stop(self):
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @classmethod
    def stop_all(cls):
        """End the processes of all guards."""
        for guard in cls._all:
            guard.stop()


atexit.register(Guard.stop_all)


@cache
def _folder_of_process():
    return tempfile.TemporaryDirectory(prefix="fuzz_")


def own_folder(name):
    """Return a new folder that is removed when this process ends (Path)."""
    folder = Path(_folder_of_process().name) / name
    folder.mkdir()
    return folder


class _Watch:
    """Records what the process does outside of the folder of a call."""

    def __init__(self, runs):
        self.runs, self.folder, self.seen = runs, None, []
        sys.addaudithook(self._hear)

    def _hear(self, event, arguments):
        if self.folder is None:
            return
        if event in self.runs:
            self.seen.append(f"{event} {arguments[:2]!r}"[:200])
        elif event in WRITES and any(isinstance(a, int) and a >= 0 for a in arguments[1:3]):
            return  # within a folder that was opened before, such as those that a tree of files is removed from
        elif event in WRITES or (event == "open" and self._writes(arguments)):
            for path in arguments[: 1 if event == "open" else 2]:
                if isinstance(path, str | bytes | os.PathLike) and not self._is_allowed(path, event == "open"):
                    self.seen.append(f"{event} {path!r}")

    @staticmethod
    def _writes(arguments):
        _, mode, flags = (*arguments, None, 0)[:3]
        return bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or (
            isinstance(mode, str) and not mode.startswith("r")
        )

    def _is_allowed(self, path, follows):
        folder, name = os.path.split(os.fsdecode(path))
        path = os.path.realpath(path) if follows else os.path.join(os.path.realpath(folder), name)
        return (
            path.startswith((self.folder + os.sep, "/dev/", *OF_BRIAN))
            or path in (self.folder, tempfile.gettempdir())
            or "__pycache__" in path
        )


def serve(function, descriptor, pickles=False):
    """Answer calls until the pipe ends."""
    from multiprocessing.connection import Connection

    from fuzzing import outcome_of

    pipe = Connection(descriptor)

    module, _, name = function.partition(":")
    function = getattr(import_module(module), name)
    with contextlib.suppress(ImportError):
        import resource

        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    watch = _Watch(RUNS - {"pickle.find_class"} if pickles else RUNS)
    pipe.send("ready")
    while True:
        try:
            folder, arguments = pipe.recv()
        except EOFError:
            return
        watch.seen.clear()
        watch.folder = os.path.realpath(folder)
        try:
            found = ("value", function(folder, **arguments))
        except BaseException as error:
            kind = outcome_of(error) if isinstance(error, Exception) else "raw"
            text = re.sub(r"\s+", " ", f"{type(error).__name__}: {error}")[:400]
            place = "" if kind == "refused" else "".join(traceback.format_exception(error)[-3:])
            found = ("refused" if kind == "refused" else "raw", None, f"{text}\n{place}")
        watch.folder = None
        pipe.send(("raw", None, f"touched what is outside: {watch.seen[0]}") if watch.seen else found)
