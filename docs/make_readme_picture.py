"""
Draw docs/digits.png, the picture of the README: a test digit in the shipped network, and its decisions over time.

    python docs/make_readme_picture.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn.analysis import accuracy_interval
from brainsnn.plot_style import PALETTE, style
from brainsnn.stimuli import load_digits

IMAGE, N_IMAGES, DURATION = 3, 500, 300 * bs.ms
LAYERS = ("encoding_asn", "conv1", "conv2", "dense1")


def digit(ax, image, label):
    """Draw the image that the network sees."""
    ax.imshow(image[..., 0], cmap="gray_r")
    ax.set(title=f"image: a test digit, {label}", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def decisions(ax, result, labels):
    """Draw the share of right decisions at each step, with its 95% interval."""
    right = np.rint(len(labels) * result.accuracy(labels)).astype(int)
    low, high = np.transpose([accuracy_interval(k, len(labels)) for k in right])
    ax.fill_between(result.times, 100 * low, 100 * high, color=PALETTE[0], alpha=0.3, linewidth=0)
    ax.plot(result.times, 100 * right / len(labels), color=PALETTE[0])
    ax.set(xlabel="time (ms)", ylabel="right (%)", ylim=(0, 103), xlim=(0, result.n_steps * result.dt * 1e3))
    ax.set_title(f"decisions: {100 * right[-1] / len(labels):.1f}% of {len(labels)} test digits (95% interval)")


def main():
    """Run the network and draw."""
    images, labels = load_digits("test")
    record = {layer: ["spikes"] for layer in LAYERS} | {"conv2": ["spikes", "S", "S_hat", "theta"]}
    snn = bs.convert(bs.load_model("digits"), record=record)
    one = snn.run(images[IMAGE : IMAGE + 1], duration=DURATION)
    liveliest = int(np.bincount(one.spikes["conv2"][0][0]).argmax())
    many = bs.convert(bs.load_model("digits")).run(images[:N_IMAGES], duration=DURATION)
    with style(), plt.rc_context({"font.size": 8, "axes.titlesize": 9}):
        figure = plt.figure(figsize=(10, 4.6), layout="constrained")
        grid = figure.add_gridspec(2, 3, width_ratios=(1.1, 1.3, 1.5), height_ratios=(1, 1.1))
        left, raster, traces, right = (
            figure.add_subplot(part) for part in (grid[0, 0], grid[:, 1], grid[0, 2], grid[1, 2])
        )
        digit(left, images[IMAGE], labels[IMAGE])
        maps = bs.plot.feature_maps(one, "conv1", ax=figure.add_subplot(grid[1, 0]))
        maps.set_title("feature maps of conv1")
        bs.plot.raster(one, ax=raster).set_title("spikes of all layers")
        bs.plot.traces(one, "conv2", liveliest, ax=traces)
        traces.legend(loc="upper right", ncols=3, bbox_to_anchor=(1, 0.92), fontsize=8)
        traces.set_title("one neuron of conv2 and its threshold", fontsize=9)
        decisions(right, many, labels[:N_IMAGES])
        path = Path(__file__).with_name("digits.png")
        figure.savefig(path, dpi=130)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
