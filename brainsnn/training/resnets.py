"""The residual networks of Soerensen et al. (2022), with `ASNTransfer` after each addition or before each convolution."""

from functools import partial

import keras
from keras import layers

from brainsnn.training.asn_transfer import ASNTransfer
from brainsnn.training.blocks import normalised_asn

__all__ = ["asn_resnet"]

#: depth -> (blocks of each stage, bottleneck blocks?)
DEPTHS = {
    18: ((2, 2, 2, 2), False), 34: ((3, 4, 6, 3), False), 50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True), 152: ((3, 8, 36, 3), True),
}  # fmt: skip
ORDERS = ("post_activation", "pre_activation")
#: stem -> (size of the kernel, stride, default number of filters, 3x3 maximum pooling of stride 2?)
STEMS = {"large": (7, 2, 64, True), "medium": (5, 1, 16, True), "small": (3, 1, 16, False)}
#: Images with at most this many rows get the small stem, and one stage less.
SMALL_INPUT = 32
#: Weight decay of the kernels of convolutions.
L2 = 1e-4


def asn_resnet(
    depth=18, order="post_activation", classes=8, input_shape=(224, 224, 3), *, m_f=0.1, width=None, stem=None,
    classifier_activation="sigmoid", l2=L2, name=None,
):  # fmt: skip
    """
    Build a residual network of Soerensen et al. (2022), which converts layer by layer into spiking neurons.

    BN and ASN on the pixels turn the image into spikes. The stem is convolution, BN, ASN and maximum pooling. At the top
    come BN, ASN, an average over the whole map, and a dense layer.

    Parameters
    ----------
    depth : {18, 34, 50, 101, 152}, optional
        Layers with weights. From 50 on, the blocks are bottlenecks, whose last convolution has 4 times as many filters. The
        stride of a block is in its first convolution.
    order : {"post_activation", "pre_activation"}, optional
        ``"post_activation"``: convolution, BN, ASN, convolution, BN, addition of the shortcut, ASN (He et al. 2015), the network
        of the published experiments. ``"pre_activation"``: BN, ASN, convolution, twice, then the addition (He et al. 2016);
        the first block of the network starts with its convolution, and BN and ASN stand twice at the top.
    classes : int, optional
        Units of the readout.
    input_shape : tuple of int, optional
        (height, width, channels) of an image, values from 0 to 1.
    m_f : float, optional
        Precision of every `ASNTransfer`.
    width : int, optional
        Filters of the stem and of the first stage; they double with each stage. By default 64 with the large stem, else 16.
    stem : {"large", "medium", "small"}, optional
        ``"large"``: a 7x7 convolution of stride 2, then 3x3 maximum pooling of stride 2. ``"small"``: a 3x3 convolution, no
        pooling, and one stage less. By default the small one for images of at most 32 rows, as published. ``"medium"``, for
        images of some 60 rows (not published): a 5x5 convolution of stride 1, then 3x3 maximum pooling of stride 2.
    classifier_activation : str, optional
        "sigmoid" for several objects per image; "softmax" for one, with which the last kernel starts He-normal, else
        Glorot-uniform.
    l2 : float, optional
        Weight decay of the kernels of all convolutions: ``l2`` times the sum of squares is added to the loss.
    name : str, optional
        Name of the model; ``asn_resnet18`` and so on by default.

    Returns
    -------
    model : keras.Model
        Input (n, height, width, channels), output (n, classes). Layers are named after stage and block, such as
        ``stage2_block1_conv1``, ``_bn1``, ``_asn1``, ``_shortcut``, ``_add``; others are ``encoding_asn``, ``stem_conv``,
        ``stem_asn``, ``stem_pool``, ``final_asn``, ``average_pool`` and ``readout``.

    Raises
    ------
    ValueError
        If an argument is not valid.

    Notes
    -----
    All convolutions have biases and start He-normal. Shortcuts are the block's input itself or, where its shape changes, a 1x1
    convolution of it without BN. Read the network with ``bs.read_keras(model, average_pooling="membrane")``, as published: the
    maximum and the average are then taken of membranes.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34. He, Zhang, Ren, Sun (2015), Deep residual
    learning for image recognition, arXiv:1512.03385; (2016), Identity mappings in deep residual networks, ECCV.

    Examples
    --------
    >>> from brainsnn.training import asn_resnet
    >>> model = asn_resnet(18, classes=8, input_shape=(32, 32, 3), width=4)
    >>> model.get_layer("stage1_block1_asn1").m_f, model.output_shape
    (0.1, (None, 8))
    """
    stem = stem or ("small" if min(input_shape[:1] or (0,)) <= SMALL_INPUT else "large")
    _check(depth, order, classes, input_shape, width, stem)
    blocks, bottleneck = DEPTHS[depth]
    size, stride, default_width, pooled = STEMS[stem]
    width = width or default_width
    convolution = partial(_convolution, l2=l2)
    inputs = keras.Input(input_shape, name="pixels")
    x = normalised_asn(inputs, "encoding", m_f)
    x = normalised_asn(convolution(x, width, size, stride, "stem_conv"), "stem", m_f)
    if pooled:
        x = layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    add_block = _post_activation if order == "post_activation" else _pre_activation
    for stage, n_blocks in enumerate(blocks if pooled else blocks[:-1], start=1):
        for block in range(1, n_blocks + 1):
            first_of_stage = block == 1 and stage > 1
            plan = _plan(width * 2 ** (stage - 1), 2 if first_of_stage else 1, bottleneck)
            x = add_block(x, plan, convolution, m_f, f"stage{stage}_block{block}", activated=stage == block == 1)
    x = _top(x, order, m_f)
    start = "he_normal" if classifier_activation == "softmax" else "glorot_uniform"
    outputs = layers.Dense(classes, classifier_activation, kernel_initializer=start, name="readout")(x)
    return keras.Model(inputs, outputs, name=name or f"asn_resnet{depth}")


