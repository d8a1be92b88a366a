"""A feature map over time, as a film."""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brainsnn.files import checked_path, write_atomically
from brainsnn.plain_arrays import whole_number
from brainsnn.plot.maps import mosaic, spike_maps
from brainsnn.plot.panels import COLUMN, map_picture, panel
from brainsnn.results.drawn import one_result
from brainsnn.results.selection import chosen_image

if TYPE_CHECKING:
    from brainsnn.results import Result

__all__ = ["feature_movie"]

WRITERS = {".gif": "pillow", ".mp4": "ffmpeg"}


def feature_movie(
    result: "Result", layer: str, path: str | PathLike[str], image: int = 0, window: int = 20, fps: int = 10
) -> Path:
    """
    Write a film of the firing rates of a layer: its channels side by side, a frame for each window of time.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    layer : str
        Its spikes must have been recorded.
    path : str or path-like
        ``.gif``, or ``.mp4`` where the program ffmpeg is installed. A file is replaced when the new one is complete.
    image : int, optional
    window : int, optional
        Steps of a frame. Steps after the last whole window are left out.
    fps : int, optional
        Frames per second, 1 to 100: GIF files count in hundredths of a second.

    Returns
    -------
    path : `~pathlib.Path`

    Raises
    ------
    UnknownNameError, IndexError
        If the spikes of the layer were not recorded, or the image does not exist.
    ValueError
        If the suffix is unknown, the window is longer than the trial, or a number is not a whole one in its range.
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
    """
    import matplotlib.pyplot as plt
    from matplotlib import animation

    about = "plot.feature_movie"
    one_result(result, f"{about}: result")
    target = _target(path, about)
    image, name = chosen_image(image, result.n_images, about), result.spikes.name_of(layer)
    window, fps = whole_number(window, f"{about}: window", 1), whole_number(fps, f"{about}: fps", 1, 100)
    if window > result.n_steps:
        raise ValueError(f"{about}: window={window} steps, and the trial has {result.n_steps}; give as many or fewer.")
    starts = range(0, result.n_steps - window + 1, window)
    frames = [mosaic(spike_maps(result, name, image, start, start + window)) for start in starts]
    with panel(None, about, 0.9) as ax:
        shown = map_picture(ax, frames[0], "viridis", "firing rate (Hz)", (0, 1))
        shown.set_clim(0, max((float(rates.max()) for rates in map(_finite, frames) if rates.size), default=0.0) or 1.0)
        title = ax.set_title(" ")
        ax.figure.set_size_inches(COLUMN, 0.9 * COLUMN)

        def draw(k):
            """Show a frame."""
            shown.set_data(frames[k])
            begin, end = starts[k] * result.dt * 1e3, (starts[k] + window) * result.dt * 1e3
            title.set_text(f"{name}, {begin:g} to {end:g} ms")
            return shown, title

        film = animation.FuncAnimation(ax.figure, draw, frames=len(frames), blit=False)
        with write_atomically(target) as file:
            temporary = Path(file.name).with_suffix(
                ".film" + target.suffix.lower()
            )  # the writers open a file by its name
            try:
                film.save(temporary, writer=WRITERS[target.suffix.lower()], fps=fps, dpi=150)
                file.write(temporary.read_bytes())
            finally:
                temporary.unlink(missing_ok=True)
        plt.close(ax.figure)
    return target


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


def _finite(values):
    return values[np.isfinite(values)]
