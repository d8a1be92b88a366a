"""What does a network gain by predicting its input and blocking pixels it predicts correctly, and at what cost?"""

import argparse
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from claims import SUPPORTED, Claims, paired_p
from common import ROOT, Study, write_atomically
from feedback_figures import animated_gif, plot_frames
from feedback_networks import EPSILON, load_network, spiking_network
from figures import PAIRED_TEST, band, bars, image_draws, paired_interval, share_interval

import brainsnn as bs
from brainsnn.analysis import PALETTE, draw_interval, style
from brainsnn.feedback import read_settings
from brainsnn.stimuli import load_digits

QUICK = {"n_images": 60, "epsilons": [0.1, 0.2], "chunk": 60, "processes": 2}
FULL = {"n_images": 1000, "epsilons": [0.05, 0.1, 0.15, 0.2], "chunk": 100, "processes": 2}

MODES = ("sticky", "dynamic", "graded")
PARTS = ("input", "forward", "feedback", "classifier")
#: (name, gate mode, contrast): the open gate, and the objectives of the published code. Objective 2, to end a trial once every
#: pixel is predicted, stands on slides only. `feedback_published` has the objectives exactly as published.
OBJECTIVES = (
    ("none: gate open", "none", False), ("1: blocking", "sticky", False), ("3: contrast", "sticky", True),
)  # fmt: skip
#: Edges of the bins of pixel values in which latencies are averaged.
VALUE_BINS = np.array([0.1, 0.3, 0.5, 0.7, 0.9, 1.01])
N_BINS = len(VALUE_BINS) - 1
N_SHOWN = 5
#: Measures with bootstrap draws, which figures show as intervals.
DRAWN = ("input", "blocked", "latency", "never")
SHORTER_TRIALS = (20, 30)
#: Loss of accuracy that is called small.
SMALL_LOSS = 0.005


class Network(NamedTuple):
    """A network to compare: trained variant, gate, and steps of a trial (all if None)."""

    name: str
    variant: str
    mode: str | None = None
    epsilon: float = np.nan
    contrast: bool = False
    n_steps: int | None = None

    def __str__(self):
        return self.name if np.isnan(self.epsilon) else f"{self.name} {self.epsilon:g}"


def part_of(layer):
    """Return the part of the network that a layer belongs to."""
    kinds = {"input": "input", "conv": "forward", "pool": "forward", "dense": "classifier"}
    return next((part for start, part in kinds.items() if layer.startswith(start)), "feedback")


def measure(images, labels, network, checkpoints, device, seed):
    """
    Run images through one network and measure it.

    Returns
    -------
    measures : dict
        For each image: ``correct``, the spikes of each part, and ``published_count`` (spikes as the published code counts
        them: without the input and without layers that pool). With feedback also ``error`` (squared error of the last
        prediction), ``blocked`` (share of the image's intensity that is blocked at each step), ``latency`` (mean step of
        blocking, by pixel value) and ``never`` (share of these pixels that are never blocked). With contrast also
        ``largest`` (brightest open pixel at each step). NaN where a measure does not apply.
    """
    # All neurons hold the same largest open value; recording one is enough.
    record = {"input": {"largest": [0]}} if network.contrast else None
    snn = spiking_network(checkpoints[network.variant], device, network.mode, network.contrast, record)
    if np.isfinite(network.epsilon):
        snn.set_parameters("input", epsilon=network.epsilon)
    images, all_steps = images.astype(float), checkpoints["feedback"]["steps"]
    result = snn.run(images, duration=(network.n_steps or all_steps) * bs.ms, seed=seed)
    spikes = {part: np.zeros(len(images)) for part in PARTS}
    for layer, counts in result.spike_counts.items():
        spikes[part_of(layer)] += counts
    shapes = {"error": (), "blocked": (all_steps,), "latency": (N_BINS,), "never": (N_BINS,), "largest": (all_steps,)}
    found = {name: np.full((len(images), *shape), np.nan) for name, shape in shapes.items()}
    if network.mode is not None:
        found |= gate_measures(result, images)
    if network.contrast:
        found["largest"] = result.states["input"]["largest"][..., 0]
    counted = [counts for layer, counts in result.spike_counts.items() if not layer.startswith(("input", "pool"))]
    return {
        "correct": result.output[:, -1].argmax(-1) == labels, "published_count": np.sum(counted, axis=0).astype(float),
        **spikes, **found,
    }  # fmt: skip


