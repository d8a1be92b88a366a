"""The images of a run in a report: pictures with label and decision, and what the settings say of them."""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np

from brainsnn.plain_arrays import finite_array, is_number
from brainsnn.report.settings import presentation_of
from brainsnn.results.selection import N_FIRST

__all__ = ["chosen_inputs", "inputs_of", "pictures_of"]

#: Rows and columns beyond which a picture is thinned out.
SIZE = 256
WHAT = "Result.report: images"


def chosen_inputs(result, images):
    """
    Return the images of a run, after checking that they are those.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    images : (n, H, W, C) array_like or None
        Of a run that ended early, all images that were given to it, or the complete ones.

    Returns
    -------
    images : (n_images, H, W, C) ndarray or None

    Raises
    ------
    ValueError
        If number, shape or range are not those of the run.
    """
    if images is None:
        return None
    images, (shape, *limits) = finite_array(images, WHAT), _noted(result)
    if images.ndim != 4 or shape is not None and list(images.shape[1:]) != shape:
        wanted = "rows, columns, channels" if shape is None else ", ".join(map(str, shape))
        raise ValueError(f"{WHAT} of shape {images.shape}; the run had images of (n, {wanted}). Give those.")
    complete, n = result.settings.get("images"), result.n_images
    if len(images) != n and not (_is_part(result) and max(complete) < len(images)):
        raise ValueError(
            f"{WHAT}: got {len(images)}, and the result is of {n}. Give all images of the run, in their order."
        )
    if shape is not None and not complete and not np.allclose(_range(images), limits, rtol=1e-5):
        (low, high), limits = _range(images), "{:g} to {:g}".format(*limits)
        raise ValueError(
            f"{WHAT} from {low:g} to {high:g}; those of the run went from {limits}. Give the images as they were run."
        )
    first = result.first_images
    if (
        first is not None
        and (len(images) > n or not complete)
        and not np.allclose(images[: len(first)], first, rtol=1e-5)
    ):
        raise ValueError(
            f"{WHAT} are not those of the run, which the result holds. Give those, in their order, or leave them out."
        )
    return images[complete] if len(images) > n else images


def _is_part(result):
    """Whether the settings say which images are complete, after a run that ended early."""
    complete = result.settings.get("images")
    named = isinstance(complete, list) and complete and len(complete) == result.n_images
    return bool(named) and all(type(k) is int for k in complete)


def _noted(result):
    """Return shape, smallest and largest value of the images that the settings name; None where they do not."""
    about = result.settings.get("input")
    if isinstance(about, dict) and isinstance(about.get("shape"), list):
        limits = about.get("smallest"), about.get("largest")
        if all(map(is_number, limits)):
            return about["shape"], *limits
    return None, None, None


def _range(images):
    return float(images.min()), float(images.max())


def inputs_of(result, images):
    """
    Return what is known of the images: number, shape, range, and when they were on.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    images : (n, H, W, C) ndarray or None
        From `chosen_inputs`.

    Returns
    -------
    rows : list of (str, str)
    """
    rows, (shape, low, high) = [("images", f"{result.n_images:,}")], _noted(result)
    if shape is None and images is not None:
        shape, (low, high) = images.shape[1:], _range(images)
    if shape is None:
        return rows + presentation_of(result)
    size = " x ".join(map(str, shape))
    return [*rows, ("rows x columns x channels", size), ("range", f"{low:g} to {high:g}"), *presentation_of(result)]


def pictures_of(result, images, image):
    """
    Draw the first images, and the one whose spikes are drawn if all images are given.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    images : (n, H, W, C) ndarray or None
        From `chosen_inputs`.
    image : int

    Returns
    -------
    pictures : list of (str, str)
        Caption with label and decision, and the picture as a data URI. All have the same range from dark to light.
    """
    if images is None and (result.first_images is None or _is_part(result)):
        return []
    (low, high), found = _noted(result)[1:] if images is None else _range(images), []
    images = result.first_images if images is None else images
    shown = sorted({*range(min(N_FIRST, len(images))), image} & {*range(len(images))})
    decisions = result.output[:, -1].argmax(axis=1) if result.outputs and result.n_steps else None
    for k in shown:
        caption = f"image {k}" + (f", label {result.labels[k]}" if result.labels is not None else "")
        caption += "" if decisions is None else f", decision {decisions[k]}"
        found.append((caption, _picture((images[k] - low) / ((high - low) or 1))))
    return found


def _picture(values):
    """Return values from 0 to 1 as a picture; channels that are not colours are averaged."""
    step = -(-max(values.shape[:2]) // SIZE)
    values, buffer = values[::step, ::step], io.BytesIO()
    colours = values if values.shape[2] == 3 else np.repeat(values.mean(axis=2, keepdims=True), 3, axis=2)
    plt.imsave(buffer, np.ascontiguousarray(np.rint(colours * 255).astype(np.uint8)), format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
