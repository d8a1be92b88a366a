"""
Draw docs/architecture.svg: the way of one image from a file to a spike, with the room that does each step.

    python docs/make_architecture.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

#: (room, function or object, what it does)
NETWORK = [
    ("weights/", "digits.keras", "a trained Keras model on disk"),
    ("training/", "load_model", "builds the Keras model;\nexecutes nothing from the file"),
    ("builders/from_keras/", "read_keras", "composes linear layers into one operator each\n(builders/operators/)"),
    ("builders/graph/", "LayerGraph", "populations and projections, plain numpy"),
    (
        "builders/network/",
        "assemble",
        "NeuronGroups with the equations of equations/,\nconnections with the templates of builders/codegen/",
    ),
    ("builders/devices/", "build", "Brian2 generates code, which is compiled once\nand kept in the program cache"),
]
IMAGE = [
    ("a package or folder", "image file", "a digit, a photograph, a scene"),
    ("stimuli/", "load_digits", "an array (n, H, W, C)"),
    ("attention/", "snn.attend", "optional: parameter arrays for the cue of each image"),
    ("builders/spiking_network.py", "snn.run", "makes each image a trial"),
    (
        "builders/trials/",
        "make_trials",
        "checks the images; computes the current that each image\ndrives into the first population; onset, seed",
    ),
    (
        "builders/devices/",
        "Backend.run",
        "for each image: resets the state and gives\nthe trial's arrays to the network",
    ),
]
STEP = [
    ("equations/", "state update", "I, S_dyn, S_hat and theta_dyn\nadvance by dt"),
    ("equations/", "threshold: a SPIKE", "where S - S_hat > theta/2"),
    ("builders/codegen/", "spikes arrive", "I_post += w*h_pre for each\ntarget under the kernel"),
    ("equations/", "reset", "S_hat += theta\ntheta_dyn += m_f*theta"),
]
AFTER = [
    ("builders/network/", "Monitors", "record spikes, states and the readout"),
    ("results/", "Result", "output, spikes and states, in memory or on disk"),
    ("analysis/, sweeps/, studies/", "metrics and grids", "figures, tables and data sets"),
]
COLOURS = {"network": "#dbe9f6", "image": "#fde8d3", "step": "#e3f2dd", "after": "#eeeeee"}
#: Heights of the boxes in a column and in a row.
FLAT, TALL = 0.82, 1.12


def draw_frame(ax, x, y, width, height, **style):
    """Draw a rectangle with round corners; (x, y) is its lower left corner."""
    ax.add_patch(FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=0.08", **style))


def draw_box(ax, x, y, width, height, content, colour):
    """Draw a box with a room, a name and a description."""
    (room, name, text), left, right, upper = content, x + 0.12, x + width - 0.12, y + height - 0.11
    draw_frame(ax, x, y, width, height, facecolor=colour, edgecolor="0.55")
    ax.text(left, upper, room, family="monospace", fontsize=9, color="#1f4e79", va="top")
    if height == FLAT:
        ax.text(right, upper, name, fontsize=9.5, weight="bold", ha="right", va="top")
    else:
        ax.text(left, upper - 0.27, name, fontsize=9.5, weight="bold", va="top")
    ax.text(left, y + 0.28, text, fontsize=9, va="center", linespacing=1.2)


def draw_arrow(ax, start, end):
    """Draw an arrow between two points."""
    style = {"arrowstyle": "-|>", "color": "0.35", "linewidth": 1.3, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=style)


def draw_column(ax, x, top, width, contents, colour, title):
    """Draw boxes from top to bottom, with arrows between them; return the y of the last box."""
    ax.text(x + width / 2, top + 0.2, title, fontsize=11, weight="bold", ha="center")
    for k, content in enumerate(contents):
        y = top - FLAT - k * (FLAT + 0.3)
        draw_box(ax, x, y, width, FLAT, content, colour)
        if k:
            draw_arrow(ax, (x + width / 2, y + FLAT + 0.3), (x + width / 2, y + FLAT))
    return y


def draw_row(ax, x, y, width, contents, colour, gap=0.3, marked=None):
    """Draw boxes from left to right, with arrows between them; return their width."""
    each = (width - gap * (len(contents) - 1)) / len(contents)
    for k, content in enumerate(contents):
        left = x + k * (each + gap)
        draw_box(ax, left, y, each, TALL, content, "#ffd54f" if k == marked else colour)
        if k:
            draw_arrow(ax, (left - gap, y + TALL / 2), (left, y + TALL / 2))
    return each


def draw():
    """Return the figure."""
    figure, ax = plt.subplots(figsize=(11, 11.4), layout="constrained")
    top, width = 11.4, 5.1
    bottom = draw_column(ax, 0.2, top, width, NETWORK, COLOURS["network"], "The network, once")
    draw_column(ax, 5.7, top, width, IMAGE, COLOURS["image"], "The image, in every run")
    height = TALL + 1.2
    frame = bottom - 0.35 - height
    draw_frame(ax, 0.2, frame, 10.6, height, facecolor="none", edgecolor="#5a9e4b", linewidth=1.6)
    for x in (0.2 + width / 2, 5.7 + width / 2):
        draw_arrow(ax, (x, bottom), (x, frame + height))
    title = "One step of the network, on its device (pipelined schedule)"
    ax.text(5.5, frame + height - 0.35, title, fontsize=11, weight="bold", ha="center")
    each = draw_row(ax, 0.35, frame + 0.65, 10.3, STEP, COLOURS["step"], marked=1)
    first, last = 0.35 + each / 2, 10.65 - each / 2
    ax.plot([last, last, first], [frame + 0.65, frame + 0.22, frame + 0.22], "0.35", lw=1.3)
    draw_arrow(ax, (first, frame + 0.22), (first, frame + 0.65))
    ax.text(5.5, frame + 0.32, "next step: the input I has changed in the next layer", fontsize=9, ha="center")
    draw_arrow(ax, (0.2 + each / 2, frame), (0.2 + each / 2, frame - 0.35))
    draw_row(ax, 0.2, frame - 0.35 - TALL, 10.6, AFTER, COLOURS["after"])
    ax.set(xlim=(0, 11), ylim=(frame - 0.45 - TALL, top + 0.6))
    ax.axis("off")
    return figure


if __name__ == "__main__":
    plt.rcParams["svg.hashsalt"] = "architecture"
    draw().savefig(Path(__file__).with_name("architecture.svg"), metadata={"Date": None})
