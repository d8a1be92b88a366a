"""
Train the network of the published attention experiments: on ImageNet, then on COCO scenes.

::

    python -m brainsnn.training.train_resnet imagenet FOLDER --out resnet18.keras
    python -m brainsnn.stimuli.coco COCO --out street.json
    python -m brainsnn.training.train_resnet coco COCO --scenes street.json --weights resnet18.keras --out street.keras

``FOLDER`` holds ``train/CLASS/*.JPEG`` and ``val/CLASS/*.JPEG``. The recipe is that of Soerensen et al. (2022). Where the
published code does something other than it means, there is an option; ``--published`` sets all of them to what was done. To
resume an interrupted training, run the same command again. ``--size 32 --width 4 --epochs 1`` shows that everything runs.
"""

import argparse
import math
import shlex
import sys
import time
from pathlib import Path

import numpy as np

from brainsnn.optional import optional_packages
from brainsnn.plain_arrays import is_number
from brainsnn.stimuli.coco.scene_file import INTERPOLATIONS
from brainsnn.training.cards import card_text
from brainsnn.training.checkpoints import save
from brainsnn.training.commands import check_out, prepare_tensorflow, report_written

__all__ = ["main", "null_f1"]

#: What `--published` changes: to what the published code did, faults included.
PUBLISHED = {
    "imagenet": {"first_rate": 1.0, "decay": 1e-4, "keep": "last", "rescale": "undone", "remainder": "drop", "seed": None},
    "coco": {"keep": "last", "remainder": "drop", "seed": None},
}  # fmt: skip
#: Share of the training pictures of COCO that are held out, and the seed of the shuffle.
VALIDATION_SHARE, VALIDATION_SEED = 0.2, 3
#: Test pictures after fine-tuning, and permutations of the outputs for the null distribution.
N_TEST, N_PERMUTATIONS = 300, 10_000


def _seed(text):
    return None if text == "none" else int(text)


