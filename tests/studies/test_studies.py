"""The helper of the studies, and a short run of every study."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from locations import STUDIES

sys.path.insert(0, str(STUDIES))

from common import Study

RECORD_KEYS = {
    "study", "command", "mode", "parameters", "device", "seed", "headline", "files", "duration_s", "finished", "versions",
}  # fmt: skip


def make_study(folder, *arguments, **options):
    quick, full = {"n": 3, "x": [0.5, 1.0]}, {"n": 9, "x": [2.0]}
    return Study("example", "A question?", quick, full, ["--out", str(folder), *arguments], **options)


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


# The helper


def test_parameters_come_from_the_mode_and_the_command_line(tmp_path):
    study = make_study(tmp_path)
    assert (study.mode, study.parameters.n, study.parameters.x, study.device) == (
        "quick",
        3,
        [0.5, 1.0],
        "cpp_standalone",
    )
    study = make_study(tmp_path, "--full", "--n", "4", "--seed", "7", "--device", "runtime")
    assert (study.mode, study.parameters.n, study.parameters.x, study.seed) == ("full", 4, [2.0], 7)
    assert study.device == "runtime"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--quick", "--full"], "not allowed with argument"),
        (["--device", "gpu"], "choose from"),
        (["--n", "0"], "must be greater than 0"),
        (["--n", "2.5"], "is not a whole number"),
        (["--x", "many"], "is not a number"),
        (["--x", "inf"], "must be greater than 0"),
        (["--seed", "-1"], "whole number, 0 or greater"),
        (["--nn", "1"], "unrecognized arguments"),
        (["--dev", "runtime"], "unrecognized arguments"),
    ],
)
def test_bad_arguments_are_named(tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) as error:
        make_study(tmp_path, *arguments)
    assert error.value.code == 2
    assert message in capsys.readouterr().err


def test_an_out_that_is_a_file_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit):
        make_study(tmp_path / "file")
    assert "argument --out" in capsys.readouterr().err


def test_a_refusal_loses_nothing_of_a_finished_study(tmp_path, capsys):
    with make_study(tmp_path) as study:
        study.table([{"a": 1}])
    record = (tmp_path / "record.json").read_text()
    with pytest.raises(SystemExit), make_study(tmp_path, "--n", "4") as study:
        study.first("n", np.arange(3))
    assert "argument --n: 4, but there are 3 test images" in capsys.readouterr().err
    with pytest.raises(SystemExit), make_study(tmp_path, "--n", "4") as study:
        study.refuse_ignored({"x": (True, "leave it out"), "n": (True, "leave it out")})
    assert "argument --n: 4 would be ignored; leave it out" in capsys.readouterr().err
    assert (tmp_path / "record.json").read_text() == record
    with make_study(tmp_path, "--n", "2") as study:
        assert study.first("n", np.arange(3))[0].tolist() == [0, 1]
        study.table([{"a": 2}])
        assert not (tmp_path / "record.json").exists()  # an unfinished study has none


def compute(n, log):
    """A part of a study that is interrupted while ``<log>.broken`` exists."""
    if n == 3 and log_path(log, ".broken").exists():
        raise KeyboardInterrupt
    with open(log, "a") as file:
        file.write(f"{n} ")
    return {"value": n, "curve": np.arange(n)}


def log_path(log, ending):
    return Path(log + ending)


def test_an_interrupted_study_goes_on_where_it_stopped(tmp_path, capsys):
    log, out = str(tmp_path / "log"), tmp_path / "out"

    def run(broken, *arguments):
        (Path.touch if broken else Path.unlink)(log_path(log, ".broken"))
        with make_study(out, *arguments) as study:
            return [study.unit(compute, n, log) for n in (1, 2, 3)]

    def computed():
        return [int(n) for n in Path(log).read_text().split()]

    with pytest.raises(KeyboardInterrupt):
        run(True)
    assert computed() == [1, 2]
    assert "goes on where it stopped" in capsys.readouterr().err
    assert not (out / "record.json").exists()
    assert len(list((out / "units").iterdir())) == 2
    # Another seed is another study; it reuses no parts.
    with pytest.raises(KeyboardInterrupt):
        run(True, "--seed", "1")
    assert computed() == [1, 2, 1, 2]

    units = run(False)
    assert computed() == [1, 2, 1, 2, 3]
    assert [int(unit["value"]) for unit in units] == [1, 2, 3]
    np.testing.assert_array_equal(units[2]["curve"], [0, 1, 2])
    # A finished study keeps no parts: the next run computes them again.
    assert (out / "record.json").exists() and not (out / "units").exists()
    Path(log + ".broken").touch()
    run(False)
    assert computed()[5:] == [1, 2, 3]


def compute_images(images, n, log, seed):
    """`compute` for each image; also returns the seeds that the images got."""
    compute(n, log)
    return {"value": n * images, "seeds": seed}


def test_an_interrupted_study_of_sweeps_goes_on_where_it_stopped(tmp_path):
    log, out = str(tmp_path / "log"), tmp_path / "out"
    names = ("first", "second")

    def run(broken, *arguments):
        (Path.touch if broken else Path.unlink)(log_path(log, ".broken"))
        with make_study(out, *arguments, sweeps=True) as study:
            found = []
            for name, values in zip(names, ([1, 2], [2, 3])):
                with study.sweep(
                    compute_images, {"n": values}, np.arange(4), name=name, constants={"log": log}, workers=1
                ) as data:
                    found.append(data.load())
            return found

    with pytest.raises(KeyboardInterrupt):
        run(True)
    assert Path(log).read_text().split() == ["1", "2", "2"]
    assert (out / "first" / "dataset.nc").exists() and not (out / "second" / "dataset.nc").exists()
    assert not (out / "record.json").exists()

    first, second = run(False)
    assert Path(log).read_text().split() == ["1", "2", "2", "3"]
    np.testing.assert_array_equal(first["value"], [[0, 1, 2, 3], [0, 2, 4, 6]])
    np.testing.assert_array_equal(second["value"].sel(n=3), [0, 3, 6, 9])
    # A finished study keeps its data sets and no units.
    files = [f"{name}/dataset.nc" for name in names]
    assert json.loads((out / "record.json").read_text())["files"] == files
    assert all((out / file).exists() for file in files) and not list(out.rglob("units"))
    # The next run is a separate study with its own seed: it must not reuse existing results.
    (out / "unrelated").mkdir()
    (out / "unrelated" / "dataset.nc").touch()
    with pytest.raises(KeyboardInterrupt):
        run(True, "--seed", "1")
    assert not (out / "record.json").exists() and not (out / "second" / "dataset.nc").exists()
    assert (out / "unrelated" / "dataset.nc").exists()
    again, _ = run(False, "--seed", "1")
    assert (again["seeds"] != first["seeds"]).all()


def test_record_and_table(tmp_path, capsys):
    with make_study(tmp_path, "--seed", "5") as study:
        study.table([{"a": 1, "b": 0.5}, {"a": 2, "b": 0.25}])
        study.report("accuracy", 0.5, "half of them")
        study.report("rate_hz", np.float32(2.5))
        study.report("best", "none", "of these, none is best")
    record = json.loads((tmp_path / "record.json").read_text())
    assert set(record) == RECORD_KEYS
    assert record["seed"] == 5 and record["parameters"] == {"n": 3, "x": [0.5, 1.0]}
    assert record["headline"] == {"accuracy": 0.5, "rate_hz": 2.5, "best": "none"}
    assert {"python", "numpy", "brian2", "brainsnn"} <= set(record["versions"])
    assert read_csv(tmp_path / "table.csv") == [{"a": "1", "b": "0.5"}, {"a": "2", "b": "0.25"}]
    out = capsys.readouterr().out
    assert "half of them" in out and "rate_hz: 2.5" in out and "of these, none is best" in out and str(tmp_path) in out


# The studies


def check_outputs(folder, figures, tables):
    record = json.loads((folder / "record.json").read_text())
    assert set(record) == RECORD_KEYS
    for name in figures:
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert b"<svg" in (folder / f"{name}.svg").read_bytes()[:2000]
    for name, columns in tables.items():
        rows = read_csv(folder / f"{name}.csv")
        assert rows and columns <= set(rows[0])
    assert not (folder / "units").exists()
    return record


def test_adaptive_coding(tmp_path):
    import adaptive_coding

    arguments = ["--quick", "--out", str(tmp_path), "--m-f", "0.1", "--n-inputs", "9", "--duration-ms", "800"]
    adaptive_coding.main(arguments)
    record = check_outputs(
        tmp_path,
        ["coding", "transfer"],
        {
            "coding": {"time_ms", "signal", "S", "S_hat", "theta", "spike"},
            "transfer": {"m_f", "input", "measured", "formula", "rate_hz"},
        },
    )
    # The formula is an approximation; at this precision its error is below a few per cent of a unit.
    assert record["headline"]["error_m_f=0.1"] < 0.02


def test_adaptive_coding_refuses_a_duration_within_the_transient(tmp_path, capsys):
    import adaptive_coding

    with pytest.raises(SystemExit):
        adaptive_coding.main(["--out", str(tmp_path), "--duration-ms", "100"])
    assert "at least 400" in capsys.readouterr().err


@pytest.mark.slow
def test_precision(tmp_path):
    import precision

    arguments = ["--out", str(tmp_path), "--n-images", "10", "--duration-ms", "200", "--m-f", "0.3", "0.1"]
    precision.main(["--quick", *arguments])
    record = check_outputs(
        tmp_path,
        ["accuracy_over_time", "trade_off"],
        {
            "table": {"m_f", "n_images", "accuracy", "low", "high", "same_as_ann", "rate_hz", "spikes_per_image"},
            "accuracy_over_time": {"m_f", "time_ms", "accuracy"},
        },
    )
    table = {float(row["m_f"]): row for row in read_csv(tmp_path / "table.csv")}
    assert list(table) == [0.1, 0.3]
    assert float(table[0.1]["accuracy"]) >= 0.9
    assert float(table[0.1]["rate_hz"]) > float(table[0.3]["rate_hz"]) > 1
    assert record["headline"]["ann_accuracy"] >= 0.9


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--n-scenes", "1"], "a scene each"),
        (["--duration-ms", "250"], "count from 250 ms on"),
        (["--scenes", "s.json", "--photographs", "COCO"], "photographs need --photographs and --model as well"),
        (["--photographs", "COCO"], "--photographs: COCO would be ignored; give --scenes as well"),
        (["--interpolation", "bilinear"], "--interpolation: bilinear would be ignored; give --scenes as well"),
        (["--weights", "w.h5"], "--weights: w.h5 would be ignored; give --model as well"),
        (["--scenes", "s.json", "--photographs", "COCO", "--model", "m.keras"], "m.keras"),
    ],
)
def test_spatial_attention_refuses_what_measures_nothing(tmp_path, capsys, arguments, message):
    import spatial_attention

    (tmp_path / "record.json").write_text("{}")
    with pytest.raises(SystemExit):
        spatial_attention.main(["--out", str(tmp_path), *arguments])
    assert message in capsys.readouterr().err
    assert (tmp_path / "record.json").exists()


SPATIAL = ["--n-scenes", "8", "--n-analysed", "4", "--strengths", "0.5", "--duration-ms", "400", "--n-resamples", "20"]


@pytest.mark.slow
def test_spatial_attention_killed_and_restarted(tmp_path):
    import spatial_attention
    import xarray as xr

    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    command = [sys.executable, str(STUDIES / "spatial_attention.py"), *SPATIAL, "--out", str(killed)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not list(killed.glob("strengths/units/*.npz")):
            assert process.poll() is None, "the study ended without a unit"
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (killed / "record.json").exists()
    for folder, processes in ((killed, "2"), (undisturbed, "1")):
        spatial_attention.main([*SPATIAL, "--processes", processes, "--out", str(folder)])

    tables = {
        "strengths": {"mechanism", "strength", "auc", "rate_hz"},
        "behaviour": {"comparison", "measure", "value", "low", "high"},
        "activity": {"condition", "layer", "inside_hz", "outside_hz", "latency_ms", "n_latencies", "rdm_fit"},
    }
    figures = [
        "mechanisms",
        "strength_search",
        "behaviour",
        "rates",
        "evoked_potentials",
        "latencies",
        "representations",
    ]
    check_outputs(killed, figures, tables)
    for name in tables:
        assert (killed / f"{name}.csv").read_bytes() == (undisturbed / f"{name}.csv").read_bytes()
    for name, n_conditions in (("strengths", 4), ("conditions", 7)):
        data, expected = (xr.load_dataset(folder / name / "dataset.nc") for folder in (killed, undisturbed))
        xr.testing.assert_identical(data, expected)
        assert dict(data.sizes) == {"condition": n_conditions, "image": 4, "class": 10}
        assert not (killed / name / "units").exists()
    # A cue of strength 0.5 changes the rates of every scene.
    assert (data["rates"].sel(condition="output_gain valid 0.5") != data["rates"].sel(condition="neutral")).all()


@pytest.mark.slow
def test_predictive_feedback(tmp_path):
    import predictive_feedback
    import xarray as xr

    arguments = ["--n-images", "4", "--epsilons", "0.1"]
    for folder, more in (("whole", ["--processes", "1"]), ("cut", ["--chunk", "3", "--processes", "2"])):
        predictive_feedback.main([*arguments, *more, "--out", str(tmp_path / folder)])
    record = check_outputs(
        tmp_path / "whole",
        ["accuracy_and_spikes", "spikes_by_part", "latency", "prediction_over_time"],
        {
            "table": {"network", "mode", "epsilon", "contrast", "input", "total", "accuracy", "error"},
            "objectives": {"objective", "accuracy_percent", "input_spikes_saved_percent"},
            "latency": {"network", "epsilon", "value_from", "first_blocked_step", "never_blocked"},
        },
    )
    assert record["headline"]["input spikes saved by the sticky gate (%)"] > 20
    data = [xr.load_dataset(tmp_path / folder / "dataset.nc") for folder in ("whole", "cut")]
    # Input spikes are random; they depend on the image's seed, not on how images are divided into chunks.
    np.testing.assert_array_equal(*(one["input"] for one in data))
    np.testing.assert_array_equal(*(one["blocked"] for one in data))
    blocked = data[0]["blocked"]
    assert np.isnan(blocked.sel(network="plain")).all() and np.isfinite(blocked.sel(network="sticky 0.1")).all()


@pytest.mark.slow
def test_demo(tmp_path, capsys):
    import demo

    demo.main(["--out", str(tmp_path), "--n-images", "10", "--duration-ms", "200"])
    record = check_outputs(
        tmp_path,
        ["accuracy_over_time", "spikes", "one_neuron"],
        {"table": {"layer", "neurons", "rate_hz", "spikes_per_image"}},
    )
    assert record["headline"]["snn_accuracy"] >= 0.9
    out = capsys.readouterr().out
    for text in ("ANN:", "SNN:", "mean firing rate:", "spikes per image:", str(tmp_path)):
        assert text in out


@pytest.mark.slow
def test_custom_neuron(tmp_path):
    import custom_neuron

    arguments = ["--n-images", "3", "--n-images-noise", "3", "--sigma", "0.01", "--duration-ms", "250"]
    custom_neuron.main(["--out", str(tmp_path), *arguments])
    record = check_outputs(
        tmp_path,
        ["adex", "noisy_asn"],
        {
            "table": {"neuron", "sigma", "n_images", "accuracy", "rate_hz"},
            "transfer": {"input", "rate_hz", "measured", "trained"},
        },
    )
    assert record["headline"]["adex_accuracy"] >= 2 / 3
    assert record["headline"]["noisy_accuracy_sigma=0.01"] >= 2 / 3
    claims = (tmp_path / "claims.md").read_text()
    assert "AdEx against the ANN (below 0.05)" in claims and "noise, sigma = 0.01, against none" in claims


@pytest.mark.slow
def test_tweaks(tmp_path):
    import tweaks

    tweaks.main(["--out", str(tmp_path), "--n-images", "20", "--duration-ms", "150"])
    columns = {"neuron", "unedited", "h", "n_images", "accuracy", "spikes_per_neuron"}
    check_outputs(tmp_path, ["tweaks"], {"table": columns})
    found = {row["neuron"]: row for row in read_csv(tmp_path / "table.csv")}
    spikes, accuracy, h = ({name: float(row[key]) for name, row in found.items()}
                           for key in ("spikes_per_neuron", "accuracy", "h"))  # fmt: skip
    assert set(found) == {"ASN", "LIF", *tweaks.TWEAKS}
    assert accuracy["ASN"] >= 0.9 and accuracy["LIF"] >= 0.8
    assert spikes["faster synapse"] > spikes["ASN"] and h["faster synapse"] == pytest.approx(2.5 * h["ASN"], rel=1e-4)
    assert all(spikes[name] < spikes["ASN"] for name in ("adaptation", "refractory", "depression"))
    assert spikes["hard reset"] < spikes["LIF"] and accuracy["hard reset"] < accuracy["LIF"]
    assert accuracy["depression"] < accuracy["noisy membrane"] <= accuracy["ASN"]
