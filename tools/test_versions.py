"""
Run the tests with every Brian2 version that brainsnn promises to work with, each in an environment of its own.

    python tools/test_versions.py [--only NAME ...] [pytest arguments]

Environments are kept in .venvs and made again when setup.cfg changes. Without pytest arguments the fast tests run. The
closing table has a row for each version; one whose Python is not on this machine is skipped, with the reason.
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
DEVICE_TESTS = "tests/builders/devices"


@dataclass(frozen=True)
class Setting:
    """A Python, the packages that are pinned in it, and what is tested."""

    name: str
    pythons: tuple
    pins: tuple
    extras: str = "training,studies,test"
    tests: tuple = ()


SETTINGS = [
    Setting("oldest", ("3.11",), ("brian2==2.5.4", "numpy==1.26.4", "Cython<3.1")),
    Setting("python-3.11", ("3.11",), ("brian2==2.9.0",)),
    Setting("newest", ("3.14", "3.13", "3.12"), ()),
    Setting(
        "cuda",
        ("3.12",),
        (),
        "cuda,training,studies,test",
        (f"{DEVICE_TESTS}/test_devices.py", f"{DEVICE_TESTS}/test_cuda.py"),
    ),
    Setting(
        "genn",
        ("3.11",),
        (),
        "genn,training,studies,test",
        (f"{DEVICE_TESTS}/test_devices.py", f"{DEVICE_TESTS}/test_genn.py"),
    ),
]


def find_python(versions):
    """The first of some Python versions that is on the path or among pyenv's, or None."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in versions:
        candidates = [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python{version}"))]
        for candidate in filter(None, candidates):
            # pyenv's stand-ins exist for versions that are not switched on, and fail
            command = [candidate, "-c", "import venv, ensurepip, sysconfig; print(sysconfig.get_path('include'))"]
            answer = subprocess.run(command, capture_output=True, text=True, check=False)
            if answer.returncode == 0 and (Path(answer.stdout.strip()) / "Python.h").exists():
                return str(candidate)
    return None


def environment(setting, python):
    """The Python of the setting's environment, which is made unless it is there."""
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
    """Versions of Python, Brian2 and NumPy in an environment."""
    code = "import sys, brian2, numpy; print(sys.version.split()[0], brian2.__version__, numpy.__version__)"
    answer = subprocess.run([executable, "-c", code], capture_output=True, text=True, check=False)
    return answer.stdout.split() or ["?"] * 3


def run(setting, arguments):
    """A row of the closing table, and whether the tests passed."""
    python = find_python(setting.pythons)
    if python is None:
        wanted = " or ".join(setting.pythons)
        return (setting.name, "-", "-", "-", f"skipped: no Python {wanted} with its headers on this machine"), True
    print(f"{setting.name}: environment in {FOLDER / setting.name} ...", flush=True)
    try:
        executable = environment(setting, python)
    except subprocess.CalledProcessError as error:
        return (setting.name, "-", "-", "-", f"not installed: exit status {error.returncode}"), False
    log = FOLDER / f"{setting.name}.log"
    command = [executable, "-m", "pytest", "-q", "-rs", "-n", "2", "--dist", "loadfile", *setting.tests, *arguments]
    settings = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    with open(log, "wb") as file:
        tests = subprocess.Popen(command, cwd=ROOT, env=settings, stdout=subprocess.PIPE)
        for piece in iter(lambda: tests.stdout.read1(), b""):  # by pieces, as each dot is a test
            sys.stdout.buffer.write(piece)
            sys.stdout.flush()
            file.write(piece)
        tests.wait()
    return (setting.name, *versions(executable), log.read_text().strip().splitlines()[-1]), tests.returncode == 0


def main():
    """The command line."""
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
