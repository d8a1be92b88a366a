"""Attention and a prediction gate together: is the attended half predicted sooner, and can a predictor learn online?"""

import matplotlib.pyplot as plt
import numpy as np
from claims import Claims, paired_p
from common import ROOT, Study
from figures import band, bars, image_draws, mean_interval

import brainsnn as bs
from brainsnn.analysis import PALETTE, accuracy_interval, style
from brainsnn.feedback import read_settings
from brainsnn.stimuli import load_digits, load_faces
from brainsnn.training.predictive_vgg import add_predictor

QUICK = {"n_images": 40, "gains": [0.2, 0.4], "width": 0.25, "n_lessons": 120, "n_passes": 2, "n_exams": 40}
FULL = {
    "n_images": 300, "gains": [0.1, 0.2, 0.3, 0.4, 0.5], "width": 0.25, "n_lessons": 600, "n_passes": 5, "n_exams": 100,
}  # fmt: skip

CHECKPOINT = ROOT / "weights" / "digits_feedback_if.keras"
LAYERS = ("conv1", "pool1", "conv2", "conv3", "pool2")
MEASURES = ("blocked_attended", "blocked_other", "spikes_attended", "spikes_other", "accuracy", "total")
#: Centres of the two cues: the left and the right half of the image.
CUES = ((0.5, 0.25), (0.5, 0.75))
#: The layer that learns and its learning rate; when and on what it is tested, and how many images of each kind are shown.
PREDICTOR, LEARNING_RATE = "learned_prediction", 0.002
STAGES, EXAMS, N_SHOWN = ("new", "after digits", "after faces"), ("digits", "faces", "other photographs"), 3
PIXELS = 28
#: Accuracies that differ by less are called equal.
MARGIN = 0.01
TEST = "bootstrap of images"
#: What lessons do to the input spikes that pass: (images, stage before, stage after, sign).
LESSONS = (
    ("digits", "new", "after digits", -1), ("faces", "after digits", "after faces", -1),
    ("digits", "after digits", "after faces", 1),
)  # fmt: skip


@bs.once
def network(device, mode, record=None):
    """Return the shipped network with feedback."""
    settings = read_settings(CHECKPOINT)
    return bs.convert(
        bs.load_model(CHECKPOINT), neuron=bs.IF(leak=settings["leak"]), thresholds=settings["thresholds"],
        feedback=bs.PredictiveGate(mode=mode, squash=settings["squash"], squash_step=settings["squash_step"]),
        device=device, record=record,
    )  # fmt: skip


# Attention and a gate


def attend_and_block(images, labels, gain, width, device, seed):
    """
    Measure the effect of both cues at one strength.

    Returns
    -------
    measures : dict
        For each image, mean over both cues: ``accuracy``; ``blocked_attended`` and ``blocked_other``, the mean step at which
        bright pixels are first blocked in the cued and in the other half, NaN without such pixels; ``spikes_attended`` and
        ``spikes_other``, input spikes; ``total``, all spikes.
    """
    snn, n_steps = network(device, "sticky", {"input": ["spikes"]}), read_settings(CHECKPOINT)["steps"]
    found = {name: [] for name in MEASURES}
    bright = images[..., 0] > 0.5
    for centre in CUES:
        snn.attend(bs.SpatialAttention(center=centre, width=width, output_gain=gain), layers=LAYERS)
        result = snn.run(images.astype(float), duration=n_steps * bs.ms, seed=seed)
        closed, spikes = ~result.gate[..., 0], result.raster("input")[..., 0]
        first = np.where(closed.any(1), closed.argmax(1), n_steps)
        half = np.arange(PIXELS) < PIXELS // 2
        half = half if centre[1] < 0.5 else ~half
        for name, columns in (("attended", half), ("other", ~half)):
            n_bright = bright[:, :, columns].sum(axis=(1, 2))
            steps = (first * bright)[:, :, columns].sum(axis=(1, 2))
            found[f"blocked_{name}"].append(np.where(n_bright, steps / np.maximum(n_bright, 1), np.nan))
            found[f"spikes_{name}"].append(spikes[..., columns].sum(axis=(1, 2, 3)))
        found["accuracy"].append(result.output[:, -1].argmax(axis=-1) == labels)
        found["total"].append(sum(result.spike_counts.values()))
    snn.attend(None)
    return {name: np.mean(values, axis=0, dtype=float) for name, values in found.items()}


def with_intervals(measures):
    """Return mean, low and high of each measure over images; of accuracy, Wilson's interval for the number of images."""
    row = {}
    for name, values in measures.items():
        mean, low, high = mean_interval(values)
        if name == "accuracy":  # of two cues, which are not independent: as of one run of each image
            low, high = accuracy_interval(round(mean * len(values)), len(values))
        row |= {name: float(mean), f"{name}_low": float(low), f"{name}_high": float(high)}
    return row