def gate_measures(result, images):
    """Return per image: prediction error, blocked intensity over time, latency and misses by pixel value."""
    gate, values = result.gate, np.abs(images)
    error = np.sum((result.predicted_input[:, -1] - images) ** 2, (1, 2, 3))
    intensity = values.sum((1, 2, 3))[:, None]
    blocked = np.sum(~gate * values[:, None], (2, 3, 4)) / intensity
    closed = ~gate
    first = np.where(closed.any(1), closed.argmax(1), np.nan)
    latency, never = np.full((2, len(images), N_BINS), np.nan)
    for k, (low, high) in enumerate(zip(VALUE_BINS[:-1], VALUE_BINS[1:])):
        for n in range(len(images)):
            steps = first[n][(values[n] >= low) & (values[n] < high)]
            if len(steps):
                never[n, k] = np.isnan(steps).mean()
            if np.isfinite(steps).any():
                latency[n, k] = np.nanmean(steps)
    return {"error": error, "blocked": blocked, "latency": latency, "never": never}


def networks_of(epsilons):
    """Return all networks to compare."""
    epsilons = list(dict.fromkeys(epsilons))
    networks = [Network("plain", "plain"), Network("open", "feedback", "none")]
    networks += [Network(mode, "feedback", mode, epsilon) for mode in MODES for epsilon in (0.0, *epsilons)]
    networks += [Network("contrast, open", "feedback", "none", contrast=True)]
    networks += [Network("contrast", "feedback", "sticky", epsilon, True) for epsilon in epsilons]
    if EPSILON not in epsilons:
        networks += [Network(mode, "feedback", mode, EPSILON) for mode in MODES]
        networks += [Network("contrast", "feedback", "sticky", EPSILON, True)]
    # The control: no feedback, but shorter trials.
    return networks + [Network(f"plain, {n} steps", "plain", n_steps=n) for n in SHORTER_TRIALS]


def compare(study, checkpoints, images, labels):
    """Measure all networks; return rows with name, mode, epsilon, contrast and means over images."""
    p = study.parameters
    networks = networks_of(p.epsilons)
    coords = {name: ("network", [getattr(n, name) for n in networks]) for name in ("variant", "epsilon", "contrast")}
    coords["mode"] = "network", [n.mode or "" for n in networks]
    coords["steps"] = "network", [n.n_steps or checkpoints["feedback"]["steps"] for n in networks]
    dims = {"blocked": "step", "largest": "step", "latency": "value_from", "never": "value_from"}
    with study.sweep(
        measure, {"network": networks}, {"images": images, "labels": labels},
        constants={"checkpoints": checkpoints, "device": study.device}, dims=dims,
        coords=coords | {"label": ("image", labels), "value_from": VALUE_BINS[:-1]}, chunk=p.chunk, workers=study.workers,
    ) as data:  # fmt: skip
        data = data.load()
    # If no pixel was blocked, the latency is NaN, which the mean ignores.
    means = data.mean("image")
    return [row_of(network, means.isel(network=k), data.isel(network=k)) for k, network in enumerate(networks)]


def row_of(network, means, data):
    """Return the measures of one network as a row, with bootstrap draws of images, which are the same for all networks."""
    spikes = {part: float(means[part]) for part in PARTS}
    drawn = {name: image_draws(data[name].transpose("image", ...).values) for name in DRAWN}
    drawn["total"] = sum(image_draws(data[part].values) for part in PARTS)
    _, low, high = share_interval(data["correct"].values)
    others = {name: means[name].values[()] for name in means.data_vars if name not in (*PARTS, "correct")}
    return {
        "network": network.name, "mode": network.mode or "", "epsilon": network.epsilon, "contrast": network.contrast,
        **spikes, "total": sum(spikes.values()), "accuracy": float(means["correct"]), "accuracy_low": float(low),
        "accuracy_high": float(high), **others, "drawn": drawn, "decisions": data["correct"].values.astype(bool),
    }  # fmt: skip


