"""How networks with predictive feedback are trained: the parameters, their published values, and the learning rate."""

from dataclasses import dataclass, replace

import numpy as np

from brainsnn.plain_arrays import is_number
from brainsnn.training.surrogate import SQUASHES, TIME_WEIGHTS

__all__ = ["CHOICES", "Recipe", "learning_rate_of", "published_recipe", "range_of"]

#: Fractions of the epochs at which the learning rate falls, as published.
LEARNING_RATE_STEPS = (0.6, 0.8, 0.9)

#: Values that fields of a recipe can have.
CHOICES = {
    "squash": SQUASHES,
    "gate_squash": (*SQUASHES, None),
    "surrogate": ("linear", "spike_time"),
    "reconstruct_at": TIME_WEIGHTS,
    "ann_optimizer": ("adam", "sgd"),
    "snn_optimizer": ("adam", "sgd"),
    "balance": ("scaled", "published"),
    "augmentation": ("none", "warp", "crop_flip"),
    "keep": ("last", "best-test"),
    "first_epoch": (0, 1),
}

#: Ranges of numbers, by name: arguments of `is_number`, and how the range is said.
_ABOVE, _NOT_NEGATIVE = ({"above": 0}, "greater than 0"), ({"low": 0}, "0 or more")
_COUNT, _SHARE = ({"low": 1}, "1 or more"), ({"low": 0, "high": 1 - 1e-9}, "0 or more, and less than 1")
_FACTOR = {"above": 0, "high": 1}, "greater than 0, and 1 at most"
_SEED = {"low": 0, "high": 2**32 - 1}, "from 0 to 4294967295"
RANGES = {
    **dict.fromkeys(("steps", "training_steps", "snn_images", "batch_size", "balance_images", "balance_steps"), _COUNT),
    **dict.fromkeys(("ann_iterations", "images", "threads", "dense"), _COUNT),
    **dict.fromkeys(("ann_epochs", "snn_epochs", "ann_stop_after", "snn_stop_after"), _NOT_NEGATIVE),
    **dict.fromkeys(("ann_trade_off", "snn_trade_off", "weight_decay", "spike_cost", "gate_epsilon"), _NOT_NEGATIVE),
    **dict.fromkeys(("ann_learning_rate", "snn_learning_rate", "adam_epsilon", "clip_norm", "squash_step"), _ABOVE),
    **dict.fromkeys(("logit_scale", "gamma", "alpha", "threshold_scale", "width", "generator_width"), _ABOVE),
    "default_threshold": ({"above": 0}, "greater than 0, or None to balance"), "beta": _NOT_NEGATIVE,
    **dict.fromkeys(("learning_rate_drop", "leak", "input_rate"), _FACTOR),
    **dict.fromkeys(("ann_momentum", "snn_momentum", "ann_conv_dropout", "snn_conv_dropout", "dropout"), _SHARE),
    "stop_below": ({"low": 0, "high": 1}, "from 0 to 1"), "seed": _SEED,
}  # fmt: skip


def range_of(name, value):
    """
    Return the range that a number of a training exceeds.

    Parameters
    ----------
    name : str
        Field of a recipe, or option of a network.
    value : object

    Returns
    -------
    allowed : str or None
        None if the number is in its range, or has none.
    """
    limits, allowed = RANGES.get(name, ({}, None))
    return None if value is None or allowed is None or is_number(value, **limits) else allowed


