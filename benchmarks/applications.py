"""
The models of keras.applications: which are read, how exactly, and what they cost; one of each family runs as spikes.

Weights are random (nothing is downloaded), and batch normalisations have the statistics of two random images, so that activations
neither vanish nor explode. A model that is refused has the layer and the reason. The difference is the largest one between the
LayerGraph, evaluated without spikes, and Keras with the same weights in float64, over all layers that became populations and
the outputs, relative to the largest value of the layer. The models of RUN are calibrated on a photograph of scikit-image and run
on it.

    python benchmarks/applications.py [--quick] [--models ResNet50V2 ...] [--no-docs]
"""

import argparse
import json
import time
import warnings

import numpy as np
from _report import PeakMemory, environment, in_process, megabytes, publish, table

#: One of each family whose activations are ReLU or ReLU6.
RUN = ("VGG16", "ResNet50V2", "DenseNet121", "InceptionV3", "Xception", "MobileNetV2")
QUICK = ("MobileNetV2", "EfficientNetB0")
STEPS = 100


def names():
    """Return the names of all models of keras.applications."""
    import keras

    return [n for n in sorted(dir(keras.applications)) if n[0].isupper() and callable(getattr(keras.applications, n))]


def make(name, shape):
    """Return a model with random weights."""
    import keras

    keras.utils.set_random_seed(0)
    function = getattr(keras.applications, name)
    model = function(weights=None, **({} if shape is None else {"input_shape": tuple(shape)}))
    return model if None not in model.input_shape[1:] else function(weights=None, input_shape=(224, 224, 3))


def build(name, shape):
    """Return a model with random weights whose batch normalisations fit them."""
    model = make(name, shape)
    norms = [layer for layer in model._flatten_layers() if type(layer).__name__ == "BatchNormalization"]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(np.random.default_rng(0).uniform(size=(2, *model.input_shape[1:])).astype("float32"), training=True)
    for layer, momentum in zip(norms, momenta):
        layer.momentum = momentum
    return model


def photograph(shape):
    """Return a photograph (1, H, W, 3) with values from 0 to 1."""
    from skimage import data, transform

    return transform.resize(data.astronaut() / 255, shape[:2], anti_aliasing=True)[None].astype("float32")


def largest_difference(graph, model, name, shape, images):
    """Return the largest difference between a graph and its model, relative to the largest value of each layer."""
    import keras

    keras.config.set_dtype_policy("float64")
    exact = make(name, shape)
    exact.set_weights(model.get_weights())
    keras.config.set_dtype_policy("float32")
    known = {
        layer.name: other.output for layer, other in zip(model.layers, exact.layers)
    }  # other names, the same order
    layers = {p.name: p.keras_layer for p in graph.populations.values() if p.keras_layer in known and p.kind != "input"}
    clipped = [p for p in graph.populations if f"{p}_above" in graph.populations and p in known]
    outputs = {name: known[layer] for name, layer in {**layers, **{p: p for p in clipped}}.items()}
    expected = keras.Model(exact.inputs, outputs).predict(images.astype(float), verbose=0)
    worst, rectified = 0.0, {}
    for population, _, activation in graph.evaluated(images):
        name = population.name
        if name in clipped:
            rectified[name] = activation
        if name.removesuffix("_above") in clipped and name not in clipped:  # a ReLU with a ceiling is two populations
            name = name.removesuffix("_above")
            activation = rectified.pop(name) - activation
        if name in outputs and name not in rectified:
            value = np.asarray(expected[name], dtype=float).ravel()
            worst = max(worst, np.abs(activation.ravel() - value).max() / max(np.abs(value).max(), 1e-12))
    return worst, len(outputs)