def pick(rows, network, epsilon=None):
    """Return the row of a network, at an epsilon if given."""
    found = [r for r in rows if r["network"] == network and (epsilon is None or np.isclose(r["epsilon"], epsilon))]
    return found[0]


def plot_trade_offs(rows):
    """Plot accuracy, input spikes and total spikes against epsilon, one line per gate."""
    plain, opened = pick(rows, "plain"), pick(rows, "open")
    with style():
        figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.4), layout="constrained")
        for mode, colour, shift in zip((*MODES, "contrast"), PALETTE, (-0.003, -0.001, 0.001, 0.003)):
            own = sorted((r for r in rows if r["network"] == mode), key=lambda r: r["epsilon"])
            epsilon = np.array([r["epsilon"] for r in own]) + shift
            label = "sticky, contrast" if mode == "contrast" else mode
            line = dict(color=colour, marker="o", ms=4, capsize=2, linestyle=":" if mode == "contrast" else "-")
            correct = [[100 * r[k] for r in own] for k in ("accuracy", "accuracy_low", "accuracy_high")]
            axes[0].errorbar(epsilon, correct[0], bars(*correct), **line, label=label)
            for ax, part, other in zip(axes[1:], ("input", "total"), (opened, plain)):
                shares = [r[part] / other[part] for r in own]
                bounds = np.array([draw_interval(r["drawn"][part] / other["drawn"][part]) for r in own]).T
                ax.errorbar(epsilon, shares, bars(shares, *bounds), **line)
        lines = ((opened, "gate open", "0.3"), (plain, "no feedback", "0.65"))
        for ax, value in zip(axes, ("accuracy", "input", "total")):
            for row, label, colour in lines:
                unit = {"accuracy": 0.01, "input": opened["input"], "total": plain["total"]}[value]
                ax.axhline(row[value] / unit, color=colour, linestyle="--", linewidth=1, zorder=0, label=label)
            ax.set_xlabel("epsilon")
        for ax in axes[1:]:
            ax.set_ylim(0, None)
        axes[0].set(ylabel="accuracy (%)", title="Accuracy")
        axes[1].set(ylabel="input spikes relative to open gate", title="Input spikes")
        axes[2].set(ylabel="all spikes relative to no feedback", title="All spikes, including feedback")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def plot_parts(rows):
    """Plot spikes per image by part of the network, one bar per network."""
    chosen = [pick(rows, name) for name in ("plain", f"plain, {SHORTER_TRIALS[0]} steps", "open")]
    chosen += [pick(rows, mode, EPSILON) for mode in (*MODES, "contrast")]
    names = [
        "no\nfeedback",
        f"the same,\n{SHORTER_TRIALS[0]} steps",
        "gate open",
        "sticky",
        "dynamic",
        "graded",
        "sticky,\ncontrast",
    ]
    with style():
        figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
        base = np.zeros(len(chosen))
        for part, colour in zip(PARTS, PALETTE):
            height = np.array([float(row[part]) for row in chosen])
            ax.bar(names, height, bottom=base, color=colour, width=0.65, label=part)
            base += height
        for k, row in enumerate(chosen):
            low, high = draw_interval(row["drawn"]["total"])
            ax.errorbar(k, base[k], bars([base[k]], [low], [high]), color="black", capsize=3, lw=1)
            shares = " ".join(f"{100 * row[f'accuracy{end}']:.1f}" for end in ("", "_low", "_high")).split()
            ax.text(k, high, "{} %\n[{}, {}]".format(*shares), ha="center", va="bottom", fontsize=8)
        ax.set(ylabel="spikes per image", title=f"Spikes by part, epsilon = {EPSILON:g}; above: accuracy [95 %]")
        ax.margins(y=0.12)
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1), reverse=True)
    return figure


