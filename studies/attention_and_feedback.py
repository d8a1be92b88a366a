"""A cue inside and a prediction gate outside: is the attended half predicted sooner, and can a predictor be learned?"""

import matplotlib.pyplot as plt
import numpy as np
from brian2 import Network as BrianNetwork
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms, prefs, set_device
from common import ROOT, Study

import brainsnn as bs
from brainsnn.analysis import PALETTE, style
from brainsnn.feedback import read_settings
from brainsnn.stimuli import load_digits

QUICK = {"n_images": 40, "gains": [0.2, 0.4], "width": 0.25, "n_lessons": 30, "n_exams": 10, "digit": 3}
FULL = {"n_images": 300, "gains": [0.1, 0.2, 0.3, 0.4, 0.5], "width": 0.25, "n_lessons": 150, "n_exams": 40, "digit": 3}

CHECKPOINT = ROOT / "weights" / "digits_feedback_if.keras"
LAYERS = ("conv1", "pool1", "conv2", "conv3", "pool2")
#: Centres of the two cues: the left and the right half of the image.
CUES = ((0.5, 0.25), (0.5, 0.75))
#: Local learning: time constant of the traces, learning rate, largest weight, threshold of the predictors.
TAU, ETA, W_MAX, THRESHOLD = 10 * ms, 0.002, 0.5, 1.0
FEATURE_SHAPE, PIXELS = (7, 7, 32), 28
EXAMS, N_SHOWN = ("same", "other"), 4


@bs.once
def network(device, mode, record=None):
    """The shipped network with feedback."""
    settings = read_settings(CHECKPOINT)
    return bs.convert(
        bs.load_model(CHECKPOINT), neuron=bs.IF(leak=settings["leak"]), thresholds=settings["thresholds"],
        feedback=bs.PredictiveGate(mode=mode, squash=settings["squash"], squash_step=settings["squash_step"]),
        device=device, record=record,
    )  # fmt: skip


# A cue and a gate


def attend_and_block(images, labels, gain, width, device, seed):
    """
    Both cues at one strength.

    Returns
    -------
    measures : dict
        ``accuracy``; ``blocked_attended`` and ``blocked_other``, mean step at which bright pixels are first blocked in the half
        with the cue and in the other one; ``spikes_attended`` and ``spikes_other``, input spikes per image; ``total``.
    """
    snn, n_steps = network(device, "sticky", {"input": ["spikes"]}), read_settings(CHECKPOINT)["steps"]
    found = {name: [] for name in ("blocked_attended", "blocked_other", "spikes_attended", "spikes_other")}
    accuracy, total = [], []
    bright = images[..., 0] > 0.5
    for centre in CUES:
        snn.attend(bs.SpatialAttention(center=centre, width=width, output_gain=gain), layers=LAYERS)
        result = snn.run(images.astype(float), duration=n_steps * bs.ms, seed=seed)
        closed, spikes = ~result.gate[..., 0], result.raster("input")[..., 0]
        first = np.where(closed.any(1), closed.argmax(1), n_steps)
        half = np.arange(PIXELS) < PIXELS // 2
        half = half if centre[1] < 0.5 else ~half
        for name, columns in (("attended", half), ("other", ~half)):
            found[f"blocked_{name}"].append(first[:, :, columns][bright[:, :, columns]].mean())
            found[f"spikes_{name}"].append(spikes[..., columns].sum() / len(images))
        accuracy.append(result.accuracy(labels)[-1])
        total.append(sum(counts.mean() for counts in result.spike_counts.values()))
    snn.attend(None)
    return {name: np.mean(values) for name, values in found.items()} | {
        "accuracy": np.mean(accuracy),
        "total": np.mean(total),
    }


def plot_attention(rows):
    """Latency of blocking and input spikes in both halves against the strength of the cue."""
    gain = [row["gain"] for row in rows]
    with style():
        figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.1), layout="constrained")
        for name, colour in (("attended", PALETTE[1]), ("other", PALETTE[0])):
            axes[0].plot(gain, [row[f"blocked_{name}"] for row in rows], "o-", color=colour, label=f"{name} half")
            axes[1].plot(gain, [row[f"spikes_{name}"] for row in rows], "o-", color=colour, label=f"{name} half")
        axes[2].plot(gain, [100 * row["accuracy"] for row in rows], "o-", color="0.2")
        axes[0].set(ylabel="step", title="First step with bright pixels blocked")
        axes[1].set(ylabel="spikes per image", title="Input spikes", ylim=(0, None))
        axes[2].set(
            ylabel="accuracy (%)", title="Accuracy", ylim=(min(90, 100 * min(r["accuracy"] for r in rows)), 100)
        )
        for ax in axes:
            ax.set_xlabel("output gain of the cue")
        axes[0].legend()
    return figure


