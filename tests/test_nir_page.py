"""docs/nir.md: its code runs, and its table names the conventions that the code has."""

import re
import shutil
from pathlib import Path

import pytest

from brainsnn.builders.from_nir.conventions import CONVENTIONS
from brainsnn.builders.to_nir.projections import DENSE_LIMIT

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "nir.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:to_nir", "ignore::brainsnn.errors.SaturationWarning")
def test_code_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("nir")
    shutil.copy(ROOT / "tests" / "builders" / "from_nir" / "data" / "snntorch_dense.nir", tmp_path / "net.nir")
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, names)
    shown = capsys.readouterr().out
    assert "dv/dt = (v_leak - v + r*(x + bias))/tau : 1" in shown and "(2, 40, 5)" in shown
    assert (tmp_path / "copy.nir").exists()


def test_table_of_conventions():
    integration = {"euler": "Euler", "exact": "exact"}
    reset = {"value": "to `v_reset`", "subtract": "- threshold", "subtract_next": "- threshold, one step later"}
    for library, convention in CONVENTIONS.items():
        (row,) = [line for line in PAGE.splitlines() if line.startswith(f'| `"{library}"`')]
        dt = "1 s" if convention.dt == 1 else f"{convention.dt * 1e3:g} ms"
        cells = [cell.strip() for cell in row.split("|")[2:6]]
        assert cells == [
            dt,
            integration[convention.integration],
            reset[convention.reset],
            f"v {convention.condition} threshold",
        ]


def test_limit_of_matrices():
    assert f"up to {DENSE_LIMIT:,} weights" in PAGE
