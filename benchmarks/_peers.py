"""Find the separate Python environment of the peers, and say what is installed in it."""

import json
import os
import subprocess
import sys

#: Environment variable with the Python of the peers, used unless `--peer-python` is given.
VARIABLE = "BRAINSNN_PEER_PYTHON"
HOW = "make an environment with the peers (docs/benchmarks.md) and pass its Python with --peer-python"


def add_argument(parser):
    """Add ``--peer-python`` to a command line."""
    parser.add_argument(
        "--peer-python",
        default=os.environ.get(VARIABLE, sys.executable),
        help=f"Python of an environment with ANNarchy, torch and spikingjelly (${VARIABLE}, else this Python)",
    )


def environment_of(python):
    """Return environment variables that put the peers' own tools first on the path (ANNarchy calls cmake)."""
    return {**os.environ, "PATH": f"{os.path.dirname(os.path.abspath(python))}{os.pathsep}{os.environ.get('PATH', '')}"}


def why_missing(python, module):
    """
    Say why a peer cannot run; empty if it can.

    Parameters
    ----------
    python : str
        Python of the peers.
    module : str
        Module that the peer must be able to import.

    Returns
    -------
    reason : str
    """
    try:
        done = subprocess.run([python, "-c", f"import {module}"], capture_output=True, text=True, check=False)
    except OSError as error:
        return f"{python}: {error.strerror}"
    if done.returncode == 0:
        return ""
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return last if module.split(".")[0] not in last else f"{module.split('.')[0]} is not installed; {HOW}"


def package_versions(python, packages):
    """Return the versions of distributions in the environment of the peers (str)."""
    code = (
        "import json, sys\nfrom importlib.metadata import version, PackageNotFoundError\nfound = []\n"
        "for name in json.loads(sys.argv[1]):\n"
        "    try:\n        found.append(f'{name} {version(name)}')\n"
        "    except PackageNotFoundError:\n        found.append(f'{name} not installed')\n"
        "print(', '.join(found) + f', Python {sys.version.split()[0]}')"
    )
    try:
        done = subprocess.run([python, "-c", code, json.dumps(packages)], capture_output=True, text=True, check=False)
    except OSError as error:
        return f"peers: {python}: {error.strerror}"
    return done.stdout.strip()