def plot_latency(rows):
    """Plot blocked intensity over time, and latency and misses of blocking by pixel value."""
    centres = 0.5 * (VALUE_BINS[:-1] + np.minimum(VALUE_BINS[1:], 1))
    with style():
        figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.2), layout="constrained")
        for mode, colour, shift in zip((*MODES, "contrast"), PALETTE, (-0.015, -0.005, 0.005, 0.015)):
            row = pick(rows, mode, EPSILON)
            label = "sticky, contrast" if mode == "contrast" else mode
            # Contrast changes little: dots, so that the line underneath stays visible.
            line = dict(color=colour, label=label, linestyle=":" if mode == "contrast" else "-")
            axes[0].plot(100 * row["blocked"], **line)
            low, high = draw_interval(row["drawn"]["blocked"])
            band(axes[0], np.arange(len(low)), 100 * low, 100 * high, colour)
            for ax, name, unit in zip(axes[1:], ("latency", "never"), (1, 100)):
                low, high = draw_interval(row["drawn"][name])
                error = unit * bars(row[name], low, high)
                ax.errorbar(centres + shift, unit * row[name], error, marker="o", ms=4, capsize=2, **line)
        axes[0].set(xlabel="step", ylabel="blocked intensity (%)", title="Blocked input over time", ylim=(0, 100))
        axes[1].set(xlabel="pixel value", ylabel="first blocked step", title="Latency of blocking", ylim=(0, None))
        axes[2].set(xlabel="pixel value", ylabel="pixels (%)", title="Never blocked", ylim=(0, 100))
        axes[0].legend(loc="upper left")
    return figure


def example_run(images, checkpoint, device, seed):
    """Return predictions, gate and input spikes with the sticky gate for a few images, (n, n_steps, H, W) each."""
    snn = spiking_network(checkpoint, device, "sticky", record={"input": ["spikes"]})
    result = snn.run(images.astype(float), duration=checkpoint["steps"] * bs.ms, seed=seed)
    return {
        "images": images[..., 0],
        "predictions": result.predicted_input[..., 0],
        "blocked": ~result.gate[..., 0],
        "spikes": result.raster("input")[..., 0],
    }


