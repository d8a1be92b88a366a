"""Networks of snnTorch, Norse, SpikingJelly and sinabs fire the spikes that these libraries fire themselves."""

from pathlib import Path

import numpy as np
import pytest
from chosen_device import DEVICE

import brainsnn as bs

pytest.importorskip("h5py")
pytestmark = pytest.mark.usefixtures("full_optimisation")

FOLDER = Path(__file__).parent / "data"
FILES = sorted(path.stem for path in FOLDER.glob("*.nir"))
#: snnTorch's reset to zero is not its default, and no file says it.
RESETS = {"snntorch_zero": "value"}
#: Norse and SpikingJelly computed in float64; snnTorch and sinabs in float32, whose rounding remains.
TOLERANCE = {"norse": 1e-14, "sinabs": 1e-6}


def read(name):
    return bs.read_nir(FOLDER / f"{name}.nir", name.split("_")[0], reset=RESETS.get(name))


def spikes_of(recorded):
    """The input as run() takes it."""
    values = recorded["input"]
    return values.transpose(0, 1, 3, 4, 2) if values.ndim == 5 else values.reshape(*values.shape[:2], 1, 1, -1)


def population(graph, layer):
    """The population of a module: files name nodes '1', '_1' or '1.lif'."""
    return next(name for name in graph.populations if name.split(".")[0].strip("_") == layer)


def test_there_are_files_of_four_libraries():
    assert {name.split("_")[0] for name in FILES} == {"norse", "sinabs", "snntorch", "spikingjelly"}


@pytest.mark.filterwarnings("ignore::brainsnn.errors.SaturationWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FILES)
def test_equal_spikes(name, dtype):
    graph, recorded = read(name), np.load(FOLDER / f"{name}.npz")
    layers = {layer: population(graph, layer) for layer in recorded.files if layer != "input"}
    spiking = [found for found in layers.values() if graph.populations[found].kind == "spiking"]
    snn = bs.convert(
        graph, schedule="synchronous", dtype=dtype, device=DEVICE, record={layer: ["spikes"] for layer in spiking}
    )
    result = snn.run(spikes=spikes_of(recorded))
    for layer, found in layers.items():
        expected = recorded[layer]
        if found not in spiking:
            tolerance = 1e-6 if dtype == "float32" else TOLERANCE[name.split("_")[0]]
            np.testing.assert_allclose(result.output.reshape(expected.shape), expected, atol=tolerance)
            continue
        raster = result.raster(found)
        raster = raster.transpose(0, 1, 4, 2, 3) if expected.ndim == 5 else raster.reshape(expected.shape)
        assert expected.sum() >= 10, "too few spikes to compare"
        np.testing.assert_array_equal(raster, expected, err_msg=f"{name}: {layer}")
    if found in spiking:  # what the Output node gets is the spikes of the last layer
        np.testing.assert_array_equal(result.output.reshape(expected.shape), expected)


def test_pipelined_spikes_come_one_step_later_for_each_layer():
    """Without a bias, a layer repeats in the pipelined schedule what it does in the synchronous one, k steps later."""
    graph, recorded = read("sinabs_convolution"), np.load(FOLDER / "sinabs_convolution.npz")
    snn = bs.convert(graph, dtype="float64", device=DEVICE, record={(name := population(graph, "1")): ["spikes"]})
    raster = snn.run(spikes=spikes_of(recorded)).raster(name).transpose(0, 1, 4, 2, 3)
    np.testing.assert_array_equal(raster[:, 1:], recorded["1"][:, :-1])


def test_other_conventions_give_other_spikes():
    """The comparison notices the reset, the integration and the time step."""
    recorded = np.load(FOLDER / "snntorch_dense.npz")
    changes = {"reset": "subtract", "integration": "exact", "dt": 0.2 * bs.ms}
    for option, value in changes.items():
        graph = bs.read_nir(FOLDER / "snntorch_dense.nir", "snntorch", **{option: value})
        snn = bs.convert(
            graph, schedule="synchronous", dtype="float64", record={(name := population(graph, "1")): ["spikes"]}
        )
        raster = snn.run(spikes=spikes_of(recorded)).raster(name)
        assert np.any(raster.reshape(recorded["1"].shape) != recorded["1"]), option
