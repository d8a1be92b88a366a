"""Helpers of all benchmarks: versions, worker processes, peak memory, tables, and writing docs/benchmarks.md."""

import json
import logging
import os
import platform
import re
import subprocess
import sys
import threading
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Must be set before TensorFlow is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
logging.getLogger("tensorflow").setLevel(logging.ERROR)

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "benchmarks.md"
HEADER = """# Benchmarks

Each section was written by the command shown in it, in one run on one machine. `make benchmarks` runs them one after the
other, except `benchmarks/cuda.py`, which needs its own environment ([devices](devices.md)). Run them on an otherwise idle
machine. Absolute times depend on the machine and its load; compare the ratios within a section. A physical limit is the
least time for the bytes and operations of a row, at the bandwidth and peak rate that the same run measured with a C++
loop (`benchmarks/machine.cpp`). The time above that limit is what could still be gained.

ANNarchy, PyTorch and SpikingJelly run in a separate environment, because their requirements conflict with those of Brian2:

```
python3 -m venv .venv-peers
.venv-peers/bin/pip install -r benchmarks/peers.txt
.venv-peers/bin/pip install --no-deps spikingjelly==2.0.0   # torchvision and torchaudio are not needed here
```

Pass the Python of that environment with `--peer-python` or in `BRAINSNN_PEER_PYTHON`. A peer that is not installed gets a
row that says so. `python benchmarks/profiling.py` prints the time of each code object within a step.
"""


def processor():
    """Return the name of the processor."""
    try:
        return re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), flags=re.MULTILINE)[1]
    except (OSError, TypeError):
        return platform.processor() or platform.machine()


def compiler():
    """Return the first line of the C++ compiler's version message."""
    result = subprocess.run([os.environ.get("CXX", "c++"), "--version"], capture_output=True, text=True, check=False)
    return result.stdout.splitlines()[0] if result.stdout else "no C++ compiler"


def environment(packages=("brainsnn", "Brian2", "numpy", "tensorflow-cpu", "keras")):
    """
    Describe the machine, its load before the run, and the installed versions, as lines of text.

    Parameters
    ----------
    packages : sequence of str
        Distribution names.

    Returns
    -------
    lines : list of str
    """
    found = []
    for name in packages:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    load = os.getloadavg()[0]
    return [
        f"{processor()}, {len(os.sched_getaffinity(0))} cores used of {os.cpu_count()}, load before the run {load:.1f}",
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, {compiler()}",
        ", ".join(found),
    ]


def compiler_flags():
    """Return the flags with which Brian2 compiles C++ on this machine (list of str)."""
    from brainsnn.builders.devices.brian_versions import wanted_flags

    return wanted_flags()


def in_process(script, request, **variables):
    """
    Run a benchmark script in a new process and return its answer.

    Parameters
    ----------
    script : str or Path
        The benchmark. It is called with ``--worker`` and the request as JSON, and prints its answer as JSON in the last line.
    request : list
    **variables : str
        Further environment variables.

    Returns
    -------
    answer
        The decoded JSON.

    Raises
    ------
    subprocess.CalledProcessError
        If the process fails; its messages have been printed.
    """
    command = [sys.executable, str(script), "--worker", json.dumps(request)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables})
    return json.loads(done.stdout.splitlines()[-1])


class PeakMemory:
    """
    Record the peak resident memory of this process and of the programs it starts while the block runs.

    The kernel keeps the high-water mark of each process (VmHWM). A thread polls it until the child ends.

    Attributes
    ----------
    children : dict of str to int
        Program name -> bytes of the largest program of that name.
    """

    def __init__(self, interval=0.02):
        self.children, self._interval, self._stop = {}, interval, threading.Event()

    def __enter__(self):
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        self._thread.join()

    def child(self, name="main"):
        """Return the bytes of the largest child program of that name, 0 if none ran."""
        return self.children.get(name, 0)

    @staticmethod
    def own():
        """Return the high-water mark of this process in bytes."""
        return _status(os.getpid()).get("VmHWM", 0)

    def _watch(self):
        while not self._stop.wait(self._interval):
            for pid in _children(os.getpid()):
                status = _status(pid)
                name, peak = status.get("Name", "?"), status.get("VmHWM", 0)
                self.children[name] = max(self.children.get(name, 0), peak)


