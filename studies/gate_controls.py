"""Is a gate better because it predicts? Accuracy against spikes for the gates of the feedback network, and for controls."""

import subprocess
import sys
import warnings
from typing import NamedTuple

import numpy as np
from claims import Claims, check_draws
from common import ROOT, Study
from feedback_networks import EPSILON, load_network, spiking_network
from gate_figures import plot_contrast, plot_curves
from gate_statistics import N_TESTS, contrast_rows, control_claims, curve_rows

import brainsnn as bs
from brainsnn.stimuli import load_digits

QUICK = {"n_images": 60, "n_networks": 1, "dimming": [0.15, 1.0], "n_resamples": 500, "chunk": 60, "processes": 2}
FULL = {
    "n_images": 1000, "n_networks": 5, "dimming": [0.05, 0.1, 0.15, 0.25, 0.5, 1.0], "n_resamples": 2000, "chunk": 50,
    "processes": 2,
}  # fmt: skip
GATES = ("sticky", "dynamic", "graded", "contrast")
#: What closes pixels in place of a prediction.
CONTROLS = ("shuffled", "send-on-delta", "random", "oracle")
#: Width of the smaller plain network: its spikes are about those of the network with the sticky gate.
NARROW = 0.15
VARIANTS = {"feedback": ["feedback"], "plain": ["plain"], "narrow": ["plain", "--width", str(NARROW)]}
#: Pixels are like each other if their values lie in the same of so many bins.
N_VALUE_BINS = 10


class Condition(NamedTuple):
    """A network and what closes its input pixels."""

    variant: str
    gate: str

    def __str__(self):
        return f"{self.variant}, {self.gate}"


CONDITIONS = [
    Condition("plain", "open"), Condition("narrow", "open"), Condition("feedback", "open"),
    *(Condition("feedback", gate) for gate in GATES),
    *(Condition(variant, control) for control in CONTROLS for variant in ("feedback", "plain")),
]  # fmt: skip


# Networks ------------------------------------------------------------------------------------------
def trained_networks(study):
    """Return path of the weights by variant and training seed; train those that do not exist yet. The first ones ship."""
    folder, paths = study.folder / "networks", {}
    for seed in range(study.parameters.n_networks):
        for variant, arguments in VARIANTS.items():
            shipped = ROOT / "weights" / f"digits_{variant}_if.keras"
            path = shipped if seed == 0 and shipped.exists() else folder / f"{variant}_{seed}.keras"
            if not path.exists():
                folder.mkdir(parents=True, exist_ok=True)
                print(f"training {path.name} ...", flush=True)
                command = [sys.executable, "-m", "brainsnn.training.train_predictive", "--variant", *arguments]
                command += ["--seed", str(seed), "--out", str(path), "--checkpoints", str(folder / f"{variant}_{seed}")]
                subprocess.run(command, check=True)  # it prints a line for each epoch, and goes on where it was stopped
            paths[variant, seed] = path
    return paths


def gated_network(network, device, gate):
    """Return a spiking network with a gate by its name in `Condition`, or None; it records the spikes of all layers."""
    graph = network["graph"]
    record = {name: ["spikes"] for name, p in graph.populations.items() if p.kind == "spiking" or p is graph.input}
    mode = {"contrast": "sticky", "open": "none"}.get(gate, gate)
    return spiking_network(network, device, mode, gate == "contrast", record)


# Input spikes of the controls ------------------------------------------------------------------------
def drawn_spikes(images, n_steps, seeds):
    """Return the Poisson spikes that all conditions of an image share, (n, n_steps, H, W, C)."""
    trains = np.zeros((len(images), n_steps, *images.shape[1:]), dtype=np.int8)
    for k, seed in enumerate(seeds):
        trains[k] = np.random.default_rng([int(seed), 0]).random(trains.shape[1:]) < images[k]
    return trains


