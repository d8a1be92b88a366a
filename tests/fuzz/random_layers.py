"""Random Keras layers that fit a tensor of a given shape."""

import numpy as np
import pytest
from hypothesis import strategies as st

from brainsnn.training import ASNTransfer

keras = pytest.importorskip("keras")
L = keras.layers

__all__ = ["Dice", "random_activation", "random_layer", "same_shape_layer"]


class Dice:
    """Short names for draws; the first value is the one to which hypothesis shrinks."""

    def __init__(self, draw):
        self.draw = draw

    def pick(self, *values):
        return self.draw(st.sampled_from(values))

    def whole(self, low, high):
        return self.draw(st.integers(low, high))

    def pair(self, low, high):
        return self.whole(low, high), self.whole(low, high)

    def shuffle(self, values):
        return self.draw(st.permutations(values))

    def chance(self, n):
        """Return True in one of n cases."""
        return self.whole(0, n - 1) == n - 1


def random_activation(dice):
    """Return an ``activation`` argument."""
    if dice.chance(40):
        return dice.pick("tanh", "leaky_relu", "elu", "relu6", "softmax", "hard_sigmoid", L.ReLU(6.0), ASNTransfer(0.1))
    return dice.pick(None, None, "linear", "relu", "relu", L.ReLU() if dice.chance(4) else None)


def _window(dice, shape, dilates=True, square=False):
    """Return kernel size, strides, dilation and padding of a window on a map; Keras has no strides with dilation."""
    size, strides, dilation = dice.pair(1, 3), dice.pair(1, 3), (1, 1)
    if square:
        strides = (strides[0], strides[0])
    if dilates and dice.chance(3):
        strides, dilation = (1, 1), dice.pair(1, 2)
    fits = all((k - 1) * d + 1 <= n for k, d, n in zip(size, dilation, shape))
    return size, strides, dilation, dice.pick("same", "valid") if fits else "same"


def _filters(dice, most=4):
    return {"use_bias": not dice.chance(3), "activation": random_activation(dice), "trainable": not dice.chance(6)}


def _conv(dice, shape):
    size, strides, dilation, padding = _window(dice, shape)
    groups = dice.pick(*[g for g in (1, 1, 2, 3) if shape[2] % g == 0])
    return L.Conv2D(
        groups * dice.whole(1, 2), size, strides, padding, dilation_rate=dilation, groups=groups, **_filters(dice)
    )


def _depthwise(dice, shape):
    size, strides, dilation, padding = _window(dice, shape, square=True)
    multiplier = dice.whole(1, 2) if shape[2] < 4 else 1
    return L.DepthwiseConv2D(
        size, strides, padding, depth_multiplier=multiplier, dilation_rate=dilation, **_filters(dice)
    )


def _separable(dice, shape):
    size, strides, dilation, padding = _window(dice, shape, square=True)
    return L.SeparableConv2D(
        dice.whole(1, 3), size, strides, padding, dilation_rate=dilation, depth_multiplier=dice.whole(1, 2),
        **_filters(dice),
    )  # fmt: skip


def _transpose(dice, shape):
    size, strides, dilation, padding = dice.pair(1, 3), (1, 1), (1, 1), dice.pick("same", "valid")
    if dice.chance(3):
        rate = dice.whole(1, 2)
        dilation = (rate, rate)
    elif max(shape[:2]) <= 4:
        strides = dice.pair(1, 3)
    added = dice.pick(*range(min(strides))) if dice.chance(3) else None
    return L.Conv2DTranspose(
        dice.whole(1, 3), size, strides, padding, output_padding=added, dilation_rate=dilation, **_filters(dice)
    )


def _batch_norm(dice, shape):
    axis = 1 if dice.chance(30) else -1
    return L.BatchNormalization(
        axis=axis, scale=dice.pick(True, False), center=dice.pick(True, False), epsilon=dice.pick(1e-3, 0.1),
        trainable=not dice.chance(4),
    )  # fmt: skip


def _dense(dice, shape):
    return L.Dense(dice.whole(1, 4), **_filters(dice))


def _pool(dice, shape):
    size, strides, _, padding = _window(dice, shape, dilates=False)
    strides = dice.pick(None, (1, 1), strides)
    size = size[0] if dice.chance(3) and padding == "same" else size
    return dice.pick(L.MaxPooling2D, L.AveragePooling2D)(size, strides, padding)


def _global_pool(dice, shape):
    return dice.pick(L.GlobalAveragePooling2D, L.GlobalMaxPooling2D)(keepdims=dice.pick(False, True))