def _options(arguments):
    """Parse the command line; defaults of `--published` first, so that other options still count."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog="python -m brainsnn.training.train_resnet", description=__doc__.split("\n\n")[0]
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, epochs, batch in (("imagenet", 90, 240), ("coco", 100, 200)):
        command = commands.add_parser(name, allow_abbrev=False)
        add = command.add_argument
        add("folder", type=Path, help="folder of the pictures")
        add("--out", type=Path, default=Path(f"results/resnet18_{name}.keras"), help="file to write, with its card")
        add("--checkpoints", type=Path, help="folder of weights and log (beside --out)")
        add("--depth", type=int, default=18, help="18, 34, 50, 101 or 152 (18)")
        add("--order", default="post_activation", help="post_activation or pre_activation (post_activation)")
        add("--size", type=int, default=224, help="rows and columns of the pictures (224)")
        add("--width", type=int, help="filters of the first stage (64)")
        add("--epochs", type=int, default=epochs, help=f"({epochs})")
        add(
            "--batch",
            type=int,
            default=batch,
            help=f"pictures per update ({batch}); batch norm averages over all of them",
        )
        add("--seed", type=_seed, default=0, help="of weights, order and crops, or none (0; published: none)")
        add(
            "--keep",
            choices=("best", "last"),
            default="best",
            help="weights to keep, by validation (best; published: last)",
        )
        add(
            "--remainder",
            choices=("keep", "drop"),
            default="keep",
            help="of an epoch, smaller than a batch (published: drop)",
        )
        add("--threads", type=int, default=2, help="threads of TensorFlow, and that read pictures (2)")
        add("--published", action="store_true", help="do all that the published code did, faults included")
        _add_own_options(name, add)
        command.set_defaults(**PUBLISHED[name] if "--published" in arguments else {})
    options = parser.parse_args(arguments)
    check_out(parser, options.out)
    if min(options.epochs, options.batch, options.size, options.threads) < 1:
        parser.error("--epochs, --batch, --size and --threads must be at least 1.")
    _check_numbers(parser, options)
    options.checkpoints = options.checkpoints or options.out.with_suffix(".checkpoints")
    return options


def _check_numbers(parser, options):
    """End the process with a message if a number is out of its range, or has no effect."""
    given = vars(options)
    for name, limits, allowed in (
        ("width", {"low": 1}, "1 or more"), ("seed", {"low": 0, "high": 2**32 - 1}, "from 0 to 4294967295, or none"),
        ("rate", {"above": 0}, "greater than 0"), ("first_rate", {"above": 0}, "greater than 0"),
        ("decay", {"low": 0}, "0 or more"), ("top_rate", {"low": options.rate}, f"at least --rate {options.rate}"),
    ):  # fmt: skip
        if given.get(name) is not None and not is_number(given[name], **limits):
            parser.error(f"--{name.replace('_', '-')} must be {allowed}, got {given[name]}.")
    if given.get("top_rate") is not None and options.schedule != "cyclic":
        parser.error(f"--top-rate needs --schedule cyclic, got --schedule {options.schedule}. Leave --top-rate out.")


def _add_own_options(name, add):
    if name == "imagenet":
        add("--rate", type=float, default=0.1, help="learning rate of epochs 1 to 30 (0.1)")
        add("--first-rate", type=float, default=0.1, help="learning rate of epoch 0 (0.1; published: 1.0)")
        add("--decay", type=float, default=0.0, help="the rate is divided by 1 + DECAY * updates (0; published: 1e-4)")
        add(
            "--rescale",
            choices=("kept", "undone"),
            default="kept",
            help="random scale before the crop (published: undone)",
        )
        return
    add("--scenes", type=Path, required=True, help="file of python -m brainsnn.stimuli.coco")
    add("--weights", type=Path, required=True, help="network trained on ImageNet; its last layer is replaced")
    add("--rate", type=float, default=1e-4, help="learning rate (1e-4)")
    add("--top-rate", type=float, help="largest rate of --schedule cyclic (that of --rate)")
    add(
        "--schedule",
        choices=("constant", "cyclic", "plateau"),
        default="constant",
        help="of the learning rate (constant)",
    )
    add(
        "--trained",
        choices=("all", "readout"),
        default="all",
        help="layers to train (all, as was done; readout was intended)",
    )
    add(
        "--interpolation",
        choices=INTERPOLATIONS,
        default=INTERPOLATIONS[0],
        help="of pictures (nearest, as published); show the network the same ones",
    )


def _pictures(options, seed):
    """Return the training and validation pictures, and the names of the classes."""
    from functools import partial

    from brainsnn.training.photographs import Pictures, central_crop, imagenet_files, random_crop

    shared = {"batch": options.batch, "drop": options.remainder == "drop", "workers": options.threads}
    if options.command == "imagenet":
        paths, labels, classes = imagenet_files(options.folder, "train")
        val_paths, val_labels, _ = imagenet_files(options.folder, "val", classes)
        read = partial(random_crop, size=options.size, rescale=options.rescale)
        training = Pictures(paths, labels, read, seed=seed, **shared)
        return training, Pictures(val_paths, val_labels, partial(central_crop, size=options.size), **shared), classes
    from brainsnn.stimuli.coco import read_selection

    selection = read_selection(options.scenes)
    pictures, n = selection.training, len(selection.training)
    order = np.random.RandomState(VALIDATION_SEED).permutation(n)
    n_held = math.ceil(VALIDATION_SHARE * n)
    labels = np.zeros((n, len(selection.categories)), dtype=np.float32)
    for row, picture in zip(labels, pictures):
        row[picture.labels] = 1
    made = [
        Pictures([pictures[k] for k in part], labels[part], _coco_reader(options), seed=own, **shared)
        for part, own in ((order[n_held:], seed), (order[:n_held], None))
    ]
    return *made, selection.categories


def _coco_reader(options):
    from brainsnn.stimuli.coco import read_photograph

    def read(picture, random=None):
        """Return the pixels of a picture; nothing is random."""
        return read_photograph(options.folder, picture, options.size, options.interpolation)

    return read


def _model(options, classes, steps):
    """Return the network, compiled."""
    import keras

    from brainsnn.training.rates import CyclicRate, StepRate
    from brainsnn.training.resnets import asn_resnet

    is_coco = options.command == "coco"
    model = asn_resnet(
        options.depth, options.order, len(classes), (options.size, options.size, 3), width=options.width,
        classifier_activation="sigmoid" if is_coco else "softmax",
    )  # fmt: skip
    if not is_coco:
        rate = StepRate(steps, options.rate, options.first_rate, options.decay)
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
        return model
    _take_weights(model, options.weights)
    if options.trained == "readout":
        for layer in model.layers[:-1]:
            layer.trainable = False
    rate = CyclicRate(options.rate, options.top_rate or options.rate) if options.schedule == "cyclic" else options.rate
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["binary_accuracy"], jit_compile=False)
    return model


def _take_weights(model, path):
    """Set the weights of all layers but the last to those of a trained network."""
    from brainsnn.training.keras_files import load_model

    trained = {layer.name: layer for layer in load_model(path).layers}
    for layer in model.layers[:-1]:
        own = trained[layer.name].get_weights() if layer.name in trained else None
        if own is None or [w.shape for w in own] != [tuple(w.shape) for w in layer.weights]:
            raise ValueError(
                f"train_resnet: {path} has no layer {layer.name!r} with the weights of this network. Give the --depth, --order, "
                "--width and --size with which it was trained."
            )
        layer.set_weights(own)


def null_f1(outputs, labels, n_permutations=N_PERMUTATIONS, seed=0):
    """
    Return the weighted F1 of outputs above 0.5, and its distribution when the classes are permuted.

    Parameters
    ----------
    outputs : (n, classes) array_like
    labels : (n, classes) array_like of 0 and 1
    n_permutations : int, optional
    seed : int, optional

    Returns
    -------
    f1 : float
        Mean over the classes, weighted with the number of pictures of each.
    null : (n_permutations,) ndarray
        The same with the columns of the outputs in random orders.

    Raises
    ------
    ValueError
        If no label is 1.

    Examples
    --------
    >>> from brainsnn.training.train_resnet import null_f1
    >>> f1, null = null_f1([[0.9, 0.1], [0.2, 0.8]], [[1, 0], [0, 1]], 20)
    >>> f1, sorted(set(null.tolist()))
    (1.0, [0.0, 1.0])
    """
    with optional_packages("null_f1", extra="coco"):
        from sklearn.metrics import f1_score
    found, labels = np.asarray(outputs) > 0.5, np.asarray(labels) > 0.5
    if not labels.any():
        raise ValueError(
            "null_f1: labels hold no 1, so no class can be found. Give the labels of pictures that show one."
        )
    classes = range(labels.shape[1])
    table = np.array([[f1_score(labels[:, i], found[:, j], zero_division=0) for j in classes] for i in classes])
    weights = labels.sum(axis=0) / labels.sum()
    random = np.random.default_rng(seed)
    null = [weights @ table[classes, random.permutation(len(classes))] for _ in range(n_permutations)]
    return float(weights @ np.diag(table)), np.array(null)


def _measures(model, options, history):
    """Return what the card says of the accuracy."""
    from brainsnn.training.epochs import best_epoch

    monitor = "val_loss" if options.command == "coco" else "val_accuracy"
    kept = history[best_epoch(history, monitor) - 1 if options.keep == "best" else -1][monitor]
    measures = {f"{monitor.replace('val_', 'validation ')} of the kept epoch ({options.keep})": f"**{kept:.4f}**"}
    if options.command == "coco":
        from brainsnn.stimuli.coco import read_selection

        tests = read_selection(options.scenes).test[:N_TEST]
        images = np.stack([_coco_reader(options)(picture) for picture in tests])
        labels = np.eye(model.output_shape[1])[[picture.target for picture in tests]]
        f1, null = null_f1(model.predict(images, batch_size=options.batch, verbose=0), labels)
        measures[f"weighted F1 of the first {len(tests)} test pictures"] = f"{f1:.3f}"
        measures[f"95th percentile of it over {N_PERMUTATIONS} permutations of the outputs"] = (
            f"{np.quantile(null, 0.95):.3f}"
        )
    return measures


def _card(model, options, arguments, classes, measures, history, duration):
    """Return the text of the card."""
    facts = {
        "input": f"(n, {options.size}, {options.size}, 3), RGB from 0 to 1",
        "output": f"(n, {len(classes)}): {', '.join(classes[:8])}{', ...' if len(classes) > 8 else ''}",
        "training": f"{len(history)} epochs, {duration:.0f} s since the last start, seed {options.seed}",
    }
    data = {
        "imagenet": "Pictures in one folder per class, as ImageNet.",
        "coco": "Crops of COCO 2017, multi-hot labels.",
    }
    paragraphs = {
        "Architecture": f"`brainsnn.training.asn_resnet({options.depth}, {options.order!r})`, m_f = 0.1 (Soerensen et al. 2022).",
        "Data": data[options.command],
        "Recipe": ", ".join(f"{name} = {value}" for name, value in sorted(_settings(options).items())) + ".",
        "Limits": "As good as its pictures; see the numbers above.",
    }
    command = f"python -m brainsnn.training.train_resnet {shlex.join(arguments)}"
    return card_text(
        model, options.out, "a residual network for attention experiments", measures, facts, command, paragraphs
    )


def _settings(options):
    """Return the options that the weights depend on."""
    outside = {"out", "checkpoints", "threads", "epochs", "published"}
    return {name: str(value) for name, value in vars(options).items() if name not in outside}


@optional_packages("python -m brainsnn.training.train_resnet")
def main(arguments=None):
    """
    Train, measure and save a network.

    Parameters
    ----------
    arguments : list of str, optional
        Command line; that of the process by default.

    Returns
    -------
    history : list of dict
        Loss and metrics of each epoch.
    """
    arguments = sys.argv[1:] if arguments is None else [str(argument) for argument in arguments]
    options = _options(arguments)
    prepare_tensorflow(options.threads)
    import keras

    from brainsnn.training.epochs import fit_resumably
    from brainsnn.training.rates import plateau_rate

    seed = np.random.SeedSequence().entropy % 2**31 if options.seed is None else options.seed
    keras.utils.set_random_seed(seed)
    training, validation, classes = _pictures(options, seed)
    if not len(training) or not len(validation):
        raise ValueError(
            f"train_resnet: {len(training.items)} training and {len(validation.items)} validation pictures are less than a batch "
            f"of {options.batch}. Give a smaller --batch, or --remainder keep."
        )
    model = _model(options, classes, len(training))
    print(f"{len(training.items)} training and {len(validation.items)} validation pictures of {len(classes)} classes")

    def set_rate(history):
        """Reduce the rate on a plateau."""
        model.optimizer.learning_rate = plateau_rate([row["val_loss"] for row in history], options.rate)

    start = time.perf_counter()
    history = fit_resumably(
        model, training, validation, options.epochs, options.checkpoints, _settings(options),
        "val_loss" if options.command == "coco" else "val_accuracy", options.keep, lambda line: print(line, flush=True),
        set_rate if options.command == "coco" and options.schedule == "plateau" else None,
    )  # fmt: skip
    duration = time.perf_counter() - start
    measures = _measures(model, options, history)
    save(model, options.out, lambda: _card(model, options, arguments, classes, measures, history, duration))
    for name, value in measures.items():
        print(f"{name}: {value.strip('*')}")
    report_written(options.out)
    return history


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"python -m brainsnn.training.train_resnet: {error}")
