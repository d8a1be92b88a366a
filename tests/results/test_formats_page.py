"""docs/formats.md: the code of the page runs, from top to bottom."""

import re

import pytest
from locations import ROOT

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "formats.md").read_text(encoding="utf-8"), re.DOTALL)


def test_the_code_runs(tmp_path, monkeypatch):
    for package in ("xarray", "h5netcdf", "zarr", "neo", "elephant", "nixio", "pynwb", "mlxtend"):
        pytest.importorskip(package, reason=f"{package}, of the extras formats and test, is not installed")
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in BLOCKS:
        exec(block, names)
    assert len(BLOCKS) == 9
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"run.nc", "run.zarr", "run.nix", "run.nwb", "methods.md", "methods.tex"}
    assert set(names["frame"].columns) == {"step", "image", "time", "neuron", "row", "column", "channel"}
    assert len(names["tree"]["conv1_asn"].spike_neuron) == 2 and names["rates"].sum() > 0
