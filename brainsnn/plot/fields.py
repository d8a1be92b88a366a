"""What attention and gates do to an image."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from brainsnn.attention import Attention
from brainsnn.attention.fields import Field
from brainsnn.one_line import brief
from brainsnn.plain_arrays import finite_array, is_number, whole_number
from brainsnn.plot.panels import colour_bar, panel
from brainsnn.plot_style import PALETTE
from brainsnn.results.drawn import drawn_array, one_result, only_of_results, positive_time
from brainsnn.results.selection import chosen_image

if TYPE_CHECKING:
    from brian2 import Quantity
    from matplotlib.axes import Axes

    from brainsnn.results import Result

__all__ = ["attention_field", "gate"]


def attention_field(
    field: "Attention | Field | ArrayLike",
    image: ArrayLike | None = None,
    index: int = 0,
    shape: tuple[int, int] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """
    Draw an attention field over an image.

    Parameters
    ----------
    field : `~brainsnn.attention.Attention` or `~brainsnn.attention.fields.Field` or (H, W) array_like
        Of an attention, its field. An array, also of shape (H, W, 1), holds the modulation.
    image : (H, W) or (H, W, 1 or 3) array_like, optional
        Picture under the field, with values from 0 to 1.
    index : int, optional
        Image whose cue is drawn, where each has its own.
    shape : (H, W), optional
        Where the field is computed, and its height and width in the picture; by default those of the image, or else of an
        array, or 100 x 100.
    ax : `matplotlib.axes.Axes`, optional

    Returns
    -------
    ax : `matplotlib.axes.Axes`
        Lines join equal modulation; 0 is no change.

    Raises
    ------
    ValueError
        If the field or the image does not have the axes above, holds no value or one that is not finite, or the image has
        values beyond 0 and 1; or if ``shape`` is not two whole numbers, 1 or greater.
    IndexError
        If the field has no cue for this index.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.stimuli import load_digits
    >>> cue = bs.SpatialAttention((0.3, 0.6), 0.2, output_gain=0.3)
    >>> ax = bs.plot.attention_field(cue, load_digits("test")[0][0])
    """
    picture = None if image is None else _picture(image)
    values = _modulation(field, index, _height_and_width(shape, picture))
    rows, columns = values.shape
    shape = _height_and_width(shape, values if picture is None else picture)
    extent = (-0.5, shape[1] - 0.5, shape[0] - 0.5, -0.5)
    with panel(ax, "plot.attention_field", 0.85) as ax:
        if picture is not None:
            ax.imshow(picture, cmap="gray", vmin=0, vmax=1, extent=extent)
        limit = max(float(np.abs(values).max()), 1e-12)
        shown = ax.imshow(
            values, cmap="PuOr_r", vmin=-limit, vmax=limit, extent=extent, alpha=1.0 if picture is None else 0.55,
            interpolation="bilinear",
        )  # fmt: skip
        x, y = (np.arange(columns) + 0.5) * shape[1] / columns - 0.5, (np.arange(rows) + 0.5) * shape[0] / rows - 0.5
        if min(rows, columns) > 1 and np.ptp(values) > 0:
            ax.contour(x, y, values, levels=4, colors="black", linewidths=0.6)
        ax.set(xticks=[], yticks=[])
        colour_bar(ax, shown, "modulation")
    return ax


def _picture(image):
    """Return an image without an axis for a single channel."""
    image = finite_array(image, "plot.attention_field: image")
    if image.ndim not in (2, 3) or image.ndim == 3 and image.shape[2] not in (1, 3):
        raise ValueError(
            f"plot.attention_field: an image of shape {image.shape}; expected (rows, columns) or (rows, columns, 1 or 3)."
        )
    if image.min() < -1e-6 or image.max() > 1 + 1e-6:
        raise ValueError(
            f"plot.attention_field: the image has values from {image.min():g} to {image.max():g}, which would be cut at 0 and "
            "1; give values from 0 to 1, such as image/255."
        )
    return image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image


def _height_and_width(shape, like):
    """Return height and width: those that are given, or else those of an array, or 100 x 100."""
    if shape is None:
        return (100, 100) if like is None else like.shape[:2]
    if (
        not isinstance(shape, Sequence)
        or len(shape) != 2
        or not all(is_number(k, low=1) and int(k) == k for k in shape)
    ):
        raise ValueError(
            f"plot.attention_field: shape={shape!r} must be two whole numbers, 1 or greater, such as (32, 32)."
        )
    return int(shape[0]), int(shape[1])


def _modulation(field, index, shape):
    """Return the modulation of a field of this height and width, (H, W) ndarray; that of an array as it is."""
    own = field.field if isinstance(field, Attention) else field
    n_images = own.n_images if isinstance(own, Field) else None
    try:
        index = whole_number(index, "index", 0, None if n_images is None else n_images - 1)
    except ValueError as error:
        raise IndexError(f"plot.attention_field: {error} It is the image whose cue is drawn.") from None
    if not isinstance(own, Field):
        values = finite_array(own, "plot.attention_field: field")
        values = values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values
        if values.ndim != 2:
            raise ValueError(
                f"plot.attention_field: a field of shape {values.shape}; expected (rows, columns), or an Attention or a Field."
            )
        return values
    if own.layer_names:
        raise ValueError(
            f"plot.attention_field: the field names layers, {sorted(own.layer_names)}, and differs between them; draw the field "
            "of a location alone, or one of them: field.plot(layer=..., shape=...)."
        )
    try:
        return np.broadcast_to(own.modulation((*shape, 1), index), (*shape, 1))[..., 0]
    except ValueError as error:  # such as one of features
        raise ValueError(
            f"plot.attention_field: field={brief(own)} gives other values for each channel, and a picture shows one. {error}"
        ) from None


def gate(
    result: "Result | tuple[ArrayLike, ArrayLike]",
    images: ArrayLike | None = None,
    image: int = 0,
    ax: "Axes | None" = None,
    dt: "float | Quantity | None" = None,
) -> "Axes":
    """
    Draw how much of an image a predictive gate lets through, and how wrong its prediction is, over time.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result` or tuple of two (n_steps,) array_like
        Of a network with predictive feedback that records. Or, of any network, the open share of an image, from 0 to 1, and the
        error of its prediction as a share of the image, 0 or greater, at each step.
    images : (n, H, W, C) array_like
        The images of the run of a result.
    image : int, optional
        Image of a result.
    ax : `matplotlib.axes.Axes`, optional
    dt : float or `~brian2.units.fundamentalunits.Quantity`, optional
        Time step of two arrays, in seconds; a result has its own.

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    ValueError
        If predictions were not recorded, the images do not fit the result, or the image is 0 everywhere: it has no intensity of
        which a share could be drawn. If arrays come without ``dt``, with images or an image, or are not such shares; or a result
        comes with ``dt``.
    IndexError
        If the image does not exist.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.feedback import trained_options
    >>> from brainsnn.stimuli import load_digits
    >>> options = trained_options("digits_feedback_if", mode="sticky")
    >>> snn = bs.convert(bs.load_model("digits_feedback_if"), **options)
    >>> images = load_digits("test")[0][:1]
    >>> ax = bs.plot.gate(snn.run(images, 50 * bs.ms), images)
    >>> ax = bs.plot.gate(([1.0, 0.8, 0.5], [1.0, 0.6, 0.3]), dt=10 * bs.ms)
    """
    if isinstance(result, tuple):
        opened, error = _given_shares(result)
        only_of_results("plot.gate", "result", result, images=(images, None), image=(image, 0))
        dt = positive_time(dt, "plot.gate: dt", "1*ms")
    else:
        opened, error = _shares(result, images, image)
        if dt is not None:
            raise ValueError(f"plot.gate: dt={dt!r} goes with two arrays, and a Result has its own; leave dt out.")
        dt = result.dt
    times = np.arange(len(opened)) * dt * 1e3
    with panel(ax, "plot.gate") as ax:
        ax.plot(times, 100 * opened, color=PALETTE[0], label="open part of the image")
        ax.plot(times, 100 * error, color=PALETTE[1], linestyle="--", label="prediction error")
        ax.set(xlabel="time (ms)", ylabel="share of the intensity (%)", xlim=(0, len(opened) * dt * 1e3))
        ax.set_ylim(0, None)
        ax.legend()
    return ax


def _given_shares(shares):
    """Return the open share and the error of the prediction that are given, (n_steps,) each."""
    about = "plot.gate: result"
    if len(shares) != 2:
        raise ValueError(
            f"{about}={brief(shares)} must be a Result, or a tuple of the open share and the error at each step."
        )
    opened, error = (drawn_array(own, f"{about}[{k}]", ("steps",)) for k, own in enumerate(shares))
    if len(opened) != len(error):
        raise ValueError(f"{about} holds {len(opened)} open shares and {len(error)} errors; give both at each step.")
    if opened.min() < 0 or opened.max() > 1 or error.min() < 0:
        raise ValueError(
            f"{about} has values from {opened.min():g} to {opened.max():g} (open share) and from {error.min():g} (error); the "
            "open share lies between 0 and 1, and the error is 0 or greater."
        )
    return opened, error


def _shares(result, images, image):
    """Return the open share of an image of a result and the error of its prediction, (n_steps,) each."""
    one_result(result, "plot.gate: result", "a tuple of the open share and the error at each step")
    image = chosen_image(image, result.n_images, "plot.gate")
    opened, predicted = result.openness[image], result.predicted_input[image]
    shown = drawn_array(
        images, "plot.gate: images", ("images", "rows", "columns", "channels"), other="the images of the run, "
    )
    if shown.shape != (result.n_images, *opened.shape[1:]):
        raise ValueError(
            f"plot.gate: images of shape {shown.shape} for {result.n_images} results of {opened.shape[1:]}; give the images of "
            "the run."
        )
    pixels = np.abs(shown[image])
    axes = tuple(range(1, opened.ndim))
    total = float(pixels.sum())
    if total == 0:
        raise ValueError(
            f"plot.gate: image={image} is 0 everywhere, without intensity to draw shares of; choose another one."
        )
    return (opened * pixels).sum(axis=axes) / total, np.abs(predicted - shown[image]).sum(axis=axes) / total
