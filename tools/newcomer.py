"""
Time what somebody new to brainsnn does: install the wheel, then run the code blocks of the README, each as a script.

    python tools/newcomer.py [--wheel dist/brainsnn-0.2.0-py3-none-any.whl]

All happens in an empty folder outside of the checkout, in a new virtual environment, with a home folder of its own, so that
nothing is compiled beforehand. Needs the packages of the extra ``release`` to build the wheel.
"""

import argparse
import os
import platform
import re
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from release_files import ROOT, build, call, new_environment

EXTRAS = "training"
#: The code blocks of the README, in its order: title, name of the script, and the least share of digits that is right.
STEPS = (
    ("first figure, shipped network", "first_figure.py", 0.9),
    ("own Keras model: train, convert, run", "own_model.py", 0.8),
    ("own equation: edit, convert, run", "own_equation.py", 0.3),
)


def blocks_of(path):
    """Return the Python code blocks of a Markdown file."""
    return re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


def accuracy_of(output):
    """Return the accuracy, the first number between 0 and 1 in the last line of a script's output, or None."""
    numbers = (float(number) for number in re.findall(r"(?<![\w.])[01]\.\d+", output.splitlines()[-1]))
    return next((number for number in numbers if number <= 1), None)


def scripts_run(python, folder):
    """Run the scripts in a folder; return a row (step, command, seconds) for each."""
    blocks = blocks_of(ROOT / "README.md")
    if len(blocks) != len(STEPS):
        sys.exit(f"newcomer: the README has {len(blocks)} blocks of Python, but STEPS names {len(STEPS)}")
    # isolated, and at home elsewhere: no package, program or setting of the checkout or the user helps
    home = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), "BRAINSNN_CACHE": "", "MPLBACKEND": "Agg"}
    rows = []
    for block, (title, name, least) in zip(blocks, STEPS, strict=True):
        (folder / name).write_text(block, encoding="utf-8")
        began = time.monotonic()
        accuracy = accuracy_of(call(python, "-I", name, cwd=folder, environment=home))
        rows.append((title, f"python {name}", time.monotonic() - began))
        if accuracy is None or accuracy < least:
            sys.exit(f"newcomer: {name} has an accuracy of {accuracy}, less than {least}")
    if not (folder / "spikes.png").is_file():
        sys.exit("newcomer: first_figure.py wrote no figure spikes.png")
    return rows


def table(rows):
    """Return rows of (step, command, seconds) as a Markdown table with their sum."""
    rows = [*rows, ("all", "", sum(seconds for *_, seconds in rows))]
    cells = [("step", "command", "time")]
    cells += [(title, f"`{command}`" if command else "", spoken(seconds)) for title, command, seconds in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def spoken(seconds):
    """Return seconds as text, with minutes from 100 s on."""
    whole = round(seconds)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60} s"


def main(argv=None):
    """The command line."""
    parser = argparse.ArgumentParser(description="Time what somebody new to brainsnn does.")
    parser.add_argument("--wheel", type=Path, help="a wheel of this checkout, instead of building one")
    args = parser.parse_args(argv)
    if args.wheel and not args.wheel.is_file():
        parser.error(f"argument --wheel: {str(args.wheel)!r} is not a file")
    with tempfile.TemporaryDirectory(prefix="brainsnn-newcomer-") as name:
        folder = Path(name)
        wheel = args.wheel.resolve() if args.wheel else build(folder / "dist")[1]
        load, began = os.getloadavg()[0], time.monotonic()
        python = new_environment(folder / "environment", f"{wheel}[{EXTRAS}]")
        rows = [("install", f'pip install "brainsnn[{EXTRAS}]"', time.monotonic() - began)]
        (folder / "empty").mkdir()
        rows += scripts_run(python, folder / "empty")
        size = sum(path.stat().st_size for path in folder.joinpath("environment").rglob("*") if path.is_file())
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"\n{date.today()}, {machine}, load before {load:.1f}, {size / 1e9:.1f} GB installed\n\n{table(rows)}")


if __name__ == "__main__":
    main()