def plot_attention(rows):
    """Plot blocking latency and input spikes in both halves against the strength of the cue."""
    gain = np.array([row["gain"] for row in rows])
    with style():
        figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.1), layout="constrained")

        def draw(ax, measure, shift=0.0, unit=1, **look):
            value, low, high = (
                unit * np.array([row[f"{measure}{end}"] for row in rows]) for end in ("", "_low", "_high")
            )
            ax.errorbar(gain + shift, value, bars(value, low, high), marker="o", ms=4, capsize=2, **look)

        for name, colour, shift in (("attended", PALETTE[1], 0.004), ("other", PALETTE[0], -0.004)):
            for ax, measure in zip(axes, ("blocked", "spikes")):
                draw(ax, f"{measure}_{name}", shift, color=colour, label=f"{name} half")
        draw(axes[2], "accuracy", unit=100, color="0.2")
        axes[0].set(ylabel="step", title="First step with bright pixels blocked")
        axes[1].set(ylabel="spikes per image", title="Input spikes", ylim=(0, None))
        axes[2].set(
            ylabel="accuracy (%)",
            title="Accuracy",
            ylim=(min(90, 100 * min(r["accuracy_low"] for r in rows) - 1), 100.5),
        )
        for ax in axes:
            ax.set_xlabel("output gain of the cue")
        axes[0].legend()
    return figure


# A predictor that learns while the network runs


def network_that_learns(device):
    """Return the shipped network with a new predictor instead of its generator: small random weights from `pool2`."""
    settings = read_settings(CHECKPOINT)
    model = add_predictor(bs.load_model(CHECKPOINT), "pool2", name=PREDICTOR)
    thresholds = {name: settings["thresholds"][name] for name in (*LAYERS, "dense1", "dense2")} | {PREDICTOR: 1.0}
    feedback = bs.PredictiveGate(
        output=PREDICTOR, mode="graded", squash=settings["squash"], squash_step=settings["squash_step"],
        learning=bs.LocalLearning(LEARNING_RATE),
    )  # fmt: skip
    return bs.convert(
        model, neuron=bs.IF(leak=settings["leak"]), thresholds=thresholds, feedback=feedback, device=device
    )


def show(snn, images, seed):
    """Run images; return the result and, per image, the share of the image predicted and of input spikes that pass."""
    images = images.astype(float)
    result = snn.run(images, duration=read_settings(CHECKPOINT)["steps"] * bs.ms, seed=seed)
    error = np.mean(np.sum((result.predicted_input - images[:, None]) ** 2, (2, 3, 4)), 1)
    spikes = result.spike_counts["input"] / (result.n_steps * images.sum((1, 2, 3)))
    return result, 1 - error / np.sum(images**2, (1, 2, 3)), spikes


def learn_new_images(p, device, seed):
    """Learn digits, then faces, which are new to the network; test on other images without learning after each stage."""
    digits, _ = load_digits("train")
    test, labels = (part[: p.n_exams] for part in load_digits("test"))
    exams = {"digits": test, "faces": load_faces("test"), "other photographs": load_faces("other")[: p.n_exams]}
    lessons = {"digits": digits[: p.n_lessons], "faces": np.tile(load_faces("train"), (p.n_passes, 1, 1, 1))}
    snn, trained = network_that_learns(device), network(device, "graded")
    found, online = {}, []

    def examine(name, snn):
        for kind, images in exams.items():
            result, explained, spikes = show(snn, images, seed)
            found[f"explained, {kind}, {name}"], found[f"spikes, {kind}, {name}"] = explained.mean(), spikes.mean()
            found[f"interval of spikes, {kind}, {name}"] = mean_interval(spikes)[1:]
            found[f"spikes of each, {kind}, {name}"] = spikes
            if kind == "digits":
                found[f"accuracy, {name}"] = result.accuracy(labels)[-1]
            found[f"predictions, {kind}, {name}"] = result.predicted_input[:N_SHOWN, -1, ..., 0]

    examine("generator", trained)
    for stage, images in zip(STAGES, (None, *lessons.values())):
        if images is not None:
            snn.set_parameters(PREDICTOR, learning_rate=LEARNING_RATE)
            online.append(np.stack(show(snn, images, seed + 1)[1:]))
        snn.set_parameters(PREDICTOR, learning_rate=0.0)
        examine(stage, snn)
    found |= {f"images, {kind}": images[:N_SHOWN, ..., 0] for kind, images in exams.items()}
    return found | {f"online, {name}": values for name, values in zip(lessons, online)}