def _geometry(dice, shape):
    height, width = shape[:2]
    kind = dice.pick("pad", "crop", "up")
    if kind == "up" and max(height, width) <= 4:
        return L.UpSampling2D(dice.pair(1, 2), interpolation=dice.pick("nearest", "nearest", "bilinear"))
    if kind == "crop" and min(height, width) > 1:
        top, left = dice.whole(0, (height - 1) // 2), dice.whole(0, (width - 1) // 2)
        return L.Cropping2D(((top, dice.whole(0, (height - 1) // 2)), (left, dice.whole(0, (width - 1) // 2))))
    return L.ZeroPadding2D((dice.pair(0, 2), dice.pair(0, 2)))


def _reshape(dice, shape):
    """Return a layer that changes the shape only: flat, or with the factors of the size in another order."""
    if dice.chance(2):
        return L.Flatten()
    size = int(np.prod(shape))
    height = dice.pick(*[n for n in range(1, 7) if size % n == 0])
    width = dice.pick(*[n for n in range(1, 7) if size // height % n == 0])
    target = [height, width, size // height // width]
    if dice.chance(4):
        target = [height, size // height]
    if dice.chance(3):
        target[dice.whole(0, len(target) - 1)] = -1
    return L.Reshape(target)


def _permute(dice, shape):
    return L.Permute(dice.shuffle(range(1, len(shape) + 1)))


def _noise(dice, shape):
    spatial = {2: L.SpatialDropout1D, 3: L.SpatialDropout2D}.get(len(shape), L.Dropout)
    return dice.pick(L.Dropout, spatial, L.AlphaDropout, L.GaussianDropout, L.GaussianNoise)(0.2)


def _nothing(dice, shape):
    return dice.pick(L.Identity, lambda: L.ActivityRegularization(0.1), lambda: L.Activation("linear"))()


def _rescaling(dice, shape):
    rng = np.random.default_rng(dice.whole(0, 9))
    kind = dice.pick("numbers", "numbers", "scale per channel", "both per channel")
    scale = 0.5 if kind == "numbers" else rng.uniform(-1, 1, shape[-1])
    return L.Rescaling(scale, rng.uniform(-1, 1, shape[-1]) if kind == "both per channel" else dice.pick(0.0, -0.3))


def _spikes(dice, shape):
    kind = dice.pick("relu", "asn", "activation", "activation of a layer")
    if kind == "asn":
        return ASNTransfer(dice.pick(0.1, 0.2), dice.pick(0.0, 0.0, 0.31, -0.31))
    return {
        "relu": L.ReLU, "activation": lambda: L.Activation("relu"),
        "activation of a layer": lambda: L.Activation(L.ReLU()),
    }[kind]()  # fmt: skip


def _unusual(dice, shape):
    """Return a layer that no spiking network has, or only at its output."""
    choices = [
        L.LeakyReLU, L.ELU, L.PReLU, L.LayerNormalization, L.Softmax, lambda: L.Softmax(axis=1), lambda: L.ReLU(6.0),
        lambda: L.ReLU(negative_slope=0.1), lambda: L.ReLU(threshold=0.5), lambda: L.Activation("sigmoid"),
        L.UnitNormalization, lambda: L.Activation("tanh"), lambda: L.Rescaling(np.ones(shape)),
    ]  # fmt: skip
    if len(shape) == 3:
        choices += [lambda: L.RandomFlip(), lambda: L.Resizing(3, 3), lambda: L.CenterCrop(1, 1)]
        choices += [lambda: L.GroupNormalization(-1)]
    return dice.pick(*choices)()


ANYWHERE = [_spikes, _spikes, _dense, _batch_norm, _batch_norm, _reshape, _noise, _nothing, _rescaling]
ON_MAPS = [
    _conv, _conv, _conv, _depthwise, _separable, _transpose, _pool, _pool, _pool, _global_pool, _geometry, _geometry,
    *ANYWHERE, _permute,
]  # fmt: skip


def random_layer(dice, shape, name=None):
    """Return a random layer for a tensor of a shape without the batch."""
    if dice.chance(60):
        makers = [_unusual]
    elif len(shape) == 3:
        makers = ON_MAPS
    else:
        makers = [*ANYWHERE, _permute] if len(shape) > 1 else ANYWHERE
    return _named(dice.pick(*makers)(dice, shape), name)


def same_shape_layer(dice, shape, name=None):
    """Return a random layer whose output has the shape of its input."""
    makers = [_spikes, _batch_norm, _rescaling, lambda dice, shape: L.Dense(shape[-1], **_filters(dice))]
    if len(shape) == 3:
        makers += [
            lambda dice, shape: L.Conv2D(shape[-1], dice.pair(1, 3), padding="same", **_filters(dice)),
            lambda dice, shape: L.DepthwiseConv2D(dice.pair(1, 3), padding="same", **_filters(dice)),
            lambda dice, shape: L.MaxPooling2D(2, 1, "same"),
            lambda dice, shape: L.AveragePooling2D(dice.pair(1, 3), 1, "same"),
        ]
    return _named(dice.pick(*makers)(dice, shape), name)


def _named(layer, name):
    """Give a layer that was not built yet another name."""
    layer.name = name or layer.name
    return layer