def shuffled_times(first_closed, values, random):
    """
    Return block times that are permuted among pixels of like value.

    Parameters
    ----------
    first_closed : (H, W, C) ndarray
        First step in which a pixel is closed; infinite if it never is.
    values : (H, W, C) ndarray
        Of the pixels, 0 ... 1.
    random : `~numpy.random.Generator`

    Returns
    -------
    times : (H, W, C) ndarray
    """
    bins, times = np.ceil(values * N_VALUE_BINS), first_closed.copy()
    for value in np.unique(bins):
        alike = bins == value
        times[alike] = random.permutation(first_closed[alike])
    return times


def send_on_delta(trains, images, delta=EPSILON):
    """
    Return the spikes of senders that are silent while what they have sent is right.

    A pixel passes its next spike unless the number of spikes that it has sent, divided by the number of steps, is within delta
    of its value. It needs no network.

    Parameters
    ----------
    trains : (n, n_steps, H, W, C) ndarray
    images : (n, H, W, C) ndarray
    delta : float, optional

    Returns
    -------
    trains : (n, n_steps, H, W, C) ndarray
    """
    sent, passed = np.zeros(images.shape), np.zeros_like(trains)
    for t in range(trains.shape[1]):
        is_open = np.abs(images - sent / t) > delta if t else np.ones(images.shape, dtype=bool)
        passed[:, t] = trains[:, t] * is_open
        sent += passed[:, t]
    return passed


def random_duty(trains, n_wanted, random):
    """Return the trains of an image with spikes left out at random, so that on average ``n_wanted`` remain."""
    return trains * (random.random(trains.shape) < n_wanted / max(1, np.abs(trains).sum()))


def oracle_end(correct):
    """Return the step from which each image's decision stays right; the number of steps if it does not, (n,)."""
    wrong_later = np.maximum.accumulate(~correct[:, ::-1], axis=1)[:, ::-1]
    return np.where(wrong_later.all(axis=1), correct.shape[1], wrong_later.sum(axis=1))


# Measures ----------------------------------------------------------------------------------------------
def measures_of(result, labels):
    """Return for each image and step: whether the decision is right, and the spikes so far of input and all other layers."""
    spikes = {
        "input": np.zeros((result.n_images, result.n_steps)),
        "hidden": np.zeros((result.n_images, result.n_steps)),
    }
    for layer, trains in result.spikes.items():
        for k, (_, steps) in enumerate(trains):
            spikes["input" if layer == "input" else "hidden"][k] += np.bincount(steps, minlength=result.n_steps)
    decisions = result.output.argmax(axis=-1)
    return {"correct": decisions == labels[:, None], **{name: np.cumsum(s, axis=1) for name, s in spikes.items()}}


