"""
The published protocol of predictive feedback (``studies/predictive_feedback.py --protocol published``).

Objective 1 blocks pixels that are predicted, objective 3 also scales the contrast of the others. Objective 2, to end a trial once
every pixel is predicted, stands on the published slides only and has no code.

``--weights`` and ``--plain-weights`` name networks that ``brainsnn.training.train_predictive --preset published`` wrote, or
PyTorch checkpoints of the published code. Without them, small ones are trained first, on ``--train-images`` images and with
``--width`` times the published channels; each epoch of the SNN shows ``--snn-images`` of them.
"""

import shlex
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from common import Study, write_atomically
from feedback_figures import published_gif
from feedback_report import from_the_paper, markdown
from scipy.special import logsumexp

import brainsnn as bs
from brainsnn.feedback import read_settings

QUICK = {
    "model": "vgg5", "dataset": "digits", "epsilon": [0.1], "n_images": 100, "weights": "", "plain_weights": "", "width": 0.125,
    "train_images": 4000, "snn_images": 256, "ann_epochs": 11, "snn_epochs": 2, "gif_epsilon": 0.2, "cost": "no", "chunk": 50,
    "processes": 2,
}  # fmt: skip
FULL = QUICK | {"n_images": 1000, "width": 0.25, "snn_images": 4000, "ann_epochs": 31, "snn_epochs": 6, "chunk": 100}
MODELS = {"vgg5": 5, "vgg9": 9}
#: Rows of the published corrupted image that are dimmed, as a share of its height, and the factor.
DIMMED = 0.5, 0.15
BATCH = 64


class Run(NamedTuple):
    """One evaluation: network, epsilon of the gate (NaN: no gate), objective 3 or not, upper half dimmed or not."""

    name: str
    variant: str = "feedback"
    epsilon: float = np.nan
    contrast: bool = False
    dimmed: bool = False

    def __str__(self):
        return self.name if np.isnan(self.epsilon) else f"{self.name}, epsilon {self.epsilon:g}"


def runs_of(epsilons):
    """Return all evaluations; an epsilon of 0 blocks nothing, and is in all of them."""
    epsilons = sorted({0.0, *epsilons})
    runs = [Run("plain", "plain"), Run("no blocking")]
    runs += [Run("objective 1", epsilon=epsilon) for epsilon in epsilons]
    for name, dimmed in (("objective 3", False), ("objective 3, dimmed", True)):
        runs += [Run(name, epsilon=epsilon, contrast=True, dimmed=dimmed) for epsilon in epsilons]
    return runs


def load_network(path):
    """Return graph, thresholds, leak, steps, ANN's accuracy and training of a network, as plain values without TensorFlow."""
    path = Path(path)
    if path.suffix in (".pth", ".pt", ".safetensors"):
        from brainsnn.training import read_published_feedback

        network = read_published_feedback(path)
        print(network)
        settings, model, thresholds = network.settings, network.model, network.thresholds
        ann, n_ann = np.nan, 0
    else:
        settings, model = read_settings(path), bs.load_model(path)
        thresholds, measured = settings["thresholds"], settings["measures"]["ann"]
        ann, n_ann = measured["first_stage_accuracy"], measured.get("n_images", 0)
    rate = settings.get("recipe", {}).get("input_rate", 1)
    if rate != 1:
        raise ValueError(
            f"{path}: was trained with an input rate of {rate}, and this study shows pixels at a rate of 1. Give a VGG."
        )
    training = settings.get("command", f"(how {path.name} was trained is not recorded)")
    if not thresholds:
        raise ValueError(f"{path}: holds no thresholds, so its SNN cannot be run. Give the checkpoint of the SNN.")
    return {
        "graph": bs.read_keras(model, spiking=thresholds), "thresholds": thresholds, "leak": settings.get("leak", 1.0),
        "steps": int(settings.get("steps", 50)), "ann": ann, "n_ann": n_ann, "parameters": model.count_params(),
        "training": training,
    }  # fmt: skip


def trained(study, variant):
    """Train a small network as published, or go on where an interrupted study stopped; return its file."""
    from brainsnn.training.train_predictive import main as train

    p = study.parameters
    size = f"{p.model}_{p.dataset}_width{p.width:g}_{p.train_images}_{p.snn_images}images_{p.ann_epochs}_{p.snn_epochs}"
    size += f"_seed{study.seed}" if study.seed else ""
    out = study.folder / f"{variant}_{size}.keras"
    if not out.with_suffix(".json").exists():
        words = (
            f"--preset published --variant {variant} --dataset {p.dataset} --depth {MODELS[p.model]} --width {p.width} "
        )
        words += f"--generator-width {p.width} --ann-trade-off 1 " * (variant == "feedback")
        words += f"--ann-epochs {p.ann_epochs} --snn-epochs {p.snn_epochs} "
        words += f"--images {p.train_images} --snn-images {p.snn_images} --balance-images 64 --balance-steps 100 "
        words += f"--ann-learning-rate {TRAINING_RATE[variant]} --seed {study.seed}"
        units = str(max(1, round(4096 * p.width)))
        folder = study.folder / f"training_{variant}_{size}"
        train([*words.split(), "--dense", units, units, "--out", str(out), "--checkpoints", str(folder)])
    return out


