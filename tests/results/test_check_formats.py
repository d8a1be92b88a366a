"""tools/check_formats.py: what it says of a format is so, and docs/formats.md has its table."""

import importlib.util

import numpy as np
import pytest
from locations import ROOT

import brainsnn as bs
from brainsnn.results.description import PopulationModel

spec = importlib.util.spec_from_file_location("check_formats", ROOT / "tools" / "check_formats.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)


def small():
    result = bs.Result({"conv": (2, 1, 2), "out": (1, 1, 2)}, dt=1e-3, n_steps=5)
    result.spikes["conv"] = [(np.array([3, 1, 3]), np.array([1, 2, 4])), (np.array([0]), np.array([0]))]
    result.spike_counts["conv"] = np.array([3, 1])
    result.states["conv"] = {"S": np.arange(20.0).reshape(2, 5, 2)}
    result.recorded["conv"] = {"S": np.array([0, 3])}
    result.outputs["out"] = np.ones((2, 5, 2), "f4")
    result.models["conv"] = PopulationModel("dv/dt = -v/ms : 1", "v > 1", {}, {"S": "1"})
    result.labels = np.array([0, 1])
    result.settings = {"seed": [1, 2], "device": "runtime", "model": "net"}
    return result


def test_each_format(tmp_path):
    for package in ("xarray", "h5netcdf", "zarr", "neo", "nixio", "pynwb"):
        pytest.importorskip(package, reason=f"{package}, of the extras formats and test, is not installed")
    lost = {name: lost for name, _, lost, *_ in tool.rows_of(small(), tmp_path)}
    assert [lost[name] for name in ("`save`, npz", "`to_netcdf`", "`to_zarr`")] == ["nothing"] * 3
    assert "spikes" not in lost["`to_neo`, NIX"] and "their neurons" in lost["`to_neo`, NWB"]


@pytest.mark.parametrize("part", tool.PARTS)
def test_what_is_lost_is_found(part):
    result, other = small(), small()
    assert all(tool.kept(other, result).values())
    changes = {
        "spikes": lambda: other.spikes["conv"].__setitem__(0, (np.array([3, 1, 3]), np.array([1, 2, 3]))),
        "their neurons": lambda: other.shapes.update(conv=(1, 2, 2)),
        "states": lambda: other.states["conv"]["S"].__setitem__((0, 0, 0), -1),
        "outputs": lambda: other.outputs.update(out=other.outputs["out"].astype(float)),
        "labels": lambda: setattr(other, "labels", None),
        "settings": lambda: other.settings.pop("seed"),
        "equations": lambda: other.models.pop("conv"),
    }
    changes[part]()
    assert [name for name, same in tool.kept(other, result).items() if not same] == [part]


def test_the_page_has_the_table():
    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    table = page.split("<!-- begin check_formats -->")[1].split("<!-- end check_formats -->")[0]
    assert [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| `")] == list(
        tool.formats(small())
    )
