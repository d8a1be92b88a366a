"""Building blocks of the networks: batch normalization with `ASNTransfer`, convolutions, residual blocks."""

from keras import layers

from brainsnn.training.asn_transfer import ASNTransfer

__all__ = ["convolution", "normalised_asn", "residual_block"]


def normalised_asn(x, name, m_f, number=""):
    """Return x after batch normalization and `ASNTransfer`, layers ``NAME_bnNUMBER`` and ``NAME_asnNUMBER``."""
    x = layers.BatchNormalization(name=f"{name}_bn{number}")(x)
    return ASNTransfer(m_f, name=f"{name}_asn{number}")(x)


def convolution(x, n_channels, size, stride, name):
    """Return x after a ``"same"`` convolution without bias."""
    return layers.Conv2D(
        n_channels, size, strides=stride, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)


def residual_block(x, n_channels, stride, bottleneck, m_f, name, activated=False):
    """
    Return x plus two (in a bottleneck, three) times BN -> ASN -> convolution of x.

    Parameters
    ----------
    x : tensor
        (n, H, W, C).
    n_channels, stride : int
        Of the convolutions; a bottleneck ends with four times as many channels.
    bottleneck : bool
    m_f : float
        Precision of the `ASNTransfer` layers.
    name : str
        Start of all layer names.
    activated : bool, optional
        Whether x has already passed the first BN -> ASN.

    Returns
    -------
    tensor
        The shortcut is a 1x1 convolution where the stride or the number of channels changes.
    """
    if bottleneck:
        plan = [(n_channels, 1, 1), (n_channels, 3, stride), (4 * n_channels, 1, 1)]
    else:
        plan = [(n_channels, 3, stride), (n_channels, 3, 1)]
    y = x
    for number, (n_out, size, step) in enumerate(plan, start=1):
        if not (activated and number == 1):
            y = normalised_asn(y, name, m_f, number)
        y = convolution(y, n_out, size, step, f"{name}_conv{number}")
    if stride != 1 or x.shape[-1] != y.shape[-1]:
        x = convolution(x, y.shape[-1], 1, stride, f"{name}_shortcut")
    return layers.Add(name=f"{name}_add")([x, y])
