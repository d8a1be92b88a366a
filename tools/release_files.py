"""Build sdist and wheel, and install the wheel into a new environment, for the tools beside this file."""

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["ROOT", "build", "call", "new_environment"]

ROOT = Path(__file__).resolve().parent.parent


def call(*command, cwd=ROOT, environment=None):
    """
    Run a command and print the last line that it says; print everything and end if it fails.

    Parameters
    ----------
    command : str or path-like
    cwd : path-like, optional
    environment : dict of str to str, optional
        Variables beside those of this process.

    Returns
    -------
    output : str
        What it printed.
    """
    print("$", *(str(part) if len(str(part)) < 100 else "..." for part in command), flush=True)
    answer = subprocess.run(
        [str(part) for part in command], cwd=cwd, env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, **(environment or {})},
        check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    print(answer.stdout if answer.returncode else "".join(answer.stdout.splitlines(keepends=True)[-1:]), end="")
    if answer.returncode:
        sys.exit(f"{Path(sys.argv[0]).stem}: the last command failed with exit status {answer.returncode}")
    return answer.stdout


def build(folder):
    """Build in a folder; return the paths of sdist and wheel."""
    call(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    (sdist,), (wheel,) = (list(Path(folder).glob(pattern)) for pattern in ("*.tar.gz", "*.whl"))
    return sdist, wheel


def new_environment(folder, requirement):
    """Make a virtual environment in a folder and install a requirement there; return its Python."""
    call(sys.executable, "-m", "venv", folder)
    python = Path(folder) / "bin" / "python"
    call(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement)
    return python
