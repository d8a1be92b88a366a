"""Pictures of predictions over time: ours, and the published animation."""

import io

import matplotlib.pyplot as plt
import numpy as np

from brainsnn.analysis import style

__all__ = ["animated_gif", "blocked_picture", "plot_frames", "published_gif"]

#: Of the published animation: digits in a row of a grid, pixels between them, milliseconds per frame.
PER_ROW, GAP, FRAME_MS = 8, 2, 500


def plot_frames(example, image=0):
    """Plot input spikes, prediction and blocked pixels of one image at several steps."""
    n_steps = example["predictions"].shape[1]
    steps = np.unique(np.linspace(0, n_steps - 1, 9).astype(int))
    with style():
        figure, axes = plt.subplots(3, len(steps) + 1, figsize=(10.5, 3.7), layout="constrained")
        for ax in axes.flat:
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        axes[1, 0].imshow(example["images"][image], cmap="gray", vmin=0, vmax=1)
        axes[1, 0].set_title("image")
        for row, title in enumerate(("input spikes", "prediction", "blocked")):
            axes[row, 1].set_ylabel(title)
        for k, t in enumerate(steps, 1):
            axes[0, k].set_title(f"step {t}")
            axes[0, k].imshow(example["spikes"][image, t], cmap="gray", vmin=0, vmax=1)
            axes[1, k].imshow(example["predictions"][image, t], cmap="gray", vmin=0, vmax=1)
            axes[2, k].imshow(blocked_picture(example, image, t), vmin=0, vmax=1)
    return figure


def blocked_picture(example, image, t):
    """Return the image in gray with blocked pixels tinted, (H, W, 3)."""
    gray = np.repeat(example["images"][image][..., None], 3, axis=2)
    tint = np.array([0.84, 0.37, 0.0])
    blocked = example["blocked"][image, t][..., None]
    return np.where(blocked, 0.35 * gray + 0.65 * tint * (0.25 + 0.75 * gray), gray)


def animated_gif(example, scale=4):
    """Return the bytes of a GIF: a row of image, input spikes, prediction and blocked pixels per image, a frame per step."""
    from PIL import Image

    frames = []
    for t in range(example["predictions"].shape[1]):
        rows = []
        for n in range(len(example["images"])):
            panels = [example["images"][n], example["spikes"][n, t], example["predictions"][n, t]]
            panels = [np.repeat(np.clip(panel, 0, 1)[..., None], 3, axis=2) for panel in panels]
            panels.append(blocked_picture(example, n, t))
            rows.append(np.hstack([np.pad(panel, ((1, 1), (1, 1), (0, 0)), constant_values=0.3) for panel in panels]))
        picture = np.rint(255 * np.vstack(rows)).astype(np.uint8)
        picture = picture.repeat(scale, axis=0).repeat(scale, axis=1)
        frames.append(Image.fromarray(picture))
    buffer = io.BytesIO()
    durations = [120] * (len(frames) - 1) + [1500]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return buffer.getvalue()


def _grid(pictures):
    """Return pictures (n, H, W, C) from 0 to 1 in rows on black, (H, W, 3)."""
    n, height, width, channels = pictures.shape
    rows = -(-n // PER_ROW)
    grid = np.zeros((rows * (height + GAP) + GAP, min(n, PER_ROW) * (width + GAP) + GAP, 3))
    for k, picture in enumerate(np.broadcast_to(pictures, (n, height, width, 3)) if channels == 1 else pictures):
        row, column = (k // PER_ROW) * (height + GAP) + GAP, (k % PER_ROW) * (width + GAP) + GAP
        grid[row : row + height, column : column + width] = picture
    return grid


def published_gif(images, predictions, epsilon, scale=3):
    """
    Return the bytes of the published animation: predictions above, and below in white what is not predicted in this step.

    Parameters
    ----------
    images : (n, H, W, C) ndarray
    predictions : (n, n_steps, H, W, C) ndarray
        Rescaled, as the gate compares them.
    epsilon : float
        The map below is white where the error is not smaller. It is that of each step, not sticky.
    scale : int

    Returns
    -------
    gif : bytes
        Two frames per second, one per step.
    """
    from PIL import Image, ImageDraw

    low = -1 if images.min() < 0 or images.shape[-1] == 3 else 0
    frames = []
    for t in range(predictions.shape[1]):
        q = predictions[:, t]
        active = (np.abs(q - images) >= epsilon).astype(float)
        picture = np.vstack([_grid(np.clip((q - low) / (1 - low), 0, 1)), _grid(active)])
        picture = np.rint(255 * picture).astype(np.uint8).repeat(scale, axis=0).repeat(scale, axis=1)
        frame = Image.fromarray(np.pad(picture, ((20, 0), (0, 0), (0, 0)), constant_values=255))
        ImageDraw.Draw(frame).text((4, 4), f"Timestep:{t}", fill=(0, 0, 0))
        frames.append(frame)
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0, optimize=False)
    return buffer.getvalue()