#: A narrow network on few images needs a higher rate than the published one (1e-2 and 1e-4) to learn in few epochs.
TRAINING_RATE = {"plain": 5e-2, "feedback": 1e-3}


@bs.once
def spiking_network(checkpoint, device, run):
    """Return the network of an evaluation."""
    gate = None
    if run.variant == "feedback":
        colour = checkpoint["graph"].input.shape[2] == 3
        gate = bs.PredictiveGate(
            epsilon=None if np.isnan(run.epsilon) else run.epsilon, strict=not np.isnan(run.epsilon), squash_step=1.0,
            squash="rescaled_tanh" if colour else "rescaled_sigmoid", contrast="published" if run.contrast else False,
        )  # fmt: skip
    return bs.convert(
        checkpoint["graph"], neuron=bs.IF(leak=checkpoint["leak"]), thresholds=checkpoint["thresholds"], feedback=gate,
        device=device, record={"classifier": ["I"]},
    )  # fmt: skip


def logits_of(result):
    """Return the summed potentials after each step, with the spikes of that step, (n, n_steps, classes)."""
    return result.output + result.states["classifier"]["I"].reshape(result.output.shape)


def dimmed_images(images):
    """Return images with the upper half dimmed."""
    images = images.copy()
    images[:, : int(images.shape[1] * DIMMED[0])] *= DIMMED[1]
    return images


def measure(images, labels, run, checkpoints, device, seed):
    """
    Run images through one network and measure it.

    Returns
    -------
    measures : dict
        For each image: ``correct``, ``cross_entropy``, ``error`` (squared error of the unscaled squash, as published), ``spikes``
        (as published: without the input), ``input_spikes``, ``predicted`` (pixels predicted in the last step) and ``blocked``.
    """
    checkpoint = checkpoints[run.variant]
    images = dimmed_images(images.astype(float)) if run.dimmed else images.astype(float)
    snn = spiking_network(checkpoint, device, run._replace(name="", dimmed=False))
    result = snn.run(images, duration=checkpoint["steps"] * bs.ms, seed=seed)
    logits, n = logits_of(result)[:, -1], np.arange(len(images))
    spikes = {name: counts.astype(float) for name, counts in result.spike_counts.items()}
    found = {
        "correct": logits.argmax(-1) == labels,
        "cross_entropy": logsumexp(logits, axis=-1) - logits[n, labels],
        "input_spikes": spikes.pop(snn.graph.input.name),
        "spikes": sum(spikes.values()),
        **dict.fromkeys(("error", "predicted", "blocked"), np.full(len(images), np.nan)),
    }
    if run.variant == "feedback":
        q = result.predicted_input[:, -1]
        found["error"] = np.sum(((q + 1) / 2 - images) ** 2, (1, 2, 3))
        epsilon = 0.0 if np.isnan(run.epsilon) else run.epsilon
        found["predicted"] = np.sum(np.abs(q - images) < epsilon, (1, 2, 3)).astype(float)
        found["blocked"] = np.sum(~result.gate[:, -1], (1, 2, 3)).astype(float)
    return found


def evaluate(study, checkpoints, images, labels):
    """Return the measures of all evaluations, per image: dict of the name of a run to dict of arrays."""
    runs = runs_of(study.parameters.epsilon)
    with study.sweep(
        measure, {"run": runs}, {"images": images, "labels": labels},
        constants={"checkpoints": checkpoints, "device": study.device},
        chunk=study.parameters.chunk, workers=study.workers, coords={"label": ("image", labels)},
    ) as data:  # fmt: skip
        data = data.load()
    names = ("correct", "cross_entropy", "error", "spikes", "input_spikes", "predicted", "blocked")
    return {str(run): {name: np.asarray(data[name].isel(run=k), float) for name in names} for k, run in enumerate(runs)}


def last_batch(images):
    """Return where the last batch of 64 begins, as the published scripts divide the test images."""
    return (len(images) - 1) // BATCH * BATCH


def corrupted_example(images, labels, checkpoint, device, seed, epsilons):
    """Return the class with the largest sum after each step, for the published corrupted image: the sixth of the last batch."""
    index = min(last_batch(images) + 5, len(images) - 1)
    image, found = dimmed_images(images[index : index + 1].astype(float)), {}
    for epsilon in epsilons:
        snn = spiking_network(checkpoint, device, Run("", epsilon=epsilon, contrast=True))
        result = snn.run(image, duration=checkpoint["steps"] * bs.ms, seed=seed)
        found[f"epsilon {epsilon:g}"] = logits_of(result)[0].argmax(-1)
    return {"index": index, "label": int(labels[index]), **found}


