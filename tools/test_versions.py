"""
Run the tests with every Brian2 version that brainsnn supports, each in its own environment.

    python tools/test_versions.py [--only NAME ...] [pytest arguments]

Environments are kept in .venvs and rebuilt when setup.cfg changes. Without pytest arguments the fast tests run. The table
at the end has a row for each environment. An environment whose Python is not installed is skipped, with the reason.
"""

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venvs"
#: Folder of the tests that a setting names.
DEVICE_TESTS = Path("tests/builders/devices")


@dataclass(frozen=True)
class Setting:
    """A Python, the packages pinned in its environment, and the tests that run there (all if none are named)."""

    name: str
    pythons: tuple
    pins: tuple
    extras: str = "training,studies,test"
    tests: tuple = ()


SETTINGS = [
    Setting("oldest", ("3.11",), ("brian2==2.5.4", "numpy==1.26.4", "Cython<3.1")),
    Setting("python-3.11", ("3.11",), ("brian2==2.9.0",)),
    Setting("newest", ("3.14", "3.13", "3.12"), ()),
    Setting("cuda", ("3.12",), (), "cuda,training,studies,test", ("test_devices.py", "test_cuda.py")),
    Setting("genn", ("3.11",), (), "genn,training,studies,test", ("test_devices.py", "test_genn.py")),
]


def find_python(versions):
    """Return the first of some Python versions found on the path or under pyenv, or None."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in versions:
        candidates = [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python{version}"))]
        for candidate in filter(None, candidates):
            # pyenv's shims also exist for versions that are not activated, and fail for them
            command = [candidate, "-c", "import venv, ensurepip, sysconfig; print(sysconfig.get_path('include'))"]
            answer = subprocess.run(command, capture_output=True, text=True, check=False)
            if answer.returncode == 0 and (Path(answer.stdout.strip()) / "Python.h").exists():
                return str(candidate)
    return None


def environment(setting, python):
    """Return the Python of a setting's environment; create the environment if it does not exist."""
    folder = FOLDER / setting.name
    executable, stamp = folder / "bin" / "python", folder / "installed"
    wanted = f"{python}\n{setting}\n{(ROOT / 'setup.cfg').read_text()}"
    if stamp.exists() and stamp.read_text() == wanted:
        return executable
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([python, "-m", "venv", folder], check=True)
    install = [executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-e", f"{ROOT}[{setting.extras}]", *setting.pins], check=True)
    stamp.write_text(wanted)
    return executable


def versions(executable):
    """Return the versions of Python, Brian2 and NumPy in an environment."""
    code = "import sys, brian2, numpy; print(sys.version.split()[0], brian2.__version__, numpy.__version__)"
    answer = subprocess.run([executable, "-c", code], capture_output=True, text=True, check=False)
    return answer.stdout.split() or ["?"] * 3


def run(setting, arguments):
    """Run the tests of a setting; return its row of the table and whether they passed."""
    python = find_python(setting.pythons)
    if python is None:
        wanted = " or ".join(setting.pythons)
        return (setting.name, "-", "-", "-", f"skipped: no Python {wanted} with its headers on this machine"), True
    print(f"{setting.name}: environment in {FOLDER / setting.name} ...", flush=True)
    try:
        executable = environment(setting, python)
    except subprocess.CalledProcessError as error:
        return (setting.name, "-", "-", "-", f"not installed: exit status {error.returncode}"), False
    log, tests = FOLDER / f"{setting.name}.log", [str(DEVICE_TESTS / name) for name in setting.tests]
    command = [executable, "-m", "pytest", "-q", "-rs", "-n", "2", "--dist", "loadfile", *tests, *arguments]
    settings = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    with open(log, "wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=settings, stdout=subprocess.PIPE)
        for chunk in iter(lambda: process.stdout.read1(), b""):  # not by lines: each dot is a test
            sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
            file.write(chunk)
        process.wait()
    return (setting.name, *versions(executable), log.read_text().strip().splitlines()[-1]), process.returncode == 0


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Run the tests with several versions of Brian2.")
    names = [setting.name for setting in SETTINGS]
    parser.add_argument("--only", action="append", choices=names, help="one of the settings (repeat for several)")
    args, arguments = parser.parse_known_args()
    FOLDER.mkdir(exist_ok=True)
    os.nice(10)
    wanted = [setting for setting in SETTINGS if setting.name in (args.only or names)]
    rows, passed = zip(*(run(setting, arguments or ["-m", "not slow"]) for setting in wanted))
    table = [("environment", "Python", "Brian2", "NumPy", "tests"), *rows]
    widths = [max(len(row[k]) for row in table) for k in range(4)]
    print()
    for row in table:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[4]]))
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