def objectives_table(rows):
    """Return the rows of the published objectives beside the open gate: accuracy, error, spikes, blocked share."""
    opened, plain, table = pick(rows, "open"), pick(rows, "plain"), []
    for name, mode, contrast in OBJECTIVES:
        row = opened if mode == "none" else pick(rows, "contrast" if contrast else mode, EPSILON)
        table.append({
            "objective": name,
            "accuracy_percent": 100 * row["accuracy"],
            "squared_error_per_image": row["error"],
            "input_spikes_saved_percent": 100 * (1 - row["input"] / opened["input"]),
            "total_spikes": row["total"],
            "published_count": row["published_count"],
            "total_against_no_feedback": row["total"] / plain["total"],
            "blocked_intensity_at_the_end_percent": 100 * row["blocked"][-1],
            "brightest_open_pixel_at_half_time": row["largest"][len(row["largest"]) // 2] if contrast else np.nan,
            "brightest_open_pixel_at_the_end": row["largest"][-1] if contrast else np.nan,
        })  # fmt: skip
    return table


def report_accurate_gates(study, claims, rows, saved):
    """Claim of each gate that its accuracy is that of the open one, and report which of the shown ones saves most."""
    opened, name = pick(rows, "open")["decisions"], "most input spikes saved within 0.5 points (%)"
    about = "most input spikes saved by a gate that loses less than 0.5 points against the open one"
    shown, gated = {}, [row for row in rows if row["mode"] in MODES and row["epsilon"] > 0]
    for row in gated:
        gate, lost = f"{row['network']} {row['epsilon']:g}", opened.astype(int) - row["decisions"]
        verdict = claims.below(f"accuracy lost against the open gate, {gate}", lost.mean(), paired_interval(lost), len(lost),
                               PAIRED_TEST, SMALL_LOSS, n_tests=len(gated))  # fmt: skip
        if verdict == SUPPORTED:
            shown[gate] = float(saved[gate])
    if shown:
        best = max(shown, key=shown.get)
        study.report(name, 100 * shown[best], f"{about}: {100 * shown[best]:.1f} %, {best}")
    else:
        study.report(name, "none", f"{about}: none is known with {len(opened)} images")


def report(study, rows):
    """Report the headline numbers and the claims."""
    plain, opened, sticky = pick(rows, "plain"), pick(rows, "open"), pick(rows, "sticky", EPSILON)
    claims = Claims(study)
    compared = (
        ("input spikes, sticky gate against the open gate", sticky, opened, "input", -1),
        ("all spikes, sticky gate against the open gate", sticky, opened, "total", -1),
        ("all spikes, sticky gate against no feedback", sticky, plain, "total", 1),
    )
    for about, one, other, part, sign in compared:
        ratios = one["drawn"][part] / other["drawn"][part] - 1
        change, n = float(one[part] / other[part] - 1), len(plain["decisions"])
        about = f"{'more' if sign > 0 else 'fewer'} {about} (share)"
        p, k = paired_p(ratios), len(compared)
        claims.add(about, change, ratios, n, "bootstrap of images", p, sign, published=False, n_tests=k)
    for variant in ("plain", "feedback"):
        measures = read_settings(ROOT / "weights" / f"digits_{variant}_if.keras")["measures"]
        study.report(f"accuracy of the ANN, {variant} (%)", 100 * measures["ann"]["first_stage_accuracy"])
    for title, row in (("no feedback", plain), ("gate open", opened), ("sticky", sticky)):
        study.report(f"accuracy of the SNN, {title} (%)", 100 * float(row["accuracy"]))
        study.report(f"spikes per image, {title}", float(row["total"]))
    saved = {r["network"] + f" {r['epsilon']:g}": 1 - r["input"] / opened["input"] for r in rows if r["mode"] in MODES}
    study.report("input spikes saved by the sticky gate (%)", 100 * float(saved[f"sticky {EPSILON:g}"]))
    report_accurate_gates(study, claims, rows, saved)
    for n in SHORTER_TRIALS:
        row = pick(rows, f"plain, {n} steps")
        study.report(
            f"total of {n} steps without feedback against all steps",
            float(row["total"] / plain["total"]),
            f"no feedback, {n} steps: accuracy {100 * row['accuracy']:.1f} %, {row['total'] / plain['total']:.3f} of the spikes",
        )
    study.report("total with sticky gate against the open gate", float(sticky["total"] / opened["total"]))
    study.report("total with sticky gate against no feedback", float(sticky["total"] / plain["total"]))
    study.report("total with open gate against no feedback", float(opened["total"] / plain["total"]))
    claims.report()


def main(argv=None):
    """Run the study, or, with ``--protocol published``, that of the published code (`feedback_published`)."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--protocol", choices=("own", "published"), default="own")
    chosen, argv = parser.parse_known_args(argv)
    if chosen.protocol == "published":
        from feedback_published import main as published

        return published(argv)
    with Study("predictive_feedback", __doc__, QUICK, FULL, argv, sweeps=True) as study:
        images, labels = study.first("n_images", *load_digits("test"))
        checkpoints = {
            variant: load_network(ROOT / "weights" / f"digits_{variant}_if.keras") for variant in ("plain", "feedback")
        }
        rows = compare(study, checkpoints, images, labels)
        example = study.unit(example_run, images[:N_SHOWN], checkpoints["feedback"], study.device, study.seed)
        vectors = {"blocked", "latency", "never", "largest", "drawn", "decisions"}
        study.table([{k: v for k, v in row.items() if k not in vectors} for row in rows])
        study.table(objectives_table(rows), "objectives")
        study.table(latency_rows(rows), "latency")
        n = f"{len(images)} digits"
        study.figure(plot_trade_offs(rows), "accuracy_and_spikes", f"{n}; bars: 95 %, epsilons side by side")
        study.figure(plot_parts(rows), "spikes_by_part", f"{n}; bars: 95 % of all spikes")
        study.figure(plot_latency(rows), "latency", f"{n}; bands and bars: 95 %")
        study.figure(plot_frames(example), "prediction_over_time", "1 digit")
        with write_atomically(study.folder / "prediction_over_time.gif") as file:
            file.write(animated_gif(example))
        study.files.append("prediction_over_time.gif")
        report(study, rows)


def latency_rows(rows):
    """Return latency and misses by pixel value, a row for each gate, epsilon and range of values."""
    return [
        {"network": r["network"], "epsilon": r["epsilon"], "value_from": low, "value_to": min(high, 1.0),
         "first_blocked_step": r["latency"][k], "never_blocked": r["never"][k]}
        for r in rows if r["mode"] not in ("", "none")
        for k, (low, high) in enumerate(zip(VALUE_BINS[:-1], VALUE_BINS[1:]))
    ]  # fmt: skip


if __name__ == "__main__":
    main()