# A predictor that learns while the network runs


def field_of_view():
    """(i, j): each feature neuron sees the pixels below it and those below its neighbours, 12 x 12 of them."""
    rows, columns, channels = FEATURE_SHAPE
    scale, i, j = PIXELS // rows, [], []
    for r, c in np.ndindex(rows, columns):
        window = [np.arange(max(0, scale * (k - 1)), min(PIXELS, scale * (k + 2))) for k in (r, c)]
        pixels = (window[0][:, None] * PIXELS + window[1]).ravel()
        features = (r * columns + c) * channels + np.arange(channels)
        i.append(np.repeat(features, len(pixels)))
        j.append(np.tile(pixels, channels))
    return np.concatenate(i), np.concatenate(j)


def spike_trains(raster):
    """Neurons and times of (n, n_steps, ...) spikes, the trials one after the other."""
    flat = raster.reshape(raster.shape[0] * raster.shape[1], -1)
    steps, neurons = np.nonzero(flat)
    return neurons, steps * ms


def predict_locally(features, pixels, weights=None, eta=ETA):
    """
    Predictors that hear the last feature map and see the input, in plain Brian2.

    A synapse changes when its feature neuron spikes, by the difference of two traces of its own predictor: of the
    spikes of the pixel and of the predictor's own. Nothing else is needed, hence the rule is local.

    Parameters
    ----------
    features, pixels : (n, n_steps, ...) ndarray of bool
        Spikes of the last feature map and of the input neurons.
    weights : ndarray, optional
        Of a predictor that has learned; zeros by default.
    eta : float
        Learning rate; 0 to test.

    Returns
    -------
    predictions : (n, H, W) ndarray
        Mean number of spikes per step of the predictors in each trial.
    weights : ndarray
    """
    n, n_steps = features.shape[:2]
    defaultclock.dt = 1 * ms
    source = SpikeGeneratorGroup(int(np.prod(FEATURE_SHAPE)), *spike_trains(features), name="features")
    seen = SpikeGeneratorGroup(PIXELS**2, *spike_trains(pixels), name="pixels")
    predictor = NeuronGroup(
        PIXELS**2,
        """v : 1
        I : 1
        n_spikes : 1
        dseen/dt = -seen/tau : 1
        dpredicted/dt = -predicted/tau : 1""",
        threshold="v > v_th", reset="v -= v_th; predicted += 1; n_spikes += 1", method="exact",
        namespace={"tau": TAU, "v_th": THRESHOLD}, name="predictor",
    )  # fmt: skip
    # A prediction that is not needed must not be remembered as a debt.
    predictor.run_regularly("v = clip(v + I, -v_th, 2*v_th); I = 0", when="groups", order=1)
    synapses = Synapses(
        source, predictor, "w : 1",
        on_pre="I_post += w; w = clip(w + eta*(seen_post - predicted_post), -w_max, w_max)",
        namespace={"eta": eta, "w_max": W_MAX}, name="generator_synapses",
    )  # fmt: skip
    source_index, target_index = field_of_view()
    synapses.connect(i=source_index, j=target_index)
    synapses.w = 0 if weights is None else weights
    watch = Synapses(seen, predictor, on_pre="seen_post += 1", name="watch")
    watch.connect(j="i")
    net, predictions = BrianNetwork(source, seen, predictor, synapses, watch), np.zeros((n, PIXELS, PIXELS))
    for k in range(n):
        predictor.n_spikes = predictor.v = predictor.I = predictor.seen = predictor.predicted = 0
        net.run(n_steps * ms, namespace={})
        predictions[k] = np.reshape(predictor.n_spikes, (PIXELS, PIXELS)) / n_steps
    return predictions, np.array(synapses.w)


