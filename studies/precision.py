"""What does precision cost? Accuracy and firing rate of the digit network for several m_f."""

import numpy as np
from brian2 import ms
from claims import SUPPORTED, Claims
from common import Study, digits_model
from figures import PAIRED_TEST, band, bars, mean_interval, paired_interval, share_interval

import brainsnn as bs
from brainsnn.analysis import PALETTE, accuracy_interval, spikes_per_image, style
from brainsnn.stimuli import load_digits

QUICK = {"m_f": [0.05, 0.1, 0.3], "n_images": 100, "duration_ms": 300, "processes": 2}
FULL = {
    "m_f": [0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.45, 0.6],
    "n_images": 1000,
    "duration_ms": 500,
    "processes": 2,
}
#: Loss of accuracy that is called small.
SMALL_LOSS = 0.005
#: The readout's synapse and membrane smooth the spikes (50 ms each), so its value at a single step is the decision. Averaging
#: it over the last 50 to 200 ms changed at most 1 of 300 decisions at 500 ms for m_f <= 0.2, and delays the decision.
DECISION = "output at that step"


def set_precision(snn, m_f):
    """Set the precision of all spiking neurons; the spike height h is updated, and nothing is recompiled."""
    for layer, group in snn.populations.items():
        if group.thresholder:
            snn.set_parameters(layer, m_f=m_f)


@bs.once
def network(graph, device):
    """Return the spiking network; its precision is set before each run."""
    return bs.convert(graph, neuron=bs.ASN(), device=device)


def measure(images, labels, ann_decisions, m_f, graph, device, duration_ms, seed):
    """Return for each image whether it is correct at each step and agrees with the ANN, its rates and spikes."""
    snn = network(graph, device)
    set_precision(snn, m_f)
    result = snn.run(images, duration=duration_ms * ms, seed=seed)
    spikes = spikes_per_image(result)
    n_neurons = sum(np.prod(result.shapes[name]) for name in result.spike_counts)
    decisions = result.output.argmax(axis=2)
    return {
        "correct": decisions == labels[:, None],
        "same_as_ann": decisions[:, -1] == ann_decisions,
        "rate_hz": spikes / (n_neurons * result.n_steps * result.dt),
        "spikes_per_image": spikes,
        **{f"rate_{name}": rate for name, rate in result.firing_rates.items()},
    }


def unit_of(data, m_f, ann_correct):
    """Return accuracy over time, what is lost against the ANN's decisions, rates and spikes at one precision."""
    found = data.sel(m_f=m_f)
    lost = ann_correct.astype(int) - found["correct"][:, -1].values.astype(int)
    scalars = {name: float(found[name].mean()) for name in found.data_vars if name != "correct"}
    accuracy, low, high = share_interval(found["correct"].transpose("image", "time").values)
    return {
        "time_ms": found["time"].values,
        "accuracy_over_time": accuracy,
        "low_over_time": low,
        "high_over_time": high,
        "n_correct": int(found["correct"][:, -1].sum()),
        **dict(zip(("loss", "loss_low", "loss_high"), (lost.mean(), *paired_interval(lost)))),
        **dict(zip(("rate_low", "rate_high"), mean_interval(found["rate_hz"].values)[1:])),
        **scalars,
    }


def summary_row(m_f, unit, n_images):
    """Return the table row of one precision."""
    low, high = accuracy_interval(int(unit["n_correct"]), n_images)
    values = {key: float(unit[key]) for key in unit if np.ndim(unit[key]) == 0 and key != "n_correct"}
    accuracy = int(unit["n_correct"]) / n_images
    return {"m_f": m_f, "n_images": n_images, "accuracy": accuracy, "low": low, "high": high, **values}


