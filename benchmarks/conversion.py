"""
Conversion of ordinary ReLU networks: accuracy, time and spikes, beside SpikingJelly's ann2snn on the same weights and images.

Both calibrate with the same training images, and a spike acts in all layers within a step. Spikes are those of all neurons;
spikes that a pooling layer passes on are not counted again. SpikingJelly's `pre_spike_maxpool` puts the maximum before the
neurons, so that a quarter of them are left.

    python benchmarks/conversion.py [--quick] [--images 1000] [--peer-python PYTHON] [--no-docs]
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from _peers import add_argument, environment_of, package_versions, why_missing
from _report import environment, publish, table

N_TRAINING = 500
TIMES = (20, 50, 100, 200, 300)
NEAR = 0.003
PEERS = {
    "SpikingJelly, 99.9%": {"mode": "99.9%"},
    "SpikingJelly, max": {"mode": "Max"},
    "SpikingJelly, per channel, v(0) = 1/2, pool first": {
        "mode": "99.9%", "channel_wise": True, "half_threshold": True, "pre_spike_maxpool": True,
    },
}  # fmt: skip


def export(model, training, images, labels, folder):
    """Write weights and images as plain arrays."""
    arrays = {"training": training, "images": images, "labels": labels}
    for layer in model.layers:
        kind = type(layer).__name__
        if kind in ("Conv2D", "Dense"):
            arrays |= {f"{layer.name}.kernel": np.asarray(layer.kernel)}
            arrays |= {f"{layer.name}.bias": np.asarray(layer.bias)} if layer.use_bias else {}
        if kind == "BatchNormalization":
            names = {"gamma": "gamma", "beta": "beta", "mean": "moving_mean", "variance": "moving_variance"}
            arrays |= {f"{layer.name}.{name}": np.asarray(getattr(layer, which)) for name, which in names.items()}
            arrays[f"{layer.name}.epsilon"] = layer.epsilon
    np.savez(folder / "network.npz", **arrays)


def own(model, training, images, labels, times):
    """Return accuracy and spikes per image at each time, by coding."""
    import brainsnn as bs
    from brainsnn import ms

    layer, channel = bs.calibrate(model, training), bs.calibrate(model, training, per="channel")
    codings = {
        "brainsnn, IF, v(0) = 1/2": (layer, bs.IF(initial=0.5)),
        "brainsnn, IF, v(0) = 1/2, per channel": (channel, bs.IF(initial=0.5)),
        "brainsnn, ASN, m_f = 0.05, tau_gamma = 5 ms": (layer, bs.ASN(m_f=0.05, tau_gamma=5 * ms)),
        "brainsnn, ASN, m_f = 0.1": (layer, bs.ASN(m_f=0.1)),
    }
    found, ends = {}, np.array(times) - 1
    for name, (graph, neuron) in codings.items():
        record = {p.name: ["spikes"] for p in graph.populations.values() if p.activation == "relu"}
        snn = bs.convert(graph, neuron=neuron, schedule="synchronous", record=record)
        spikes, correct = np.zeros(len(times)), np.zeros(len(times))
        for k in range(0, len(images), 100):
            result = snn.run(images[k : k + 100], duration=max(times) * ms)
            correct += (result.output[:, ends].argmax(2) == labels[k : k + 100, None]).sum(0)
            for trains in result.spikes.values():
                for _, steps in trains:
                    spikes += np.bincount(steps, minlength=result.n_steps).cumsum()[ends]
        found[name] = correct / len(images), spikes / len(images)
    return found


def rows_of(data, name, ann, accuracies, spikes, times):
    near = next((k for k, accuracy in enumerate(accuracies) if accuracy >= ann - NEAR - 1e-9), None)
    first = ("-", "-") if near is None else (f"{times[near]} ms", f"{spikes[near]:,.0f}")
    cells = [f"{100 * accuracy:.1f} ({count / 1000:,.0f}k)" for accuracy, count in zip(accuracies, spikes)]
    return data, name, f"{100 * ann:.1f}", *cells, *first


def main():
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Conversion of ReLU networks, beside SpikingJelly's ann2snn."
    )
    parser.add_argument("--quick", action="store_true", help="100 digits and 50 steps, without writing docs")
    parser.add_argument("--images", type=int, default=1000, help="test images, the last ones of the set (1000)")
    parser.add_argument("--no-docs", action="store_true", help="only print the tables")
    add_argument(parser)
    args = parser.parse_args()
    import brainsnn as bs
    from brainsnn.stimuli import load_digits, load_fashion_mnist

    loaders = {"digits": load_digits} if args.quick else {"digits": load_digits, "fashion": load_fashion_mnist}
    n, times, rows = 100 if args.quick else args.images, TIMES[:2] if args.quick else TIMES, []
    missing = why_missing(args.peer_python, "spikingjelly.activation_based.ann2snn")
    for data, load in loaders.items():
        model, training = bs.load_model(f"{data}_relu"), load("train")[0][:N_TRAINING]
        images, labels = (part[-n:] for part in load("test"))
        ann = float((model.predict(images, verbose=0).argmax(1) == labels).mean())
        for name, (accuracies, spikes) in own(model, training, images, labels, times).items():
            rows.append(rows_of(data, name, ann, accuracies, spikes, times))
        with tempfile.TemporaryDirectory(prefix="conversion_") as folder:
            export(model, training, images, labels, Path(folder))
            for name, settings in {} if missing else PEERS.items():
                print(f"{data}, {name} ...", flush=True)
                script, request = Path(__file__).with_name("converted_torch.py"), {"times": times, "settings": settings}
                done = subprocess.run(
                    [args.peer_python, str(script), folder, json.dumps(request)], check=True, stdout=subprocess.PIPE, text=True,
                    env=environment_of(args.peer_python),
                )  # fmt: skip
                theirs, accuracies, spikes = json.loads(done.stdout.splitlines()[-1])
                if abs(theirs - ann) > 0.002:
                    raise SystemExit(f"{data}: the accuracy of the network in PyTorch is {theirs}, and {ann} in Keras")
                rows.append(rows_of(data, name, ann, accuracies, spikes, times))
    headers = (
        "data", "conversion", "ANN, %", *(f"% (spikes per image) at {t} ms" for t in times), "within 0.3 points at",
        "with spikes per image",
    )  # fmt: skip
    note = f"{n} test images, {N_TRAINING} training images for calibration, steps of 1 ms."
    note += (
        f" SpikingJelly: {missing}."
        if missing
        else f" {package_versions(args.peer_python, ['spikingjelly', 'torch'])}."
    )
    blocks = ["\n".join(f"- {line}" for line in environment()), table(headers, rows), note]
    publish(
        "conversion", "Ordinary ReLU networks, converted", "python benchmarks/conversion.py", blocks,
        write=not (args.quick or args.no_docs),
    )  # fmt: skip


if __name__ == "__main__":
    main()
