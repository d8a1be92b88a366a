"""How close is a calibrated spiking network to its ReLU network, after how long, and with how many spikes?"""

import numpy as np
from brian2 import ms
from claims import SUPPORTED, UNDECIDABLE, Claims
from common import ROOT, Study
from figures import PAIRED_TEST, bars, paired_interval

import brainsnn as bs
from brainsnn.analysis import style
from brainsnn.stimuli import load_digits, load_fashion_mnist

QUICK = {"data": ["digits"], "n_images": 100, "n_calibration": 200, "times_ms": [20, 50, 100, 200], "processes": 2}
FULL = {
    "data": ["digits", "fashion"], "n_images": 1000, "n_calibration": 500, "times_ms": [50, 100, 200, 300, 500],
    "processes": 2,
}  # fmt: skip
LOADERS = {"digits": load_digits, "fashion": load_fashion_mnist}
#: Coding -> calibration, neuron model. Half of the threshold as the first potential: Deng and Gu (2021), Bu et al. (2022).
CODINGS = {
    "IF": ("layer", bs.IF()),
    "IF, v(0) = 1/2": ("layer", bs.IF(initial=0.5)),
    "IF, v(0) = 1/2, per channel": ("channel", bs.IF(initial=0.5)),
    "IF, v(0) = 1/2, balanced": ("balance", bs.IF(initial=0.5)),
    "IF, hard reset": ("layer", bs.IF(reset="hard")),
    "IF, hard reset, v(0) = 1/2": ("layer", bs.IF(reset="hard", initial=0.5)),
    "ASN, m_f = 0.05": ("layer", bs.ASN(m_f=0.05)),
    "ASN, m_f = 0.1": ("layer", bs.ASN(m_f=0.1)),
    "ASN, m_f = 0.2": ("layer", bs.ASN(m_f=0.2)),
    # The threshold adapts for a shorter time, so the transfer function is closer to a ReLU.
    "ASN, m_f = 0.1, tau_gamma = 5 ms": ("layer", bs.ASN(m_f=0.1, tau_gamma=5 * ms)),
    "ASN, m_f = 0.05, tau_gamma = 5 ms": ("layer", bs.ASN(m_f=0.05, tau_gamma=5 * ms)),
}
#: The goal in points of accuracy, and the codings and times for which it is set. They were chosen with other images.
GOAL = 0.3
GOALS = (
    ("IF, v(0) = 1/2", 200), ("ASN, m_f = 0.1", 300), ("ASN, m_f = 0.05", 300), ("ASN, m_f = 0.05, tau_gamma = 5 ms", 300),
)  # fmt: skip


def calibrated(model, images):
    """Return the graphs of the three calibrations; training images only."""
    return {
        "layer": bs.calibrate(model, images),
        "channel": bs.calibrate(model, images, per="channel"),
        "balance": bs.calibrate(model, images[:100], method="balance"),
    }


@bs.once
def network(graphs, coding, device):
    """Return the spiking network of a coding."""
    calibration, neuron = CODINGS[coding]
    # Spikes that a pooling layer passes on are those of the layer before.
    record = {p.name: ["spikes"] for p in graphs[calibration].populations.values() if p.activation == "relu"}
    return bs.convert(graphs[calibration], neuron=neuron, device=device, record=record)


def measure(images, labels, graphs, coding, device, times_ms, seed):
    """Return for each image whether it is correct at each time, the decision, and the spikes until then."""
    snn = network(graphs, coding, device)
    result = snn.run(images, duration=max(times_ms) * ms, seed=seed)
    ends = np.array(times_ms) - 1
    decisions = result.output[:, ends].argmax(axis=2)
    spikes = np.zeros((len(images), len(ends)))
    for trains in result.spikes.values():
        for k, (_, steps) in enumerate(trains):
            spikes[k] += np.bincount(steps, minlength=result.n_steps).cumsum()[ends]
    return {"correct": decisions == labels[:, None], "decision": decisions, "spikes": spikes}


def row(data, coding, time, found, ann):
    """Return the row of a coding at one time; the interval is that of the difference of paired decisions."""
    correct = found["correct"].values
    lost = ann["correct"].astype(int) - correct.astype(int)
    low, high = paired_interval(lost)
    return {
        "data": data, "coding": coding, "time_ms": int(time), "n_images": len(lost), "ann": 100 * ann["correct"].mean(),
        "snn": 100 * correct.mean(), "loss": 100 * lost.mean(), "loss_low": 100 * low, "loss_high": 100 * high,
        "same_decision": 100 * (found["decision"].values == ann["decision"]).mean(),
        "spikes_per_image": float(found["spikes"].mean()),
    }  # fmt: skip


