"""``brainsnn info``: what is installed, what this machine can do, and what is missing."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["info"]


def info(as_json: Annotated[bool, typer.Option("--json", help="Write it as JSON.")] = False) -> None:
    """
    Show versions, compilers and devices; what is missing, and how to get it.

    Example: `brainsnn info --json > machine.json`
    """
    found = _collect()
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for title, rows in found.items():
        typer.secho(title.replace("_", " "), bold=True)
        width = max(len(name) for name in rows)
        for name, value in rows.items():
            typer.echo(f"  {name.ljust(width)}  {value}")


def _collect() -> dict[str, dict[str, Any]]:
    from importlib.metadata import version

    import psutil

    import brainsnn as bs
    from brainsnn.builders.devices.registry import DEVICES, backend_class
    from brainsnn.system.processes import n_cores
    from brainsnn.system.versions import installed_versions

    versions = {"brainsnn": bs.__version__, "brian2": version("brian2"), **installed_versions()}
    system = versions.pop("system")
    return {
        "versions": versions,
        "machine": {
            "system": system,
            "cores": n_cores(),
            "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
            "C++ compiler": (compiler := _compiler()),
            "C++ compiler version": _version(compiler),
            "CUDA compiler": (nvcc := _cuda_compiler()),
            "CUDA compiler version": _version(nvcc),
            "compiled networks": str(bs.cache_directory()),
        },
        "devices": {device: backend_class(device).missing() or "ready" for device in DEVICES},
        "extras": _extras(),
    }


def _compiler() -> str:
    from brainsnn.builders.devices.compiler_command import CPP, cpp_compiler

    try:
        name = cpp_compiler()[0]
    except RuntimeError as error:
        return str(error)
    return shutil.which(name) or f"{name}, which is not on the search path. {CPP}"


def _cuda_compiler() -> str:
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    found = shutil.which("nvcc", path=str(Path(home) / "bin")) if home else shutil.which("nvcc")
    where = f"in {Path(home) / 'bin'}" if home else "on the search path"
    return found or f"no nvcc {where}; only the CUDA devices need it"


def _version(program: str) -> str:
    """Return the line of a compiler's own description that holds its version; a dash without a compiler."""
    if shutil.which(program) is None:  # the text says what is missing
        return "-"
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"unknown: {type(error).__name__}"
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if re.search(r"\d+\.\d", line)]
    return next((line for line in lines if "release" in line), lines[0] if lines else "unknown")


def _extras() -> dict[str, str]:
    """Return for each extra whether its packages are installed, and the command that installs it."""
    from importlib.util import find_spec

    from brainsnn.optional import EXTRAS

    packages: dict[str, list[str]] = {}
    for package, extra in EXTRAS.items():
        packages.setdefault(extra, []).append(package)
    rows = {}
    for extra, names in packages.items():
        missing = [name for name in names if find_spec(name) is None]
        rows[extra] = f"pip install 'brainsnn[{extra}]' installs {', '.join(missing)}" if missing else "installed"
    return rows
