"""A feature map over time, as a film."""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import ArrayLike

from brainsnn.files import checked_path, write_atomically
from brainsnn.plain_arrays import plain_text, whole_number
from brainsnn.plot.maps import mosaic, spike_maps
from brainsnn.plot.panels import map_picture, panel
from brainsnn.results import Result
from brainsnn.results.drawn import drawn_array, one_result, only_of_results
from brainsnn.results.selection import chosen_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["feature_movie"]

ABOUT = "plot.feature_movie"
WRITERS = {".gif": "pillow", ".mp4": "ffmpeg"}


def feature_movie(
    result: "Result | ArrayLike",
    layer: str | None = None,
    path: str | PathLike[str] | None = None,
    image: int = 0,
    window: int = 20,
    fps: int = 10,
    label: str | None = None,
    ax: "Axes | None" = None,
) -> Path:
    """
    Write a film of the firing rates of a layer: its channels side by side, a frame for each window of time.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result` or (n_frames, H, W, C) array_like
        Or the frames of a film; NaN is white.
    layer : str, optional
        Layer of a result; its spikes must have been recorded.
    path : str or path-like
        ``.gif``, or ``.mp4`` where the program ffmpeg is installed. A file is replaced when the new one is complete.
    image : int, optional
        Image of a result.
    window : int, optional
        Steps of a frame of a result. Steps after the last whole window are left out.
    fps : int, optional
        Frames per second, 1 to 100: GIF files count in hundredths of a second.
    label : str, optional
        What the frames of an array hold, with its unit, for the scale.
    ax : `matplotlib.axes.Axes`, optional
        The film shows the whole figure of these axes, with what else is drawn on it; the last frame stays on them.

    Returns
    -------
    path : `~pathlib.Path`

    Raises
    ------
    UnknownNameError, IndexError
        If the spikes of the layer were not recorded, or the image does not exist.
    ValueError
        If ``path`` is missing or its suffix unknown, the window is longer than the trial, or a number is not a whole one in its
        range; if an array has other axes, holds no value or infinite ones, or comes with a layer, an image or a window.
    FileNotFoundError
        If the folder does not exist.
    RuntimeError
        If ffmpeg is needed and not installed.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.stimuli import load_digits
    >>> snn = bs.convert(bs.load_model("digits"), record={"conv1": ["spikes"]})
    >>> result = snn.run(load_digits("test")[0][:1], 50 * bs.ms)
    >>> bs.plot.feature_movie(result, "conv1", "conv1.gif", window=10).name
    'conv1.gif'
    >>> frames = result.raster("conv1", 0)[0, :5]
    >>> bs.plot.feature_movie(frames, path="spikes.gif", label="spike in this step").name
    'spikes.gif'
    """
    target = _target(path, ABOUT)
    window, fps = whole_number(window, f"{ABOUT}: window", 1), whole_number(fps, f"{ABOUT}: fps", 1, 100)
    label = plain_text("" if label is None else label, f"{ABOUT}: label", "potential (mV)")
    if isinstance(result, Result) or result is None:
        pictures, titles = _rates(result, layer, image, window)
        label = label or "firing rate (Hz)"
    else:
        frames = drawn_array(result, f"{ABOUT}: result", ("frames", "rows", "columns", "channels"), nan=True)
        only_of_results(ABOUT, "result", result, layer=(layer, None), image=(image, 0), window=(window, 20))
        pictures, titles = (
            [mosaic(maps) for maps in frames],
            [f"frame {k + 1} of {len(frames)}" for k in range(len(frames))],
        )
    _write(target, pictures, titles, label or "activity", fps, ax)
    return target


def _rates(result, layer, image, window):
    """Return a picture of the firing rates of a layer for each window of time, and a title for each."""
    one_result(result, f"{ABOUT}: result", "an array of frames")
    image, name = chosen_image(image, result.n_images, ABOUT), result.spikes.name_of(layer)
    if window > result.n_steps:
        raise ValueError(f"{ABOUT}: window={window} steps, and the trial has {result.n_steps}; give as many or fewer.")
    starts = range(0, result.n_steps - window + 1, window)
    pictures = [mosaic(spike_maps(result, name, image, start, start + window)) for start in starts]
    ends = [(start * result.dt * 1e3, (start + window) * result.dt * 1e3) for start in starts]
    return pictures, [f"{name}, {begin:g} to {end:g} ms" for begin, end in ends]


def _write(target, pictures, titles, label, fps, given):
    """Write a film of pictures, all with one scale from 0, or from the smallest value below it."""
    from matplotlib import animation

    values = np.concatenate([picture[np.isfinite(picture)] for picture in pictures])
    with panel(given, ABOUT, 0.9) as ax:
        shown = map_picture(ax, pictures[0], "viridis", label, (0, 1))
        low, high = values.min(initial=0.0), values.max(initial=0.0)
        shown.set_clim(low, high if low < high else 1.0)
        title = ax.set_title(" ")

        def draw(k):
            """Show a frame."""
            shown.set_data(pictures[k])
            title.set_text(titles[k])
            return shown, title

        film = animation.FuncAnimation(ax.figure.figure, draw, frames=len(pictures), blit=False)
        with write_atomically(target) as file:
            temporary = Path(file.name).with_suffix(
                ".film" + target.suffix.lower()
            )  # the writers open a file by its name
            try:
                film.save(temporary, writer=WRITERS[target.suffix.lower()], fps=fps, dpi=150)
                file.write(temporary.read_bytes())
            finally:
                temporary.unlink(missing_ok=True)
        if given is None:
            plt.close(ax.figure)


def _target(path, about):
    """Return the path of a film that can be written."""
    from matplotlib import animation

    target = checked_path(path, f"{about}: path", is_file=True)
    if target.suffix.lower() not in WRITERS:
        raise ValueError(f"{about}: path={str(target)!r} must end in .gif or .mp4.")
    if not animation.writers.is_available(WRITERS[target.suffix.lower()]):
        raise RuntimeError(
            f"{about}: path={str(target)!r} needs the program ffmpeg, which is not installed. Write a .gif."
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{about}: path={str(target)!r} lies in a folder that does not exist; make it first.")
    if target.is_dir():
        raise ValueError(f"{about}: path={str(target)!r} is a folder. Give the name of a file, such as 'film.gif'.")
    return target
