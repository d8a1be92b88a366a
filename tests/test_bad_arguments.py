"""Numbers, times and paths that make no sense: an error names argument, value and fix, before anything is compiled."""

import re

import keras
import numpy as np
import pytest
from brian2 import Quantity, ms, mV, second
from one_layer import LAYER, SHAPE, one_layer_graph

import brainsnn as bs
from brainsnn.builders.from_keras.reader import read_keras
from brainsnn.feedback import read_settings
from brainsnn.files import checked_path
from brainsnn.plain_arrays import is_number
from brainsnn.stimuli.coco import load_coco_scenes, read_selection
from brainsnn.stimuli.coco.annotations import read_annotations

NAN, INF = float("nan"), float("inf")
IMAGES = np.full((2, *SHAPE), 0.5)
RAGGED = [[1], [2, 3]]
#: None of them is one finite number without a unit.
NO_NUMBERS = [NAN, INF, "a", RAGGED, 5 * mV, 1j, b"1", [1.0], np.ma.masked]
#: None of them is one time greater than 0.
NO_TIMES = [NAN * ms, INF * ms, -5 * ms, 0 * ms, 5, "5*ms", True, 5 * mV, [5 * ms, [6 * ms]], [5, 6] * ms, 1j]
NO_PATHS = [5 * ms, 5, 3.5, b"ab", True, object(), [], NAN, "a\0b"]


@pytest.fixture(scope="module")
def network():
    """A network that compiles nothing, whatever it is asked."""
    snn = bs.convert(one_layer_graph(), neuron=bs.switchable(bs.ASN()), device="cpp_standalone")

    def refuse(objects):
        raise AssertionError("a program was compiled")

    snn._backend.build = refuse
    return snn


def cue(**options):
    return bs.SpatialAttention(**{"center": (0.5, 0.5), "width": 0.2, "precision": 0.1, **options})


#: Argument -> what makes an object with this value, and what else than `NO_NUMBERS` is refused.
NUMBERS = {
    "ASN.m_f": (lambda v: bs.ASN(m_f=v), [0, -1]),
    "IF.leak": (lambda v: bs.IF(leak=v), [0, -1, 1.5]),
    "IF.threshold": (lambda v: bs.IF(threshold=v), [0, -1]),
    "LIF.threshold": (lambda v: bs.LIF(threshold=v), [0, -1]),
    "PredictiveGate.epsilon": (lambda v: bs.PredictiveGate(epsilon=v), [-1]),
    "PredictiveGate.squash_step": (lambda v: bs.PredictiveGate(squash_step=v), [0, -1]),
    "PredictiveGate.max_contrast": (lambda v: bs.PredictiveGate(contrast=True, max_contrast=v), [0.5]),
    "LocalLearning.learning_rate": (lambda v: bs.LocalLearning(learning_rate=v), [-1]),
    "LocalLearning.w_max": (lambda v: bs.LocalLearning(w_max=v), [0, -1]),
    "GaussianField.width": (lambda v: cue(width=v), [0, -1, (0.1, 0.2, 0.3), 5, (0.2, 40)]),
    "GaussianField.width: must": (lambda v: cue(width={LAYER: v}), [0, -1, (0.1, 0.2, 0.3)]),
    "GaussianField": (lambda v: cue(peak=v), [1.0, 0]),
    "GaussianField.exponent": (lambda v: cue(exponent=v), [0, -1]),
    "Attention.precision": (lambda v: cue(precision=v), []),
    "Attention.input_gain": (lambda v: cue(input_gain={LAYER: v}), []),
    "Attention.floor": (lambda v: cue(floor=v), [0, -1]),
    "clear_cache: days": (lambda v: bs.clear_cache(days=v), [-1]),
}


@pytest.mark.parametrize("argument", NUMBERS)
def test_numbers(argument):
    make, others = NUMBERS[argument]
    for value in [*NO_NUMBERS, *others]:
        with pytest.raises(ValueError, match=re.escape(argument)) as error:
            make(value)
        assert repr(value) in str(error.value)