def _check(depth, order, classes, input_shape, width, stem):
    """Check the arguments that Keras does not check."""
    for argument, value, known in (("depth", depth, DEPTHS), ("order", order, ORDERS), ("stem", stem, STEMS)):
        if value not in known:
            raise ValueError(f"asn_resnet: {argument} must be one of {', '.join(map(repr, known))}, got {value!r}.")
    numbers = {"classes": classes} if width is None else {"classes": classes, "width": width}
    for argument, value in numbers.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"asn_resnet: {argument} must be a positive integer, got {value!r}.")
    if len(input_shape) != 3 or not all(isinstance(size, int) and size > 0 for size in input_shape):
        raise ValueError(f"asn_resnet: input_shape must be (height, width, channels), got {input_shape!r}.")


def _convolution(x, filters, size, stride, name, padding="same", *, l2):
    """Return x after a convolution with bias, He-normal, with weight decay on the kernel alone."""
    return layers.Conv2D(
        filters, size, strides=stride, padding=padding, kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(l2), name=name,
    )(x)  # fmt: skip


def _plan(filters, stride, bottleneck):
    """Return (filters, size, stride) of the convolutions of a block."""
    if bottleneck:
        return [(filters, 1, stride), (filters, 3, 1), (4 * filters, 1, 1)]
    return [(filters, 3, stride), (filters, 3, 1)]


def _post_activation(x, plan, convolution, m_f, name, activated):
    """Return ASN(shortcut(x) + BN(conv(ASN(BN(conv(x))))))."""
    y = x
    for number, (filters, size, stride) in enumerate(plan, start=1):
        y = convolution(y, filters, size, stride, f"{name}_conv{number}")
        if number < len(plan):
            y = normalised_asn(y, name, m_f, number)
    y = layers.BatchNormalization(name=f"{name}_bn{number}")(y)
    y = layers.Add(name=f"{name}_add")([_shortcut(x, y, plan, convolution, name), y])
    return ASNTransfer(m_f, name=f"{name}_asn{number}")(y)


def _pre_activation(x, plan, convolution, m_f, name, activated):
    """Return shortcut(x) + conv(ASN(BN(conv(ASN(BN(x)))))), without the first BN and ASN if x has passed them."""
    y = x
    for number, (filters, size, stride) in enumerate(plan, start=1):
        if not (activated and number == 1):
            y = normalised_asn(y, name, m_f, number)
        y = convolution(y, filters, size, stride, f"{name}_conv{number}")
    return layers.Add(name=f"{name}_add")([_shortcut(x, y, plan, convolution, name), y])


def _shortcut(x, y, plan, convolution, name):
    """Return x or, where y has another shape, a 1x1 convolution of x."""
    if x.shape == y.shape:
        return x
    stride = max(step for _, _, step in plan)
    return convolution(x, y.shape[-1], 1, stride, f"{name}_shortcut", "valid")


def _top(x, order, m_f):
    """Return the features: BN, ASN (twice in the pre-activation network), and the average over the map."""
    if order == "pre_activation":
        x = normalised_asn(x, "last", m_f)
    x = normalised_asn(x, "final", m_f)
    x = layers.AveragePooling2D(x.shape[1:3], strides=1, padding="valid", name="average_pool")(x)
    return layers.Flatten(name="flatten")(x)