def _children(pid):
    pids = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            pids += [int(child) for child in (task / "children").read_text().split()]
        except OSError:  # the thread has ended
            continue
    return pids


def _status(pid):
    """Return the name and the memory in bytes of a process; empty if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    status = dict(line.split(":", 1) for line in lines if ":" in line)
    values = {key: int(value.split()[0]) * 1024 for key, value in status.items() if value.endswith(" kB")}
    return {"Name": status["Name"].strip(), **values}


def elapsed(function, repeats=1):
    """
    Call a function repeatedly and measure the time of each call.

    For work in one thread on a busy machine, processor time is the better measure.

    Parameters
    ----------
    function : callable
    repeats : int

    Returns
    -------
    seconds : list of float
        Wall time.
    cpu_seconds : list of float
        Processor time of this process and of the programs it started, summed over threads.
    result
        Return value of the last call.
    """
    seconds, cpu_seconds = [], []
    for _ in range(repeats):
        start, cpu_start = time.perf_counter(), _processor_time()
        result = function()
        seconds.append(time.perf_counter() - start)
        cpu_seconds.append(_processor_time() - cpu_start)
    return seconds, cpu_seconds, result


def _processor_time():
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def table(headers, rows):
    """
    Format a Markdown table whose columns are aligned in plain text.

    Parameters
    ----------
    headers : sequence of str
    rows : sequence of sequences
        Numbers are right-aligned. Pass them as text to choose the number of digits.

    Returns
    -------
    text : str
    """
    cells = [[str(cell) for cell in row] for row in (headers, *rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(headers))]
    numeric = [all(re.match(r"^[-+<]?[\d.,]|^-?$", row[k]) for row in cells[1:]) for k in range(len(headers))]

    def line(row):
        return "| " + " | ".join(c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, numeric)) + " |"

    rule = "|" + "|".join("-" * (w + 1) + (":" if n else "-") for w, n in zip(widths, numeric)) + "|"
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])


def megabytes(n_bytes):
    """Format bytes in MB with three digits."""
    return f"{n_bytes / 1e6:.3g} MB" if n_bytes < 1e9 else f"{n_bytes / 1e6:.0f} MB"


def write_section(name, title, text):
    """
    Write a section of docs/benchmarks.md, replacing the section that this benchmark wrote before.

    Parameters
    ----------
    name : str
        Name of the benchmark; it marks the section.
    title : str
    text : str
        Markdown.
    """
    from brainsnn.files import write_atomically  # the peers import this file too, but have no brainsnn

    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    section = f"{begin}\n## {title}\n\n{text.strip()}\n{end}"
    old = DOCS.read_text() if DOCS.exists() else ""
    # The introduction is always replaced by HEADER.
    old = HEADER + "\n" + old[old.find("<!-- begin") :] if "<!-- begin" in old else HEADER
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", flags=re.DOTALL)
    new = pattern.sub(lambda _: section, old) if pattern.search(old) else f"{old.rstrip()}\n\n{section}\n"
    with write_atomically(DOCS) as file:
        file.write(new.encode())


def publish(name, title, command, blocks, write):
    """
    Print the report of a benchmark and optionally write it to docs/benchmarks.md.

    Parameters
    ----------
    name, title : str
    command : str
        Command line that produces the report.
    blocks : list of str
        Paragraphs and tables.
    write : bool
    """
    stamp = time.strftime("%Y-%m-%d")
    text = "\n\n".join([f"`{command}`, {stamp}", *blocks])
    print(f"\n{title}\n\n{text}\n", flush=True)
    if write:
        write_section(name, title, text)
        print(f"Written to {DOCS.relative_to(ROOT)}.")
