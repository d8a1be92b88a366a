"""Arguments of run that would lose a mask, a unit or a value are refused before anything is compiled."""

import numpy as np
import pytest
from brian2 import ms, mV, second

import brainsnn as bs


@pytest.fixture(scope="module")
def graph():
    return bs.read_keras(bs.load_model("digits"))


@pytest.fixture(scope="module")
def snn(graph):
    return bs.convert(graph, encoder="poisson")


@pytest.fixture(scope="module")
def images(graph):
    return np.random.default_rng(0).random((3, *graph.input.shape))


def trains(images):
    return np.zeros((3, 5, *images.shape[1:]), dtype=np.int8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: {"images": np.ma.masked_less(x, 0.5)}, "images: a masked array .* array.filled"),
        (lambda x: {"images": [x[0], np.ma.masked_less(x[1], 0.5)]}, "images: a masked array"),
        (lambda x: {"images": x * mV}, "images: got values with the unit .*mV.* dividing by the unit"),
        (lambda x: {"images": list(x * mV)}, "images: got values with the unit"),
        (lambda x: {"background": np.ma.masked_less(x[0], 0.5)}, "background: a masked array"),
        (lambda x: {"background": 0.1 * second}, "background: got values with the unit"),
        (lambda x: {"background": "grey"}, "background: 'grey' is not an array of numbers"),
        (lambda x: {"background": np.nan}, "background holds NaN"),
        (lambda x: {"spikes": np.ma.masked_equal(trains(x), 0)}, "spikes: a masked array"),
        (lambda x: {"spikes": trains(x) * mV}, "spikes: got values with the unit"),
        (lambda x: {"spikes": trains(x)[:2]}, "2 trains of spikes for 3 images"),
        (lambda x: {"spikes": trains(x)[:0], "images": None}, "no train of spikes"),
        (lambda x: {"seed": np.ma.masked_array([1, 2, 3], [True, False, False])}, "seed: a masked array"),
        (lambda x: {"seed": [1, 2, 3] * ms}, "seed: got values with the unit"),
        (lambda x: {"seed": [1.0, 2.0, np.nan]}, "seed=.* whole number"),
        (lambda x: {"seed": [1, 2]}, "for each of the 3 images"),
        (lambda x: {"seed": [[1, 2, 3]]}, "for each of the 3 images"),
        (lambda x: {"seed": True}, "seed=True; give one whole number"),
        (lambda x: {"onset": np.nan * ms}, "onset=.* must be finite and not negative"),
        (lambda x: {"onset": [1, 2, np.nan] * ms}, "onset=.* must be finite and not negative"),
        (lambda x: {"onset": -1 * ms}, "onset=.* must be finite and not negative"),
        (lambda x: {"onset": [1] * ms}, "1 values of onset for 3 images"),
        (lambda x: {"onset": [[1, 2, 3]] * ms}, r"an array of shape \(1, 3\) of onset"),
        (lambda x: {"onset": [[1], [2], [3]] * ms}, r"an array of shape \(3, 1\) of onset"),
        (lambda x: {"offset": np.nan * ms}, "offset=.* must be finite"),
        (lambda x: {"offset": np.inf * ms}, "offset=.* must be finite"),
        (lambda x: {"offset": [5, 6] * ms}, "2 values of offset for 3 images; give one time, or one for each"),
        (lambda x: {"offset": 5}, "offset=5 needs a unit of time"),
        (lambda x: {"duration": np.nan * ms}, "duration=.* must be finite"),
        (lambda x: {"duration": [10, 10, 10] * ms}, "duration=.* holds 3 values; give one"),
    ],
)
def test_refused(snn, images, change, message):
    with pytest.raises(ValueError, match=message):
        snn.run(**{"images": images, "duration": 10 * ms, **change(images)})


def test_a_trial_lasts_300_ms_unless_spikes_or_a_duration_say_otherwise(snn, images):
    image = images[:1]
    result = snn.run(image)
    assert (result.n_steps, result.dt) == (300, 1e-3)
    np.testing.assert_array_equal(result.output, snn.run(image, duration=300 * ms).output)
    assert snn.run(spikes=trains(images)).n_steps == 5
    with pytest.raises(ValueError, match="onset=300 ms, which is not before the end of the trial at 300 ms"):
        snn.run(image, onset=300 * ms)


def test_a_time_step_that_does_not_fit_into_the_default_is_refused(graph, images):
    with pytest.raises(ValueError, match=r"duration=300\. ms is not a multiple of the time step 0\.7 ms"):
        bs.convert(graph, dt=0.7 * ms).run(images)


@pytest.mark.parametrize(
    ("progress", "is_terminal", "seconds", "shown"),
    [
        (None, True, 0, True),
        (None, True, 60, False),
        (None, False, 0, False),
        (False, True, 0, False),
        (True, False, 60, True),
    ],
)
def test_a_long_run_in_a_terminal_shows_its_progress(
    snn, images, monkeypatch, capsys, progress, is_terminal, seconds, shown
):
    monkeypatch.setattr("brainsnn.builders.spiking_network.LONG_RUN", seconds)
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    snn.run(images, 5 * ms, progress=progress)
    assert ("image" in capsys.readouterr().err) == shown
