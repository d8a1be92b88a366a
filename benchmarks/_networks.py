"""The networks that several benchmarks run: the shipped digit network, and a ResNet-18 with a chosen mean rate."""

import numpy as np
from _report import ROOT
from scipy.ndimage import gaussian_filter
from scipy.optimize import brentq

WEIGHTS = ROOT / "weights" / "digits.keras"
#: Precision of all neurons of the digit network, and of the ResNet-18.
DIGITS_M_F, RESNET_M_F = 0.1, 0.45
#: Neurons whose input is less than this many standard deviations above the mean get a negative input: 16% are active, or, above
#: a mean rate of 20 Hz, which these few could not reach, 84%.
OFFSET, MANY = 1.0, 20.0


def digits_graph():
    """Return the LayerGraph of the shipped digit network."""
    import brainsnn as bs

    return bs.read_keras(bs.load_model(WEIGHTS))


def random_image(size, seed=0):
    """Return an image with power at all scales, as photographs have, from 0 to 1."""
    rng = np.random.default_rng(seed)
    image = sum(gaussian_filter(rng.normal(size=(size, size, 3)), (s, s, 0)) * s for s in (1, 2, 4, 8, 16, 32))
    return ((image - image.min()) / np.ptp(image)).astype(np.float32)


def resnet(size):
    """Return a Keras ResNet-18 with random weights."""
    import keras

    from brainsnn.training import preactivation_resnet

    keras.utils.set_random_seed(0)
    return preactivation_resnet(
        18, (size, size, 3), n_classes=8, classifier_activation="sigmoid", m_f=RESNET_M_F, stem="imagenet"
    )


def set_rates(model, image, rate, offset=OFFSET):
    """Set the batch normalisations for a mean rate in Hz, first layer first, from the transfer function."""
    import keras

    from brainsnn.equations.transfer import spike_height, transfer_function

    activation = rate * spike_height(RESNET_M_F) * 0.050  # a spike stands for its height during tau_eta
    for layer in model.layers:
        if type(layer).__name__ != "BatchNormalization":
            continue
        x = keras.ops.convert_to_numpy(keras.Model(model.inputs, layer.input)([image[None]]))
        # A dense layer gives one number per channel and image: all its units share one normalisation.
        axes = (0, 1, 2) if x.ndim == 4 else None
        mean, deviation = (np.broadcast_to(f(axis=axes), x.shape[-1:]) for f in (x.mean, x.std))
        deviation = deviation + 1e-6
        z = (x - mean) / deviation - offset
        z = np.random.default_rng(0).permutation(z.ravel())[:50_000]
        gamma = brentq(lambda g, z=z: transfer_function(g * z, RESNET_M_F).mean() - activation, 1e-3, 1e3, rtol=1e-3)
        ones = np.ones_like(mean)
        layer.set_weights([gamma * ones, -offset * gamma * ones, mean, deviation**2 - layer.epsilon])


def graph_of_rate(model, image, rate, steps, threads=1):
    """Return the graph with weights for a mean rate in Hz: predicted by the transfer function, corrected by a run."""
    import brainsnn as bs

    offset = OFFSET if rate <= MANY else -OFFSET
    set_rates(model, image, rate, offset)
    snn = bs.convert(bs.read_keras(model), bs.ASN(m_f=RESNET_M_F), device="cpp_standalone", threads=threads)
    # A shorter trial has not settled: its last layers are still silent and its first layers burst.
    measured = snn.run(image[None], duration=max(steps, 300) * bs.ms).mean_firing_rate
    set_rates(model, image, rate * np.clip(rate / max(measured, 1e-9), 0.5, 2), offset)
    return bs.read_keras(model)