@pytest.mark.parametrize("name", ["tau_phi", "tau_beta", "tau_eta", "tau_gamma", "tau_readout"])
def test_time_constants_of_asn(name):
    for value in NO_TIMES:
        with pytest.raises(
            ValueError, match=f"ASN.{name}: a time constant must be a time greater than 0, such as 20\\*ms, got"
        ):
            bs.ASN(**{name: value})


@pytest.mark.parametrize("name", ["tau_m", "tau_s", "tau_readout"])
def test_time_constants_of_lif(name):
    for value in NO_TIMES:
        with pytest.raises(
            ValueError, match=f"LIF.{name}: a time constant must be a time greater than 0, such as 20\\*ms, got"
        ):
            bs.LIF(**{name: value})


def test_time_steps():
    for value in NO_TIMES:
        with pytest.raises(ValueError, match=r"convert: dt=.* must be a time greater than 0, such as 1\*ms"):
            bs.convert(one_layer_graph(), dt=value)


@pytest.mark.parametrize("name", ["duration", "onset", "offset"])
def test_times_of_a_run(name, network):
    options = {"duration": 20 * ms}
    for value in [*NO_TIMES, 1e30 * second]:
        if name != "duration" and isinstance(value, Quantity) and (value.size == 2 or float(value) == 0):
            continue  # 0 ms, or one for each image
        with pytest.raises(ValueError, match=f"run: (the )?{name}") as error:
            network.run(IMAGES, **{**options, name: value})
        assert "*ms*ms" not in str(error.value) and "-9." not in str(error.value)
    with pytest.raises(ValueError, match=r"duration=5 needs a unit of time, such as 5\*ms"):
        network.run(IMAGES, duration=5)
    with pytest.raises(ValueError, match=r"duration='5\*ms' needs a unit of time, such as 50\*ms"):
        network.run(IMAGES, duration="5*ms")


@pytest.mark.parametrize("name", ["onset", "offset"])
def test_times_of_a_cue(name):
    for value in [NAN * ms, INF * ms, -5 * ms, 5, "5*ms", 5 * mV, RAGGED]:
        with pytest.raises(ValueError, match=f"Attention.{name}: must"):
            cue(**{name: value})


def test_thresholds():
    for value in [NAN, INF, "a", RAGGED, 5 * mV, 1j, None]:
        with pytest.raises(ValueError, match=LAYER) as error:
            bs.convert(one_layer_graph(), neuron=bs.IF(), thresholds={LAYER: value})
        assert "threshold" in str(error.value) or "v_th" in str(error.value)


def test_parameters_with_units(network):
    for value in ["a", None, RAGGED, 5, 5 * mV, NAN * ms]:
        with pytest.raises(ValueError, match=f"{LAYER}.tau_phi: "):
            network.set_parameters(LAYER, tau_phi=value)


def test_lists_of_different_lengths(network):
    for name in ("images", "background", "seed"):
        with pytest.raises(ValueError, match=f"run: {name}: .* is not an array of numbers"):
            network.run(**{"images": IMAGES, "duration": 5 * ms, "onset": 1 * ms, name: RAGGED})
    with pytest.raises(ValueError, match="run: images: .* is not an array of numbers"):
        network.run([IMAGES[0], IMAGES[0][:2]], duration=5 * ms)


def test_processes(network):
    for value in [0, -1, 1.5, "2", NAN, INF, 1 * ms, None, RAGGED]:
        with pytest.raises(ValueError, match="run: processes=.* must be a whole number, 1 or greater"):
            network.run(IMAGES, duration=5 * ms, processes=value)


@pytest.mark.parametrize("neuron", [5, None, "ASN", bs.ASN], ids=["5", "None", "ASN", "the function"])
def test_only_neuron_models_are_switchable(neuron):
    with pytest.raises(ValueError, match=r"switchable: neuron must be a NeuronModel, such as ASN\(\), got"):
        bs.switchable(neuron)


def unit(a, seed):
    return a


