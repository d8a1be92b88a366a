"""The benchmarks run: each prints its tables for small networks; rows of peers that are not installed say so."""

import re
import subprocess
import sys

import pytest
from locations import ROOT

NAMES = re.search(r"^BENCHMARKS := (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)[1].split()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_quick_benchmark_prints_its_tables(name, tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"python benchmarks/{name}.py" in done.stdout and re.search(
        r"^\|[-|: ]+\|$", done.stdout, flags=re.MULTILINE
    )
    assert "nan" not in done.stdout.lower().split()
