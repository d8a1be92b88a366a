"""A feature map over time, as a film."""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brainsnn.files import checked_path, write_atomically
from brainsnn.plain_arrays import whole_number
from brainsnn.plot.maps import mosaic, spike_maps
from brainsnn.plot.panels import COLUMN, colour_bar, panel
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
        Steps of a frame.
    fps : int, optional
        Frames per second.

    Returns
    -------
    path : `~pathlib.Path`

    Raises
    ------
    UnknownNameError, IndexError
        If the spikes of the layer were not recorded, or the image does not exist.
    ValueError
        If the suffix is unknown, or the window is longer than the trial.
    RuntimeError
        If ffmpeg is needed and not installed.
    """
    import matplotlib.pyplot as plt
    from matplotlib import animation

    target = checked_path(path, "plot.feature_movie: path", is_file=True)
    image = chosen_image(image, result.n_images, "plot.feature_movie")
    window, fps = whole_number(window, "plot.feature_movie: window", 1), whole_number(fps, "plot.feature_movie: fps", 1)
    suffix = target.suffix.lower()
    if suffix not in WRITERS:
        raise ValueError(f"plot.feature_movie: path={str(target)!r} must end in .gif or .mp4.")
    if not animation.writers.is_available(WRITERS[suffix]):
        raise RuntimeError("plot.feature_movie: .mp4 needs the program ffmpeg, which is not installed. Write a .gif.")
    if window > result.n_steps:
        raise ValueError(f"plot.feature_movie: window={window} steps, and the trial has {result.n_steps}.")
    starts = range(0, result.n_steps - window + 1, window)
    frames = [mosaic(spike_maps(result, layer, image, start, start + window)) for start in starts]
    largest = max(float(np.nanmax(frame)) for frame in frames) or 1.0
    with panel(None, 0.9) as ax:
        shown = ax.imshow(frames[0], cmap="viridis", vmin=0, vmax=largest, interpolation="nearest")
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        colour_bar(ax, shown, "firing rate (Hz)")
        title = ax.set_title(" ")
        ax.figure.set_size_inches(COLUMN, 0.9 * COLUMN)

        def draw(k):
            """Show a frame."""
            shown.set_data(frames[k])
            begin, end = starts[k] * result.dt * 1e3, (starts[k] + window) * result.dt * 1e3
            title.set_text(f"{result.shapes.name_of(layer)}, {begin:g} to {end:g} ms")
            return shown, title

        film = animation.FuncAnimation(ax.figure, draw, frames=len(frames), blit=False)
        with write_atomically(target) as file:
            temporary = Path(file.name).with_suffix(".film" + suffix)  # the writers open a file by its name
            try:
                film.save(temporary, writer=WRITERS[suffix], fps=fps, dpi=150)
                file.write(temporary.read_bytes())
            finally:
                temporary.unlink(missing_ok=True)
        plt.close(ax.figure)
    return target