def animated(images, checkpoint, device, seed):
    """Return the images of the published animation (the first 16 of the last batch) and their predictions over time."""
    shown = images[last_batch(images) :][:16].astype(float)
    snn = spiking_network(checkpoint, device, Run(""))
    return {
        "images": shown,
        "predictions": snn.run(shown, duration=checkpoint["steps"] * bs.ms, seed=seed).predicted_input,
    }


def check(study):
    """Refuse what cannot be run before anything is."""
    p = study.parameters
    from brainsnn.training.predictive_data import DATASETS

    if p.model not in MODELS:
        study.error(f"argument --model: {p.model!r}; choose one of {', '.join(MODELS)}")
    if p.dataset not in DATASETS:
        study.error(f"argument --dataset: {p.dataset!r}; choose one of {', '.join(DATASETS)}")
    if p.cost not in ("yes", "no"):
        study.error(f"argument --cost: {p.cost!r} is neither 'yes' nor 'no'")
    if min(p.ann_epochs, p.snn_epochs) < 2:
        study.error(
            "arguments --ann-epochs and --snn-epochs: must be 2 or more; as published, E - 1 epochs are trained"
        )
    for name in ("weights", "plain_weights"):
        if getattr(p, name) and not Path(getattr(p, name)).exists():
            study.error(f"argument --{name.replace('_', '-')}: {getattr(p, name)} does not exist")
    trains_none = bool(p.weights and p.plain_weights)
    of_training = (
        "width",
        "train_images",
        "snn_images",
        "ann_epochs",
        "snn_epochs",
        *(() if p.cost == "yes" else ("model",)),
    )
    fix = "networks are trained without --weights or --plain-weights"
    study.refuse_ignored(dict.fromkeys(of_training, (trains_none, fix)))


def report_cost(study):
    """Print how long an epoch of the published network would take here."""
    from feedback_cost import epoch_cost

    depth, shape = MODELS[study.parameters.model], (28, 28, 1) if study.parameters.model == "vgg5" else (32, 32, 3)
    for stage, batch_size in (("ann", BATCH), ("snn", 4)):
        cost = epoch_cost(depth, shape, 60000 if shape[2] == 1 else 50000, stage, 1, batch_size)
        hours, name = cost["hours_per_epoch"], f"hours per epoch of the published {stage.upper()}"
        study.report(name, hours, f"{name} at full width: about {hours:.1f}, on one core of this machine "
                     f"({1000 * cost['seconds_per_image']:.0f} ms per image, from batches of {batch_size})")  # fmt: skip


def main(argv=None):
    """Run the published protocol; ``argv`` is the command line without ``--protocol published``."""
    argv = sys.argv[1:] if argv is None else argv
    with Study("predictive_feedback_published", __doc__, QUICK, FULL, argv, sweeps=True) as study:
        check(study)
        p = study.parameters
        if p.cost == "yes":
            report_cost(study)
        files = {
            "feedback": p.weights or trained(study, "feedback"),
            "plain": p.plain_weights or trained(study, "plain"),
        }
        checkpoints = {variant: load_network(path) for variant, path in files.items()}
        from brainsnn.training.predictive_data import load_dataset

        data = load_dataset(p.dataset)
        images, labels = study.first("n_images", data.test_images, data.test_labels)
        measures = evaluate(study, checkpoints, images, labels)
        study.table([{"run": name, **{k: np.mean(v) for k, v in found.items()}} for name, found in measures.items()])
        command = shlex.join(["python", "studies/predictive_feedback.py", "--protocol", "published", *argv])
        rows = from_the_paper(measures, checkpoints, p, sorted({0.0, *p.epsilon}), command)
        study.table(rows, "from_the_paper")
        text = markdown(rows)
        study.text(text, "from_the_paper.md")
        print(text)
        feedback = checkpoints["feedback"]
        _report_corrupted(study, images, labels, feedback)
        with write_atomically(study.folder / "predictions.gif") as file:
            file.write(published_gif(**animated(images, feedback, study.device, study.seed), epsilon=p.gif_epsilon))
        study.files.append("predictions.gif")
        for name in ("no blocking", f"objective 1, epsilon {p.epsilon[0]:g}"):
            study.report(f"accuracy, {name} (%)", 100 * float(np.mean(measures[name]["correct"])))


def _report_corrupted(study, images, labels, checkpoint):
    """Write and print the classes that the network gives to the corrupted image, step by step."""
    epsilons = sorted({0.0, *study.parameters.epsilon})
    example = corrupted_example(images, labels, checkpoint, study.device, study.seed, epsilons)
    classes = {name: found for name, found in example.items() if name.startswith("epsilon")}
    rows = [{"step": t, **{name: int(c[t]) for name, c in classes.items()}} for t in range(checkpoint["steps"])]
    study.table(rows, "corrupted_image")
    at_end = ", ".join(f"{name}: {c[-1]} at the end" for name, c in classes.items())
    study.report(
        "label of the corrupted image",
        example["label"],
        f"corrupted image {example['index']}, a {example['label']}; {at_end}",
    )