def plot_over_time(units, ann_accuracy):
    """Plot accuracy at every step for every precision."""
    import matplotlib.pyplot as plt

    with style():
        figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
        shades = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(units)))  # shades are in the order of m_f
        for colour, (m_f, unit) in zip(shades, units.items()):
            ax.plot(unit["time_ms"], 100 * unit["accuracy_over_time"], color=colour, label=f"{m_f:g}")
            band(ax, unit["time_ms"], 100 * unit["low_over_time"], 100 * unit["high_over_time"], colour)
        ax.axhline(100 * ann_accuracy, color="black", linestyle="--", linewidth=1, label="ANN")
        ax.set(xlabel="time since digit onset (ms)", ylabel=f"correct (%), {DECISION}", ylim=(0, 102))
        ax.set_xlim(0, unit["time_ms"][-1])
        ax.legend(title="m_f", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def plot_trade_off(table, ann_accuracy, duration_ms):
    """Plot accuracy and firing rate against precision, and against each other."""
    import matplotlib.pyplot as plt

    with style():
        figure, axes = plt.subplots(1, 3, figsize=(10, 3.5), layout="constrained")
        correct = 100 * table["accuracy"]
        error = bars(correct, 100 * table["low"], 100 * table["high"])
        dots = {"marker": "o", "markersize": 4, "color": PALETTE[0]}
        axes[0].errorbar(table["m_f"], correct, yerr=error, capsize=2, **dots)
        rate_error = bars(table["rate_hz"], table["rate_low"], table["rate_high"])
        axes[1].errorbar(table["m_f"], table["rate_hz"], yerr=rate_error, capsize=2, **dots)
        axes[2].errorbar(table["rate_hz"], correct, yerr=error, capsize=2, **dots)
        for ax in (axes[0], axes[2]):
            ax.axhline(100 * ann_accuracy, color="black", linestyle="--", linewidth=1)
            ax.set(ylabel=f"correct (%) at {duration_ms} ms", ylim=(0, 103))
        axes[2].text(0.02, 100 * ann_accuracy - 1.5, "ANN", va="top", transform=axes[2].get_yaxis_transform())
        axes[0].set_xlabel("m_f")
        axes[1].set(xlabel="m_f", ylabel="mean firing rate (Hz)", ylim=(0, None))
        axes[2].set(xlabel="mean firing rate (Hz)", xscale="log")
        for ax in axes[:2]:
            ax.set_xscale("log")
            ax.set_xticks(table["m_f"], [f"{m_f:g}" for m_f in table["m_f"]], minor=False, fontsize=8, rotation=60)
            ax.minorticks_off()
        ticks = [
            t for t in (5, 10, 20, 50, 100, 200, 500) if table["rate_hz"].min() / 2 < t < 2 * table["rate_hz"].max()
        ]
        axes[2].set_xticks(ticks, [str(t) for t in ticks])
        axes[2].minorticks_off()
    return figure


def main(argv=None):
    study = Study("precision", __doc__, QUICK, FULL, argv, sweeps=True)
    p, (images, labels) = study.parameters, study.first("n_images", *load_digits("test"))
    precisions = sorted(set(p.m_f))
    with study:
        model = digits_model()
        ann_decisions = model.predict(images, verbose=0).argmax(axis=1)
        ann_accuracy = float((ann_decisions == labels).mean())
        data = study.sweep(
            measure, {"m_f": precisions}, {"images": images, "labels": labels, "ann_decisions": ann_decisions},
            constants={
                "graph": bs.read_keras(model), "device": study.device, "duration_ms": p.duration_ms,
            },
            dims={"correct": "time"}, coords={"time": np.arange(p.duration_ms)}, chunk=50, workers=study.workers,
        )  # fmt: skip
        units = {m_f: unit_of(data, m_f, ann_decisions == labels) for m_f in precisions}
        table = study.table([summary_row(m_f, unit, p.n_images) for m_f, unit in units.items()])
        study.table(
            [
                {"m_f": m_f, "time_ms": time, "accuracy": accuracy}
                for m_f, unit in units.items()
                for time, accuracy in zip(unit["time_ms"], unit["accuracy_over_time"])
            ],
            "accuracy_over_time",
        )
        study.figure(plot_over_time(units, ann_accuracy), "accuracy_over_time", f"{p.n_images} digits; bands: 95 %")
        study.figure(
            plot_trade_off(table, ann_accuracy, p.duration_ms), "trade_off", f"{p.n_images} digits; bars: 95 %"
        )
        report(study, table, ann_accuracy)


def report(study, table, ann_accuracy):
    """Print the numbers, which precisions are shown to lose less than 0.5 points, and the one of these with the lowest rate."""
    n, claims = study.parameters.n_images, Claims(study)
    study.report("ann_accuracy", ann_accuracy, f"ANN: {100 * ann_accuracy:.2f}% of {n} test digits")
    shown = table[["m_f", "accuracy", "same_as_ann", "rate_hz", "spikes_per_image"]]
    print(shown.to_string(index=False, float_format=lambda x: f"{x:.4g}"))
    near = [
        claims.below(f"accuracy lost against the ANN, m_f = {r['m_f']:g}", r["loss"], (r["loss_low"], r["loss_high"]), n,
                     PAIRED_TEST, SMALL_LOSS, n_tests=len(table)) == SUPPORTED
        for r in table.to_dict("records")
    ]  # fmt: skip
    claims.report()
    name, about = "cheapest_within_0.5_points", "cheapest of those that lose less than 0.5 points against the ANN"
    if not any(near):
        study.report(name, "none", f"{about}: none is known with {n} images")
        return
    best = table.loc[table[near]["rate_hz"].idxmin()]
    study.report(
        name, float(best["m_f"]),
        f"{about}: m_f = {best['m_f']:g}, {100 * best['accuracy']:.2f}%, {best['rate_hz']:.1f} Hz, "
        f"{best['spikes_per_image']:,.0f} spikes per image",
    )  # fmt: skip


if __name__ == "__main__":
    main()
