"""A process that holds the lock on a file until it is told to end, and counters that several processes raise under a lock."""

import os
import subprocess
import sys
from pathlib import Path

from locations import ROOT

__all__ = ["counting", "holding"]

HOLD = """
import sys
from pathlib import Path
from brainsnn.system.locks import lock
with lock(Path(sys.argv[1]), remove=True) as is_mine:
    print(is_mine, flush=True)
    input()
"""
COUNT = """
import sys
from pathlib import Path
from brainsnn.system.locks import lock
folder = Path(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with lock(folder / "lock", wait=True) as is_mine:
        assert is_mine
        n = int((folder / "n").read_text())
        (folder / "n").write_text(str(n + 1))
"""


def _start(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def holding(path: Path):
    """Return a process that has the lock on a file."""
    process = _start(HOLD, path)
    assert process.stdout.readline() == "True\n", process.stderr.read()
    return process


def counting(folder: Path, n: int):
    """Return a process that adds 1 to the number in a file ``n`` times, each time under the lock of the folder."""
    return _start(COUNT, folder, n)
