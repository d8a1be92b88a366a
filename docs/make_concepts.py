"""
Draw the picture of each page in docs/concepts/ as docs/concepts/<page>.svg.

    python docs/make_concepts.py [page ...]

Curves are those of the package's own neurons, fields.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import brian2 as b2
import matplotlib.pyplot as plt
import numpy as np
from brian2 import ms
from matplotlib.patches import FancyBboxPatch, Rectangle

import brainsnn as bs
from brainsnn.plot_style import PALETTE, style

FOLDER = Path(__file__).parent / "concepts"
BLUE, RED, *_ = PALETTE
FILLS = {"network": "#dbe9f6", "input": "#fde8d3", "spikes": "#e3f2dd", "other": "#eeeeee"}


# Boxes and arrows ----------------------------------------------------------------------------------
def canvas(width, height):
    """Return axes without frame, in which a unit is an inch."""
    figure, ax = plt.subplots(figsize=(width, height))
    figure.subplots_adjust(0, 0, 1, 1)
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.axis("off")
    return ax


def box(ax, x, y, width, height, text, fill="other", **text_style):
    """Draw a box around a text; (x, y) is its lower left corner."""
    shape = FancyBboxPatch(
        (x, y), width, height, boxstyle="round,pad=0,rounding_size=0.06",
        facecolor=FILLS[fill], edgecolor="0.5",
    )  # fmt: skip
    ax.add_patch(shape)
    centre = x + width / 2, y + height / 2
    ax.text(*centre, text, ha="center", va="center", fontsize=9, linespacing=1.3, **text_style)


def arrow(ax, start, end, text="", colour="0.3", bend=0.0, at=(0, 0.09), **text_style):
    """Draw an arrow with a text at its middle."""
    shape = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=shape | {"connectionstyle": f"arc3,rad={bend}"})
    middle = (np.array(start) + end) / 2 + at
    ax.text(*middle, text, ha="center", fontsize=8.5, color=colour, **text_style)


# Pages -----------------------------------------------------------------------------------------------
def neurons():
    """One ASN with a current that comes and goes: S, S_hat, theta and spikes."""
    b2.prefs.codegen.target = "numpy"
    b2.set_device("runtime")
    model = bs.ASN(m_f=0.3)
    values = model.parameters
    constants = {name: value for name, value in values.items() if name.startswith("tau")}
    group = b2.NeuronGroup(
        1, model.equations, threshold=model.threshold, reset=model.reset, method="exponential_euler",
        namespace=constants, dt=0.5 * ms,
    )  # fmt: skip
    group.set_states({"gain": 1.0, "m_f": 0.3, "h": values["h"]})
    monitor = b2.StateMonitor(group, ["S", "S_hat", "theta"], record=True)
    spikes = b2.SpikeMonitor(group)

    @b2.network_operation(dt=0.5 * ms)
    def current(t):
        group.I = 1.2 if 20 * ms <= t < 140 * ms else 0.0

    b2.Network(group, monitor, spikes, current).run(260 * ms)
    figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
    t, s, s_hat, theta = (monitor.t / ms, monitor.S[0], monitor.S_hat[0], monitor.theta[0])
    ax.plot(t, s, color=BLUE, label="S: what comes in")
    ax.plot(t, s_hat, color=RED, label=r"$\hat{S}$: what spikes have reported")
    ax.fill_between(t, s_hat, s_hat + theta / 2, color=RED, alpha=0.15, lw=0, label=r"a spike at $\hat{S}+\theta/2$")
    ax.plot(spikes.t / ms, np.full(len(spikes.t), 1.95), "|", color="0.2", ms=9, label="spikes")
    ax.set(xlabel="time (ms)", ylabel="activation", xlim=(0, 260), ylim=(-0.05, 2.1))
    ax.legend(loc="center right")
    return figure


def conversion():
    """Layers of a Keras model, and what they become."""
    ax = canvas(7, 3.5)
    layers = ["image", "Conv2D", "BatchNormalization", "ReLU", "AveragePooling2D", "Conv2D", "ReLU", "Dense"]
    for k, layer in enumerate(layers):
        fill = "spikes" if layer in ("image", "ReLU", "Dense") else "network"
        box(ax, 0.3, 2.95 - k * 0.4, 1.9, 0.32, layer, fill)
    groups = {0: "NeuronGroup: input", 3: "NeuronGroup: spiking", 6: "NeuronGroup: spiking", 7: "NeuronGroup: readout"}
    for k, text in groups.items():
        y = 2.95 - k * 0.4
        box(ax, 4.6, y, 2.1, 0.32, text, "spikes")
        arrow(ax, (2.25, y + 0.16), (4.55, y + 0.16), colour="0.6")
    for first, last, text in (
        (0, 3, "one kernel and a bias"),
        (3, 6, "pooling and kernel,\none operator"),
        (6, 7, "weights"),
    ):
        start, end = 2.95 - first * 0.4, 2.95 - last * 0.4 + 0.32
        arrow(ax, (5.65, start), (5.65, end), colour=BLUE)
        if last - first > 1:
            ax.text(5.55, (start + end) / 2, text, fontsize=8.5, color=BLUE, va="center", ha="right")
    ax.text(1.25, 3.34, "trained layers", ha="center", fontsize=9, weight="bold")
    ax.text(5.65, 3.34, "spiking network", ha="center", fontsize=9, weight="bold")
    return ax.figure


def schedule():
    """When the spike of a first layer can act in the others, in both schedules."""
    ax, layers, steps = canvas(7, 2.7), ["input", "layer 1", "layer 2", "readout"], 5
    for left, title, slope in ((0.9, "pipelined", 1), (4.1, "synchronous", 0)):
        ax.text(left + 1.25, 2.48, title, ha="center", fontsize=10, weight="bold")
        for t in range(steps):
            ax.text(left + 0.25 + t * 0.5, 0.28, f"{t}", ha="center", fontsize=9)
            for k in range(len(layers)):
                acts = t == k * slope
                shape = Rectangle(
                    (left + t * 0.5, 2.0 - k * 0.45),
                    0.5,
                    0.4,
                    facecolor=FILLS["spikes" if acts else "other"],
                    edgecolor="white",
                )
                ax.add_patch(shape)
        for k in range(len(layers) - 1):
            here = np.array([left + 0.25 + k * slope * 0.5, 2.2 - k * 0.45])
            arrow(ax, here, here + [slope * 0.5, -0.45], colour=BLUE)
        ax.text(left + 1.25, 0.06, "step", ha="center", fontsize=9)
    for k, layer in enumerate(layers):
        ax.text(0.82, 2.2 - k * 0.45, layer, ha="right", va="center", fontsize=9)
    return ax.figure


def convolutions():
    """A neuron that spikes, and the targets that follow from the geometry."""
    ax, kernel = canvas(7, 2.6), np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    blues = plt.get_cmap("Blues")

    def grid(left, n, values, title):
        for row in range(n):
            for column in range(n):
                value = values[row, column]
                colour = blues(0.1 + 0.07 * value) if value else "#f4f4f4"
                corner = left + column * 0.27, 2.0 - row * 0.27
                ax.add_patch(Rectangle(corner, 0.27, 0.27, facecolor=colour, edgecolor="white"))
                if 0 < value < 10:
                    ax.text(corner[0] + 0.135, corner[1] + 0.135, f"{value:.0f}", ha="center", va="center", fontsize=8)
        ax.text(left + n * 0.135, 2.38, title, ha="center", fontsize=9)

    spike, targets = np.zeros((7, 7)), np.zeros((7, 7))
    spike[2, 3] = 12
    targets[1:4, 2:5] = kernel[::-1, ::-1]
    grid(0.3, 7, spike, "a neuron spikes")
    grid(3.05, 3, kernel, "kernel, stored once")
    grid(4.75, 7, targets, "its targets and weights")
    ax.plot(0.3 + 3.5 * 0.27, 2.0 - 1.5 * 0.27, "*", color="white", ms=7)
    arrow(ax, (2.3, 0.75), (4.65, 0.75), "row, column, stride, padding", colour=BLUE)
    return ax.figure


def attention():
    """The field around a cue, and the parameters along its middle row, neutral and attended."""
    figure, axes = plt.subplots(1, 4, figsize=(7, 1.9), layout="constrained")
    field, n = bs.GaussianField((0.5, 0.3), 0.18), 41
    limit = np.abs(field.modulation((n, n))).max()
    axes[0].imshow(field.modulation((n, n)), cmap="RdBu_r", vmin=-limit, vmax=limit, extent=(0, 1, 1, 0))
    axes[0].plot(0.3, 0.5, "+", color="0.2")
    axes[0].set(title="field R, + cue", xticks=[0, 1], yticks=[0, 1])
    changed = {
        "input gain": ("input_gain", "gain"),
        "output gain": ("output_gain", "h"),
        "precision": ("precision", "m_f"),
    }
    model, places = bs.ASN(m_f=0.45), (np.arange(n) + 0.5) / n
    parameters = {name: np.array(value) for name, value in model.parameters.items()}
    for ax, colour, (title, (mechanism, name)) in zip(axes[1:], PALETTE, changed.items()):
        strength = {"input_gain": 0.15, "output_gain": 0.3, "precision": 0.45}[mechanism]
        values = bs.Attention(field, **{mechanism: strength}).parameters_for("layer", (n, n, 1), parameters, model)[
            name
        ]
        ax.plot(places, np.reshape(values, (n, n))[n // 2], color=colour)
        ax.axhline(model.parameters[name], color="0.6", lw=0.8, ls="--")
        ax.axvline(0.3, color="0.6", lw=0.8, ls=":")
        ax.set(title=f"{title}: {name}", xlabel="column / width", xlim=(0, 1), xticks=[0, 1])
    return figure


def prediction():
    """The way from the pixels to the prediction and back to the gate."""
    ax = canvas(7, 2.3)
    box(ax, 0.15, 1.4, 1.0, 0.5, "pixels x", "input")
    box(ax, 1.75, 1.4, 1.15, 0.5, "input neurons", "spikes")
    box(ax, 3.5, 1.4, 1.35, 0.5, "convolutions:\nfeatures", "network")
    box(ax, 5.6, 1.4, 1.2, 0.5, "dense layers:\ndecision", "network")
    box(ax, 3.5, 0.25, 1.35, 0.5, "generator:\nprediction p", "network")
    box(ax, 1.45, 0.25, 1.75, 0.5, r"gate: $|p - x| \leq \epsilon$?", "input")
    arrow(ax, (1.15, 1.65), (1.75, 1.65))
    arrow(ax, (2.9, 1.65), (3.5, 1.65), "spikes")
    arrow(ax, (4.85, 1.65), (5.6, 1.65))
    arrow(ax, (4.17, 1.4), (4.17, 0.75), colour=BLUE)
    arrow(ax, (3.5, 0.5), (3.2, 0.5), colour=BLUE)
    arrow(ax, (2.32, 0.75), (2.32, 1.4), "yes: close", at=(0.45, -0.03), colour=RED)
    arrow(ax, (0.65, 1.4), (1.45, 0.5), colour="0.6")
    return ax.figure


def devices():
    """One network, five devices, one kind of result."""
    ax, y = canvas(7, 2.7), 1.1
    box(ax, 0.1, y, 1.1, 0.55, "trained\nnetwork", "network")
    box(ax, 1.6, y, 1.3, 0.55, "Brian2 objects\nand equations", "network")
    names = {
        "runtime": "library in this process", "cpp_standalone": "a program in C++", "cuda_standalone": "a program in CUDA",
        "genn": "GeNN, processor", "genn_cuda": "GeNN, GPU",
    }  # fmt: skip
    for k, (name, text) in enumerate(names.items()):
        bottom = 2.22 - k * 0.52
        box(ax, 3.5, bottom, 2.1, 0.44, f"{name}\n{text}", "spikes")
        arrow(ax, (2.9, y + 0.27), (3.5, bottom + 0.22), colour="0.6")
        arrow(ax, (5.6, bottom + 0.22), (6.05, y + 0.27), colour="0.6")
    box(ax, 6.05, y, 0.85, 0.55, "Result", "other")
    arrow(ax, (1.2, y + 0.27), (1.6, y + 0.27))
    return ax.figure


def trials():
    """Three trials: what each begins with, and when its image is shown."""
    ax, length = canvas(7, 2.0), 1.9
    for k in range(3):
        left = 0.95 + k * (length + 0.12)
        for start, end, fill, text in (
            (0, 0.5, "other", "gray"),
            (0.5, 1.5, "input", f"image {k}"),
            (1.5, length, "other", "gray"),
        ):
            box(ax, left + start, 1.05, end - start, 0.38, text, fill)
        ax.plot([left, left], [0.45, 1.65], color=RED, lw=1.2)
        ax.text(left + 0.05, 1.6, f"seed and image {k}:\nits random numbers", fontsize=8, va="center", color=RED)
        ax.text(left + 0.5, 0.88, "onset", ha="center", fontsize=8)
        ax.text(left + 1.5, 0.88, "offset", ha="center", fontsize=8)
        ax.text(left + 0.05, 0.52, "all variables have\ntheir declared values", fontsize=8, va="center")
    ax.text(0.85, 1.24, "input", ha="right", va="center", fontsize=9)
    arrow(ax, (0.95, 0.22), (6.9, 0.22), "time", colour="0.6", at=(0, -0.17))
    return ax.figure


def draw(pages):
    """Draw pages by their names."""
    for page in pages:
        with style():
            figure = DRAWINGS[page]()
            figure.savefig(FOLDER / f"{page}.svg", metadata={"Date": None})
            plt.close(figure)


PAGES = (neurons, conversion, schedule, convolutions, attention, prediction, devices, trials)
DRAWINGS = {f.__name__: f for f in PAGES}
if __name__ == "__main__":
    draw(sys.argv[1:] or DRAWINGS)