def worker(name, shape, run):
    """Print one row of the first table, and one of the second if the model is run, as JSON."""
    import brainsnn as bs

    warnings.simplefilter("ignore", bs.UncalibratedWarning)
    warnings.filterwarnings("ignore", message="calibrate: no image excites")
    warnings.simplefilter("ignore", bs.SaturationWarning)
    model = build(name, shape)
    start = time.perf_counter()
    try:
        graph = bs.read_keras(model)
    except bs.ConversionError as error:
        reason = str(error).split(": ", 1)[-1].split(". ")[0]
        print(
            json.dumps([[name, f"refused: {error.layer_name} ({error.layer_class}), {reason}"[:160], *["-"] * 6], None])
        )
        return
    read = time.perf_counter() - start
    image = photograph(model.input_shape[1:])
    worst, n_layers = largest_difference(graph, model, name, shape, image)
    start = time.perf_counter()
    snn = bs.convert(graph, neuron=bs.ASN(m_f=0.1))
    converted = time.perf_counter() - start
    spiking = sum(p.size for p in graph.populations.values() if p.kind == "spiking")
    row = [
        name, "read", f"{spiking / 1e6:.2f} million", len(graph.projections), f"{read:.1f}", f"{converted:.1f}",
        megabytes(PeakMemory.own()), f"{worst:.1e} ({n_layers} layers)",
    ]  # fmt: skip
    ran = None
    if run:
        del snn
        ran = [name, *spikes(model, bs.calibrate(graph, image), image)]
    print(json.dumps([row, ran]))


def spikes(model, graph, image):
    """Run a calibrated network on a photograph; return the cells of the second table."""
    import brainsnn as bs

    snn = bs.convert(graph, neuron=bs.ASN(m_f=0.1))
    start = time.perf_counter()
    snn.run(image, duration=1 * bs.ms)
    first = time.perf_counter() - start
    start = time.perf_counter()
    result = snn.run(image, duration=STEPS * bs.ms)
    step = (time.perf_counter() - start) / STEPS
    n = sum(np.prod(result.shapes[name]) for name in result.spike_counts)
    rate = sum(float(counts.sum()) for counts in result.spike_counts.values()) / n / (STEPS * 1e-3)
    silent = [name for name, counts in result.spike_counts.items() if not counts.any()]
    ann = np.asarray(model.predict(image, verbose=0)).ravel()
    found = result.output[0, -1].ravel()
    same = np.argsort(found)[::-1].tolist().index(int(ann.argmax())) + 1
    n_layers = len(result.spike_counts)
    return [
        f"{first:.1f}", f"{step * 1e3:.1f}", f"{rate:.1f}", f"{n_layers - len(silent)} of {n_layers}", same,
        megabytes(PeakMemory.own()),
    ]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, description="The models of keras.applications.")
    parser.add_argument("--quick", action="store_true", help="two models of 64x64 pixels, without writing docs")
    parser.add_argument("--models", nargs="+", help="only these")
    parser.add_argument("--no-docs", action="store_true", help="only print the tables")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(*json.loads(args.worker))
    chosen, rows, runs = args.models or (QUICK if args.quick else names()), [], []
    for name in chosen:
        print(f"{name} ...", flush=True)
        row, ran = in_process(__file__, [name, (64, 64, 3) if args.quick else None, name in RUN])
        rows.append(row)
        print(" ", *row, flush=True)
        runs += [ran] if ran else []
    headers = (
        "model", "read", "spiking neurons", "projections", "s to read", "s to convert", "peak memory with TensorFlow",
        "largest relative difference",
    )  # fmt: skip
    run_headers = (
        "model", "s to the first step", "ms per step", "mean rate, Hz", "layers that spike", "rank of the ANN's class",
        "peak memory with TensorFlow",
    )  # fmt: skip
    read = sum(row[1] == "read" for row in rows)
    note = f"{read} of {len(rows)} models are read."
    ran = f"ASN, m_f = 0.1, calibrated on the photograph, {STEPS} steps of 1 ms, default device, one thread:"
    blocks = [
        "\n".join(f"- {line}" for line in environment()),
        table(headers, rows),
        note,
        ran,
        table(run_headers, runs),
    ]
    write = not (args.quick or args.no_docs or args.models)
    publish(
        "applications", "The models of keras.applications", "python benchmarks/applications.py", blocks, write=write
    )


if __name__ == "__main__":
    main()