@dataclass
class Recipe:
    """
    All parameters of a training, apart from network and data.

    Defaults are those of the shipped networks; `published_recipe` returns the published values.

    Parameters
    ----------
    ann_epochs, snn_epochs : int
    first_epoch : {0, 1}
        Number of the first epoch. With 1, as published, the last one is left out (E - 1 epochs are trained), the learning rate
        falls one epoch earlier, and falls that coincide count once.
    steps : int
        Length of a trial of the SNN, in steps.
    training_steps : int or None
        Steps over which the SNN is unrolled for training; None for all. The loss is computed at the last of them.
    snn_images : int or None
        Number of randomly chosen training images per epoch of the SNN; None for all.
    batch_size : int
    keep_remainder : bool
        Whether the last, smaller batch of an epoch is trained, too.
    augmentation : {"warp", "crop_flip", "none"}
        Digits are shifted, rotated, zoomed and sheared; colour images are padded by 4, cropped and flipped.
    ann_optimizer, snn_optimizer : {"adam", "sgd"}
    ann_learning_rate, snn_learning_rate : float
        Initial values; both fall in steps.
    learning_rate_drop : float
        Factor on the learning rate after 60, 80 and 90 % of the epochs.
    ann_momentum, snn_momentum : float
        Of SGD.
    amsgrad : bool
        Of Adam.
    adam_epsilon : float
    weight_decay : float
        Times each weight, it is added to the gradient (L2, not decoupled).
    clip_norm : float or None
        Largest norm of the SNN's gradient; None: not limited.
    ann_trade_off, snn_trade_off : float
        Weight of the reconstruction loss (the squared error, summed over the pixels of an image) relative to the
        cross-entropy.
    squash : {"clip", "tanh", "sigmoid", "rescaled_sigmoid", "rescaled_tanh"}
        Of the prediction in the loss.
    gate_squash : str or None
        Of the prediction that the gate compares; None: ``squash``.
    squash_step : float
        Contribution of one spike of the generator to the prediction, before the squash.
    logit_scale : float or None
        The summed potentials of the classifier are multiplied by ``logit_scale/n_steps`` to give the logits; None: not at all.
    surrogate : {"linear", "spike_time"}
    gamma, alpha, beta : float
        Parameters of the surrogate gradients.
    leak : float
    threshold_scale : float
        Factor on the balanced thresholds.
    balance : {"scaled", "published"}
        On the first training images, with scaled thresholds of earlier layers; or on new random images for each layer, with
        unscaled ones and without leak.
    balance_blocks : bool
        Whether the layers of residual blocks are balanced, too. If not, as published, their threshold is 1.
    input_rate : float
        Probability of an input spike of a pixel of 1: 0.9 in the published residual networks, as if pixels were so much weaker.
    balance_images : int
    balance_steps : int or None
        None: ``steps``.
    reconstruct_at : {"last", "late", "linear", "published_linear"}
        Steps at which the SNN's reconstruction enters the loss; see `~brainsnn.training.surrogate.time_weights`.
        ``"published_linear"`` is a sum over the batch, all others are means.
    gate_epsilon : float or None
        During training of the SNN, the sticky gate closes on pixels predicted within this error. None: no gate.
    strict_gate : bool
        Whether the error must be smaller than epsilon, or may be equal.
    spike_cost : float
        Weight, in the loss of the SNN, of the mean number of spikes per image divided by 1000.
    ann_conv_dropout, snn_conv_dropout : float
        Dropout rates after convolutions; the network must have the layers.
    snn_dropout : bool
        Whether dropout acts in the SNN, with one mask per image and layer for all steps.
    ann_iterations : int
        Iterations of predictive coding in the ANN: features add up those of the errors of the prediction before.
    keep : {"last", "best-test"}
        Weights that a stage leaves: of its last epoch, or of the epoch with the best accuracy on the images that are passed
        for validation. The published code has no validation set and takes the test images.
    stop_below : float or None
        A stage ends if that accuracy is lower after epoch ``ann_stop_after`` or ``snn_stop_after``.
    ann_stop_after, snn_stop_after : int
    pretrained_ann : str or None
        ``.keras`` file of a trained network. The first stage that is trained begins with its weights, where a layer has the same
        name and shape. None: new weights.
    default_threshold : float or None
        Threshold of all layers of the SNN, which are then not balanced, as for a published SNN without an ANN before it (1).
        None: they are balanced.
    seed : int

    Raises
    ------
    ValueError
        If a value is not one of those listed, or a number is out of its range.
    """

    ann_epochs: int = 25
    snn_epochs: int = 5
    first_epoch: int = 0
    steps: int = 50
    training_steps: int | None = 30
    snn_images: int | None = 1600
    batch_size: int = 32
    keep_remainder: bool = False
    augmentation: str = "warp"
    ann_optimizer: str = "adam"
    snn_optimizer: str = "adam"
    ann_learning_rate: float = 1e-3
    snn_learning_rate: float = 5e-4
    learning_rate_drop: float = 0.2
    ann_momentum: float = 0.9
    snn_momentum: float = 0.95
    amsgrad: bool = False
    adam_epsilon: float = 1e-7
    weight_decay: float = 0.0
    clip_norm: float | None = 1.0
    ann_trade_off: float = 0.01
    snn_trade_off: float = 0.01
    squash: str = "clip"
    gate_squash: str | None = None
    squash_step: float = 0.125
    logit_scale: float | None = 10.0
    surrogate: str = "linear"
    gamma: float = 0.3
    alpha: float = 0.3
    beta: float = 0.01
    leak: float = 1.0
    threshold_scale: float = 0.5
    balance: str = "scaled"
    balance_blocks: bool = True
    input_rate: float = 1.0
    balance_images: int = 128
    balance_steps: int | None = None
    reconstruct_at: str = "linear"
    gate_epsilon: float | None = 0.1
    strict_gate: bool = False
    spike_cost: float = 0.0
    ann_conv_dropout: float = 0.0
    snn_conv_dropout: float = 0.0
    snn_dropout: bool = False
    ann_iterations: int = 1
    keep: str = "last"
    stop_below: float | None = None
    ann_stop_after: int = 30
    snn_stop_after: int = 5
    pretrained_ann: str | None = None
    default_threshold: float | None = None
    seed: int = 0

    def __post_init__(self):
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"Recipe: {name}={value!r}; choose one of {', '.join(map(repr, allowed))}.")
        for name, value in vars(self).items():
            if allowed := range_of(name, value):
                raise ValueError(f"Recipe: {name}={value!r} must be {allowed}.")

    def of_stage(self, stage, name):
        """
        Return the value of a field that both stages have.

        Parameters
        ----------
        stage : {"ann", "snn"}
        name : str
            Such as ``"epochs"``.

        Returns
        -------
        value : object
        """
        return getattr(self, f"{stage}_{name}")