def run(snn, *arguments, **options):
    """Run without the warning that the classifier's neurons spike in every step: they were trained to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.SaturationWarning)
        return snn.run(*arguments, **options)


def replay(checkpoint, device, trains, images, labels, gate):
    """Run spike trains through a network; a gate compares its predictions with the images."""
    snn = gated_network(checkpoint, device, gate)
    given = {} if gate is None else {"images": images}
    return run(snn, spikes=trains, seed=0, **given)


def measure(images, labels, condition, network, checkpoints, device, seed):
    """Run a batch in one condition of one trained network; see `measures_of`."""
    images = images.astype(float)
    checkpoint = checkpoints[condition.variant, network]
    with_feedback = condition.variant == "feedback"
    steps = checkpoint["steps"]
    if condition.gate == "contrast":  # which scales the drawing of spikes itself
        return measures_of(run(gated_network(checkpoint, device, "contrast"), images, steps * bs.ms, seed), labels)
    trains = drawn_spikes(images, steps, seed)
    if condition.gate in CONTROLS:
        trains = controlled(condition, trains, images, labels, network, checkpoints, device, seed)
    gate = (condition.gate if condition.gate in GATES else "open") if with_feedback else None
    return measures_of(replay(checkpoint, device, trains, images, labels, gate), labels)


def controlled(condition, trains, images, labels, network, checkpoints, device, seed):
    """
    Return the spikes that a control lets through.

    Those of "shuffled" and "random" are as many as those of the sticky gate on the same images, on average. Those of
    "send-on-delta" and "oracle" follow from their own rules.
    """
    if condition.gate == "send-on-delta":
        return send_on_delta(trains, images)
    if condition.gate == "oracle":
        own = checkpoints[condition.variant, network]
        result = replay(own, device, trains, images, labels, "open" if condition.variant == "feedback" else None)
        ends = oracle_end(result.output.argmax(axis=-1) == labels[:, None])
        return trains * (np.arange(trains.shape[1]) < ends[:, None])[..., None, None, None]
    result = replay(checkpoints["feedback", network], device, trains, images, labels, "sticky")
    closed, passed = ~result.gate, result.spike_counts["input"]
    changed = np.zeros_like(trains)
    for k in range(len(images)):
        random = np.random.default_rng([int(seed[k]), 1])
        if condition.gate == "random":
            changed[k] = random_duty(trains[k], passed[k], random)
        else:
            first = np.where(closed[k].any(axis=0), closed[k].argmax(axis=0), np.inf)
            times = shuffled_times(first, images[k], random)
            changed[k] = trains[k] * (np.arange(trains.shape[1])[:, None, None, None] < times)
    return changed


def measure_dimmed(images, labels, dimming, gate, network, checkpoints, device, seed):
    """Return whether each digit with a dimmed upper half is recognised at the end."""
    images = images.astype(float)
    images[:, : images.shape[1] // 2] *= dimming
    checkpoint = checkpoints["feedback", network]
    result = run(gated_network(checkpoint, device, gate), images, checkpoint["steps"] * bs.ms, seed)
    return {"correct": result.output[:, -1].argmax(axis=-1) == labels}


def main(argv=None):
    """Compare gates and controls, then sticky and contrast with dimmed digits."""
    with Study("gate_controls", __doc__, QUICK, FULL, argv, sweeps=True) as study:
        p = study.parameters
        check_draws(study, "n_resamples", N_TESTS)
        images, labels = study.first("n_images", *load_digits("test"))
        checkpoints = {key: load_network(path) for key, path in trained_networks(study).items()}
        networks = list(range(p.n_networks))
        batch, constants = {"images": images, "labels": labels}, {"checkpoints": checkpoints, "device": study.device}
        options = {"chunk": p.chunk, "workers": study.workers, "constants": constants}
        dims = {name: ("step",) for name in ("correct", "input", "hidden")}
        grid = {"condition": CONDITIONS, "network": networks}
        with study.sweep(measure, grid, batch, name="controls", dims=dims, **options) as data:
            found = {str(c): {n: data[n].isel(condition=k).values for n in dims} for k, c in enumerate(CONDITIONS)}
        grid = {"dimming": p.dimming, "gate": ["open", "sticky", "contrast"], "network": networks}
        with study.sweep(measure_dimmed, grid, batch, name="contrast", **options) as data:
            dimmed = data["correct"].transpose("dimming", "gate", "network", "image").values
        curves = study.table(curve_rows(found, p.n_resamples, study.seed), "curves")
        rows = study.table(contrast_rows(dimmed, p.dimming, p.n_resamples, study.seed), "contrast")
        networks = "1 trained network" if p.n_networks == 1 else f"{p.n_networks} trained networks"
        n = f"{p.n_images} digits, {networks}"
        study.figure(plot_curves(curves), "accuracy_against_spikes", f"{n}; dots: last step with 95 % interval")
        study.figure(plot_contrast(rows), "contrast", f"{n}; bars: 95 %")
        claims = Claims(study)
        control_claims(claims, found, rows, p.n_resamples, study.seed)
        claims.report()


if __name__ == "__main__":
    main()
