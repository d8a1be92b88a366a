"""Does it work? The shipped digit network classifies real test digits as a spiking network."""

import sys
import time

import numpy as np
from brian2 import ms
from common import Study, digits_model

import brainsnn as bs
from brainsnn.analysis import PALETTE, plot_accuracy_over_time, plot_raster, plot_traces, spikes_per_image, style
from brainsnn.stimuli import load_digits

QUICK = {"m_f": 0.1, "n_images": 200, "duration_ms": 300, "processes": 2}
FULL = {"m_f": 0.1, "n_images": 1000, "duration_ms": 500, "processes": 2}

#: Layer of the neuron whose traces are drawn: its most active neuron for the first image.
TRACED_LAYER = "conv2_asn"


def record_one_image(graph, neuron, image, study):
    """Run one digit; record all spikes, and the traces of one neuron that responds to it."""
    activation = graph.activations(image)[TRACED_LAYER][0]
    traced = np.unravel_index(activation.argmax(), activation.shape)
    spiking = [p.name for p in graph.populations.values() if p.kind == "spiking"]
    record = {layer: {"spikes": True} for layer in spiking}
    record[TRACED_LAYER].update({variable: [traced] for variable in ("S", "S_hat", "theta")})
    snn = bs.convert(graph, neuron=neuron, device=study.device, record=record)
    result = snn.run(image, duration=study.parameters.duration_ms * ms, seed=study.seed)
    return result, traced


def plot_rasters(result, image, label):
    """Plot a digit, the spikes of every layer, and the output over time."""
    import matplotlib.pyplot as plt

    layers = list(result.spikes)
    with style():
        figure = plt.figure(figsize=(8.5, 1.5 * len(layers) + 1.6), layout="constrained")
        grid = figure.add_gridspec(len(layers) + 1, 2, width_ratios=(1, 4.2))
        digit = figure.add_subplot(grid[0, 0])
        digit.imshow(image[..., 0], cmap="gray_r")
        digit.set(title=f"a test digit: {label}", xticks=[], yticks=[])
        digit.spines[:].set_visible(False)
        for k, layer in enumerate(layers):
            ax = plot_raster(result, layer, ax=figure.add_subplot(grid[k, 1]))
            ax.set(xlabel="", xticklabels=[])
        ax = figure.add_subplot(grid[-1, 1])
        output = result.output[0]
        lines = ax.plot(result.times, np.delete(output, label, axis=1), color="0.75")
        lines[0].set_label("the other classes")
        ax.plot(result.times, output[:, label], color=PALETTE[1], label=f"class {label}")
        ax.set(xlabel="time (ms)", ylabel="output", title="readout", ylim=(0, 1.02))
        ax.set_xlim(0, result.n_steps * result.dt * 1e3)
        ax.legend(loc="center right")
        figure.align_ylabels()
    return figure


def plot_one_neuron(result, traced):
    """Plot signal, refractory response and threshold of one neuron."""
    import matplotlib.pyplot as plt

    with style():
        figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
        plot_traces(result, TRACED_LAYER, traced, variables=["S", "S_hat", "theta"], ax=ax)
    return figure


def main(argv=None):
    began = time.monotonic()
    with Study("demo", __doc__, QUICK, FULL, argv) as study:
        p = study.parameters
        images, labels = load_digits("test")
        images, labels = study.first("n_images", images, labels)
        graph = bs.read_keras(digits_model())
        print(graph, end="\n\n")
        neuron = bs.ASN(m_f=p.m_f)
        snn = bs.convert(graph, neuron=neuron, device=study.device)
        result = snn.run(
            images,
            duration=p.duration_ms * ms,
            seed=study.seed,
            processes=study.processes,
            progress=sys.stderr.isatty(),
        )

        ann = graph.activations(images)[graph.readouts[0].name].reshape(p.n_images, -1).argmax(axis=1)
        ann_accuracy, snn_accuracy = float((ann == labels).mean()), float(result.accuracy(labels)[-1])
        study.report("ann_accuracy", ann_accuracy, f"ANN: {100 * ann_accuracy:.2f}% of {p.n_images} test digits")
        study.report(
            "snn_accuracy", snn_accuracy, f"SNN: {100 * snn_accuracy:.2f}%, m_f = {p.m_f:g}, {p.duration_ms} ms"
        )
        n_neurons = sum(len(snn.populations[layer]) for layer in result.spike_counts)
        rate, n_spikes = result.mean_firing_rate, spikes_per_image(result).mean()
        study.report("rate_hz", rate, f"mean firing rate: {rate:.1f} Hz over {n_neurons:,} spiking neurons")
        study.report("spikes_per_image", float(n_spikes), f"spikes per image: {n_spikes:,.0f}")
        study.table([
            {"layer": layer, "neurons": len(snn.populations[layer]), "rate_hz": rates.mean(),
             "spikes_per_image": result.spike_counts[layer].mean()}
            for layer, rates in result.firing_rates.items()
        ])  # fmt: skip
        ax = plot_accuracy_over_time(result, labels, ann_accuracy)
        study.figure(ax.figure, "accuracy_over_time", f"{p.n_images} digits; band: 95 %")

        recorded, traced = record_one_image(graph, neuron, images[:1], study)
        study.figure(plot_rasters(recorded, images[0], labels[0]), "spikes", "1 digit, all neurons")
        study.figure(plot_one_neuron(recorded, traced), "one_neuron", "1 digit, 1 neuron")
        study.report("seconds", round(time.monotonic() - began, 1))


if __name__ == "__main__":
    main()