def published_recipe(variant="feedback", colour=False, residual=False):
    """
    Return the published values of all parameters.

    Parameters
    ----------
    variant : {"feedback", "plain"}
        With or without predictive feedback.
    colour : bool
        Whether images have colours from -1 to 1 (CIFAR), not gray values from 0 to 1 (MNIST).
    residual : bool
        Whether the network is a ResNet, whose blocks are not balanced, and whose input spikes are fewer.

    Returns
    -------
    recipe : `Recipe`
        For the main run, ``ann_trade_off`` was 1, not its default 10.

    Examples
    --------
    >>> from brainsnn.training.predictive_recipe import published_recipe
    >>> recipe = published_recipe(colour=True)
    >>> recipe.squash, recipe.gate_squash, recipe.gate_epsilon
    ('tanh', 'rescaled_tanh', None)
    """
    squash = "tanh" if colour else "sigmoid"
    recipe = Recipe(
        ann_epochs=100, snn_epochs=100, first_epoch=1, steps=50, training_steps=None, snn_images=None, batch_size=64,
        keep_remainder=True, augmentation="crop_flip" if colour else "none", ann_learning_rate=1e-4, snn_learning_rate=1e-4,
        learning_rate_drop=0.1, amsgrad=True, adam_epsilon=1e-8, weight_decay=5e-4, clip_norm=None, ann_trade_off=10.0,
        snn_trade_off=1.0, squash=squash, gate_squash=f"rescaled_{squash}", squash_step=1.0, logit_scale=None,
        threshold_scale=0.7, balance="published", balance_images=512, balance_steps=1000, reconstruct_at="last",
        gate_epsilon=None, strict_gate=True, ann_conv_dropout=0.2, snn_conv_dropout=0.3, snn_dropout=True, keep="best-test",
        stop_below=0.15,
    )  # fmt: skip
    if variant == "plain":
        recipe = replace(recipe, ann_optimizer="sgd", ann_learning_rate=1e-2)
    return replace(recipe, balance_blocks=False, input_rate=0.9) if residual else recipe


def learning_rate_of(recipe, stage, done):
    """
    Return the learning rate of an epoch.

    Parameters
    ----------
    recipe : `Recipe`
    stage : {"ann", "snn"}
    done : int
        Number of epochs of this stage that are trained already.

    Returns
    -------
    learning_rate : float
    """
    n_epochs, number = recipe.of_stage(stage, "epochs"), done + recipe.first_epoch
    drops = [int(share * n_epochs) for share in LEARNING_RATE_STEPS]
    if recipe.first_epoch == 1:  # as published: epoch 0 never comes, and each epoch changes the rate once
        drops = set(drops) - {0}
    return recipe.of_stage(stage, "learning_rate") * recipe.learning_rate_drop ** int(
        np.sum([number >= d for d in drops])
    )