def plot_learning(found):
    """Plot input spikes per image while the network learns, and its predictions in the tests."""
    shown = {"image": "images, {}"} | {stage: f"predictions, {{}}, {stage}" for stage in STAGES}
    with style():
        figure = plt.figure(figsize=(9.5, 4.2), layout="constrained")
        grid = figure.add_gridspec(len(shown), 4 + 2 * N_SHOWN, width_ratios=[1.6] * 4 + [1] * 2 * N_SHOWN)
        ax = figure.add_subplot(grid[:, :4])
        first = 0
        for name, colour in (("digits", PALETTE[0]), ("faces", PALETTE[1])):
            spikes = 100 * found[f"online, {name}"][1]
            ax.plot(first + np.arange(len(spikes)), spikes, ".", ms=3, color=colour, alpha=0.6, label=name)
            level = 100 * float(found[f"spikes, {name}, generator"])
            ax.hlines(level, first, first + len(spikes), color=colour, ls="--", lw=1.2)
            low, high = 100 * found[f"interval of spikes, {name}, generator"]
            band(ax, [first, first + len(spikes)], low, high, colour)
            first += len(spikes)
        ax.plot([], [], "--", color="0.4", label="generator trained on digits\nby backpropagation")
        ax.set(
            xlabel="image", ylabel="input spikes that pass (%)", ylim=(0, 105), title="Learning while the network runs"
        )
        ax.legend(loc="lower left", fontsize=7)
        for group, kind in enumerate(("digits", "faces")):
            for row, (title, key) in enumerate(shown.items()):
                for k in range(N_SHOWN):
                    panel = figure.add_subplot(grid[row, 4 + group * N_SHOWN + k])
                    panel.imshow(found[key.format(kind)][k], cmap="gray", vmin=0, vmax=1)
                    panel.set(xticks=[], yticks=[])
                    panel.spines[:].set_visible(False)
                    if group == k == 0:
                        panel.set_ylabel(title, fontsize=7)
                    if row == 0 and k == 1:
                        panel.set_title(f"{kind} and their predictions", fontsize=8)
    return figure


def attention_claims(claims, without, strongest):
    """Claim that the attended half is blocked earlier, and that the accuracy stays; measures of `attend_and_block`."""
    earlier, n = strongest["blocked_other"] - strongest["blocked_attended"], len(without["accuracy"])
    draws = image_draws(earlier)
    about = "the attended half is blocked earlier, strongest cue (steps)"
    claims.add(about, np.nanmean(earlier), draws, n, TEST, paired_p(draws), 1, published=False, n_tests=2)
    change = strongest["accuracy"] - without["accuracy"]
    about = "accuracy with the strongest cue is that without"
    claims.equal(about, change.mean(), image_draws(change), n, TEST, MARGIN, n_tests=2)


def learning_claims(claims, found):
    """Claim what lessons change; measures of `learn_new_images`."""
    for kind, before, after, sign in LESSONS:
        change = found[f"spikes of each, {kind}, {after}"] - found[f"spikes of each, {kind}, {before}"]
        draws = image_draws(change)
        about = f"{'more' if sign > 0 else 'fewer'} input spikes of {kind} pass, {after} against {before} (share)"
        p, k = paired_p(draws), len(LESSONS)
        claims.add(about, change.mean(), draws, len(change), TEST, p, sign, published=False, n_tests=k)


def main(argv=None):
    """Run the study."""
    with Study("attention_and_feedback", __doc__, QUICK, FULL, argv, devices=("cpp_standalone",)) as study:
        p = study.parameters
        images, labels = study.first("n_images", *load_digits("test"))
        rows, claims, measured = [], Claims(study), []
        for gain in study.progress([0.0, *p.gains], "gain"):
            measures = study.unit(attend_and_block, images, labels, gain, p.width, study.device, study.seed)
            measured.append(measures)
            rows.append({"gain": gain, "n_images": len(images), **with_intervals(measures)})
        study.table(rows, "attention")
        n = f"{len(images)} digits, each with both cues; bars: 95 %"
        study.figure(plot_attention(rows), "attention", n)
        strongest = rows[-1]
        study.report(
            "attended half blocked earlier by (steps)",
            strongest["blocked_other"] - strongest["blocked_attended"],
        )
        study.report("accuracy without a cue (%)", 100 * rows[0]["accuracy"])
        study.report("accuracy with the strongest cue (%)", 100 * strongest["accuracy"])
        attention_claims(claims, measured[0], measured[-1])
        found = study.unit(learn_new_images, p, study.device, study.seed)
        rows = [
            {
                "predictor": name,
                "images": kind,
                **{m: float(found[f"{m}, {kind}, {name}"]) for m in ("explained", "spikes")},
            }
            for name in ("generator", *STAGES)
            for kind in EXAMS
        ]
        study.table(rows, "learning")
        n = " and ".join(f"{found[f'online, {kind}'].shape[1]} lessons with {kind}" for kind in ("digits", "faces"))
        study.figure(
            plot_learning(found), "learning", f"{n}, a dot each, in the order of learning; dashed, with band: 95 %"
        )
        for row in rows:
            what = (
                "that pass (%)" if row["predictor"] == "generator" else f"that pass, predictor {row['predictor']} (%)"
            )
            source = "generator trained on digits, " if row["predictor"] == "generator" else ""
            study.report(f"{source}input spikes of {row['images']} {what}", 100 * row["spikes"])
        for name in ("generator", STAGES[1], STAGES[2]):
            study.report(f"accuracy on digits, {name} (%)", 100 * float(found[f"accuracy, {name}"]))
        learning_claims(claims, found)
        claims.report()


if __name__ == "__main__":
    main()