def plot(table, data):
    """Plot the loss of accuracy against time and against spikes."""
    import matplotlib.pyplot as plt

    with style():
        figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
        for k, (coding, found) in enumerate(table[table["data"] == data].groupby("coding", sort=False)):
            dots = {
                "marker": "osD^v<>PXd*"[k], "markersize": 4, "color": plt.get_cmap("tab20").colors[k], "label": coding,
                "linestyle": "--" if "hard" in coding else "-",
            }  # fmt: skip
            dots |= {
                "yerr": bars(found["loss"], found["loss_low"], found["loss_high"]),
                "elinewidth": 0.7,
                "capsize": 1.5,
            }
            # Codings side by side at each time, so that none hides another.
            axes[0].errorbar(found["time_ms"] * 1.015 ** (k - len(CODINGS) / 2), found["loss"], **dots)
            axes[1].errorbar(found["spikes_per_image"] / 1000, found["loss"], **dots)
        for ax in axes:
            ax.axhline(0, color="black", linewidth=0.8)
            ax.set(yscale="symlog", xscale="log")
            ax.set_yscale("symlog", linthresh=1)
            ax.set_yticks([0, 1, 3, 10, 30, 100], ["0", "1", "3", "10", "30", "100"])
        times = sorted(set(table["time_ms"]))
        axes[0].set_xticks(times, [str(t) for t in times])
        axes[0].minorticks_off()
        axes[0].set(
            xlabel="time since image onset (ms)",
            ylabel="ANN accuracy minus SNN accuracy (points)",
            title=data,
        )
        axes[1].set(xlabel="spikes per image (thousands)")
        axes[1].legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def report(study, table):
    """Print the table, and whether the goal is met: by the interval of the loss, not by its estimate."""
    shown = [
        "data",
        "coding",
        "time_ms",
        "ann",
        "snn",
        "loss",
        "loss_low",
        "loss_high",
        "same_decision",
        "spikes_per_image",
    ]
    print(table[shown].to_string(index=False, float_format=lambda x: f"{x:.2f}" if x < 1000 else f"{x:,.0f}"))
    claims, tested = Claims(study), [r for r in table.to_dict("records") if (r["coding"], r["time_ms"]) in GOALS]
    for r in tested:
        name = f"{r['data']}, {r['coding']}, {r['time_ms']} ms"
        bounds, n = (r["loss_low"], r["loss_high"]), r["n_images"]
        verdict = claims.below(f"points lost, {name}", r["loss"], bounds, n, PAIRED_TEST, GOAL, n_tests=len(tested))
        goal = {SUPPORTED: "met", UNDECIDABLE: UNDECIDABLE}.get(verdict, "missed")
        study.report(
            f"loss of {name}", float(r["loss"]),
            f"{name}: {r['loss']:.2f} points lost (95% {bounds[0]:.2f} ... {bounds[1]:.2f}, n = {n}), "
            f"{r['spikes_per_image']:,.0f} spikes; goal of {GOAL}: {goal}",
        )  # fmt: skip
    if claims.rows:
        claims.report()


def main(argv=None):
    study = Study("conversion", __doc__, QUICK, FULL, argv, sweeps=True)
    p, rows = study.parameters, []
    unknown = set(p.data) - set(LOADERS)
    if unknown:
        study.error(f"argument --data: {', '.join(sorted(unknown))}; choose from {', '.join(LOADERS)}")
    with study:
        for data in p.data:
            model = bs.load_model(ROOT / "weights" / f"{data}_relu.keras")
            graphs = calibrated(model, LOADERS[data]("train")[0][: p.n_calibration])
            images, labels = LOADERS[data]("test")
            study.first("n_images", images)
            images, labels = images[-p.n_images :], labels[-p.n_images :]
            decisions = model.predict(images, verbose=0).argmax(axis=1)
            times = sorted(set(p.times_ms))
            found = study.sweep(
                measure, {"coding": list(CODINGS)}, {"images": images, "labels": labels},
                constants={"graphs": graphs, "device": study.device, "times_ms": times}, name=data,
                dims={name: "time_ms" for name in ("correct", "decision", "spikes")}, coords={"time_ms": times}, chunk=100,
                workers=study.workers,
            )  # fmt: skip
            ann = {"correct": decisions == labels, "decision": decisions}
            rows += [row(data, c, t, found.sel(coding=c, time_ms=t), ann) for c in CODINGS for t in times]
        table = study.table(rows)
        for data in p.data:
            n = f"{p.n_images} images; bars: 95 % of paired differences"
            study.figure(plot(table, data), f"loss_{data}", n)
        report(study, table)


if __name__ == "__main__":
    main()