PATHS = {
    "run: stream_to": lambda network, path: network.run(IMAGES, duration=5 * ms, stream_to=path),
    "Result.save: path": lambda network, path: bs.Result({"a": (1, 1, 1)}, 1e-3, 3).save(path),
    "Result.load: path": lambda network, path: bs.Result.load(path),
    "sweep: folder": lambda network, path: bs.sweep(unit, {"a": [1]}, folder=path),
    "read_settings: path": lambda network, path: read_settings(path),
    "read_annotations: path": lambda network, path: read_annotations(path),
    "read_selection: path": lambda network, path: read_selection(path),
    "load_coco_scenes: folder": lambda network, path: load_coco_scenes("street.json", path),
}


@pytest.mark.parametrize("what", PATHS)
def test_paths(what, network):
    for path in NO_PATHS if what != "read_settings: path" else NO_PATHS[:-1]:  # a text may be a name
        with pytest.raises(ValueError, match=f"{what}=.* is not a path. Give a text") as error:
            PATHS[what](network, path)
        assert repr(path) in str(error.value)


@pytest.mark.parametrize("what", PATHS)
def test_paths_that_are_empty_or_too_long(what, network):
    if what != "read_settings: path":  # a name, see below
        with pytest.raises(ValueError, match=f"{what}='' is empty. Give a path"):
            PATHS[what](network, "")
    with pytest.raises(ValueError, match=rf"{what}='{'x' * 60}'\.\.\. is too long for this file system"):
        PATHS[what](network, "x" * 300 + ".npz")


@pytest.mark.parametrize("path", [".", "..", "/", "a/.."])
@pytest.mark.parametrize("what", ["Result.save: path", "read_settings: path"])
def test_paths_that_name_no_file(what, path, network):
    with pytest.raises(ValueError, match=re.escape(f"{what}={path!r} is a folder. Give the name of a file")):
        PATHS[what](network, path)


@pytest.mark.parametrize("path", [".", "..", "/"])
def test_folders_are_no_results(path):
    with pytest.raises(ValueError, match=re.escape(f"Result.load: {path!r} is not a result, but a folder")):
        bs.Result.load(path)


@pytest.mark.parametrize("read", [bs.load_model, read_settings])
def test_an_empty_name_of_a_network(read):
    with pytest.raises(bs.UnknownNameError, match="no shipped network named ''.*give its suffix"):
        read("")


@pytest.mark.parametrize("letter", ["x", "é", "字"])
def test_the_longest_names_of_files(letter, tmp_path):
    name = letter * (251 // len(letter.encode()))
    path = bs.Result({"a": (1, 1, 1)}, 1e-3, 3).save(tmp_path / name)
    assert path.name == f"{name}.npz" and bs.Result.load(tmp_path / name).n_steps == 3
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    with pytest.raises(ValueError, match=r"Result\.save: path=.* is too long"):
        bs.Result({"a": (1, 1, 1)}, 1e-3, 3).save(tmp_path / (name + "xyz"))


def test_a_path_in_the_home_folder_is_found(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    assert str(checked_path("~/results", "save")) == "/somewhere/results"


@pytest.mark.parametrize("epsilon", [NAN, INF, -1.0])
def test_a_batch_normalization_that_divides_by_nothing(epsilon):
    inputs = keras.Input((4, 4, 2), name="x")
    x = keras.layers.BatchNormalization(epsilon=epsilon, name="norm")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(keras.layers.ReLU()(x))))
    with pytest.raises(
        bs.ConversionError, match=rf"'norm'.*is 1, plus epsilon={epsilon!r}.*Set layer.epsilon, 0.001 by default"
    ):
        read_keras(model)


def test_what_is_a_number():
    assert all(is_number(value) for value in (0, 1.5, np.float32(2), np.array(3)))
    assert not any(is_number(value) for value in [*NO_NUMBERS, True])
    assert is_number(2**70) and not is_number(2**2000)
    assert is_number(1, above=0, high=1) and not is_number(0, above=0) and not is_number(0, low=1)