def learn_a_digit(p, device, seed):
    """Learn one digit image by image; test, without learning, on other images of it and of all other digits."""
    train, labels = load_digits("train")
    test, test_labels = load_digits("test")
    lessons = train[labels == p.digit][: p.n_lessons]
    exams = {"same": test[test_labels == p.digit][: p.n_exams], "other": test[test_labels != p.digit][: p.n_exams]}
    snn = network(device, "none", {"pool2": ["spikes"], "input": ["spikes"]})

    def spikes_of(images):
        result = snn.run(images.astype(float), duration=read_settings(CHECKPOINT)["steps"] * bs.ms, seed=seed)
        return result.raster("pool2"), result.raster("input")

    trains = {name: spikes_of(images) for name, images in {"lessons": lessons, **exams}.items()}
    set_device("runtime")
    prefs.codegen.target = "numpy"  # few objects: no compiler needed
    powers = {name: np.mean(np.sum(images**2, (1, 2, 3))) for name, images in exams.items()}
    stops = np.unique(np.geomspace(1, len(lessons), 6).round().astype(int))
    explained, weights, done = {name: [] for name in exams}, None, 0
    for stop in stops:
        part = slice(done, stop)
        _, weights = predict_locally(*(train[part] for train in trains["lessons"]), weights)
        done = stop
        for name, images in exams.items():
            tested, _ = predict_locally(*trains[name], weights, eta=0.0)
            error = np.mean(np.sum((tested - images[..., 0]) ** 2, (1, 2)))
            explained[name].append(1 - error / powers[name])
            if name == "same":
                examples = tested[:N_SHOWN]
    images = exams["same"][:N_SHOWN, ..., 0]
    return {"lessons": stops, "images": images, "predictions": examples, **explained}


def plot_learning(found, digit):
    """What the frozen predictor explains after a number of lessons, and its predictions beside their images."""
    with style():
        figure = plt.figure(figsize=(9, 3.2), layout="constrained")
        grid = figure.add_gridspec(2, 3 + N_SHOWN)
        ax = figure.add_subplot(grid[:, :3])
        for name, label, colour in (("same", f"new images of {digit}", PALETTE[2]), ("other", "other digits", "0.5")):
            ax.semilogx(found["lessons"], 100 * found[name], "o-", color=colour, label=label)
        ax.set(
            xlabel="images learned from",
            ylabel="explained intensity (%)",
            title=f"A predictor learns the digit {digit}",
        )
        ax.set_ylim(min(0, ax.get_ylim()[0]), 100)
        ax.set_xticks(found["lessons"], found["lessons"])
        ax.minorticks_off()
        ax.legend(loc="upper left")
        for k in range(len(found["images"])):
            for row, title in enumerate(("images", "predictions")):
                panel = figure.add_subplot(grid[row, 3 + k])
                panel.imshow(found[title][k], cmap="gray", vmin=0, vmax=1)
                panel.set(xticks=[], yticks=[])
                if k == 0:
                    panel.set_ylabel(("new image", "prediction")[row])
    return figure


def main(argv=None):
    """Run the study."""
    with Study("attention_and_feedback", __doc__, QUICK, FULL, argv, devices=("cpp_standalone",)) as study:
        p = study.parameters
        images, labels = (part[: p.n_images] for part in load_digits("test"))
        rows = []
        for gain in study.progress([0.0, *p.gains], "gain"):
            measures = study.unit(attend_and_block, images, labels, gain, p.width, study.device, study.seed)
            rows.append({"gain": gain, **{name: float(value) for name, value in measures.items()}})
        study.table(rows, "attention")
        study.figure(plot_attention(rows), "attention")
        strongest = rows[-1]
        study.report(
            "blocking of the attended half sooner by (steps)",
            strongest["blocked_other"] - strongest["blocked_attended"],
        )
        study.report("accuracy without a cue (%)", 100 * rows[0]["accuracy"])
        study.report("accuracy with the strongest cue (%)", 100 * strongest["accuracy"])
        found = study.unit(learn_a_digit, p, study.device, study.seed)
        lessons = found["lessons"].tolist()
        study.table(
            [
                {"lessons": n, "exam": name, "explained": found[name][k]}
                for k, n in enumerate(lessons)
                for name in EXAMS
            ],
            "learning",
        )
        study.figure(plot_learning(found, p.digit), "learning")
        for name in EXAMS:
            study.report(
                f"intensity that the learned predictor explains, {name} digit (%)", 100 * float(found[name][-1])
            )


if __name__ == "__main__":
    main()
