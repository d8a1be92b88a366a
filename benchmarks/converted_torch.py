"""
The ReLU networks of conversion.py as PyTorch modules, converted by SpikingJelly's ann2snn: a peer that runs elsewhere.

    python benchmarks/converted_torch.py FOLDER REQUEST

FOLDER contains network.npz (`conversion.export`); REQUEST is JSON: the times at which decisions are read, and the settings of
each conversion. Needs only torch, spikingjelly and numpy. The neurons are integrate-and-fire with a soft reset.
"""

import json
import sys
from pathlib import Path

import numpy as np


def build(data):
    """Return the network: convolutions with batch norms, ReLU and maximum pooling, and two dense layers."""
    import torch
    from torch import nn

    layers = []
    for k in (1, 2, 3):
        kernel = data[f"conv{k}.kernel"]
        convolution = nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1, bias=False)
        convolution.weight.data = torch.tensor(kernel.transpose(3, 2, 0, 1).copy())
        norm = nn.BatchNorm2d(kernel.shape[3], eps=float(data[f"bn{k}.epsilon"]))
        norm.weight.data, norm.bias.data = (torch.tensor(data[f"bn{k}.{name}"]) for name in ("gamma", "beta"))
        norm.running_mean, norm.running_var = (torch.tensor(data[f"bn{k}.{name}"]) for name in ("mean", "variance"))
        layers += [convolution, norm, nn.ReLU(), nn.MaxPool2d(2)]
    layers.append(nn.Flatten())
    hidden, channels = data["dense.kernel"], data["conv3.kernel"].shape[3]
    side = round((len(hidden) / channels) ** 0.5)
    hidden = hidden.reshape(side, side, channels, -1).transpose(2, 0, 1, 3).reshape(len(hidden), -1)
    for kernel, bias in ((hidden, data["dense.bias"]), (data["readout.kernel"], data["readout.bias"])):
        dense = nn.Linear(*kernel.shape)
        dense.weight.data, dense.bias.data = torch.tensor(kernel.T.copy()), torch.tensor(bias)
        layers += [dense, nn.ReLU()]
    return nn.Sequential(*layers[:-1]).eval()


def run(data, times, settings):
    """Return the accuracy of the network, and the accuracy and spikes per image at each time after its conversion."""
    import torch
    from spikingjelly.activation_based import functional, neuron
    from spikingjelly.activation_based.ann2snn import Converter
    from spikingjelly.activation_based.ann2snn.recipes import RateCodingRecipe

    torch.set_num_threads(2)
    images, training = (torch.tensor(data[name].transpose(0, 3, 1, 2).copy()) for name in ("images", "training"))
    labels, model = torch.tensor(data["labels"]), build(data)
    batches = [(training[k : k + 50], torch.zeros(50)) for k in range(0, len(training), 50)]
    with torch.no_grad():
        ann = float((model(images).argmax(1) == labels).float().mean())
        converted = Converter(RateCodingRecipe(dataloader=batches, **settings)).convert(model).eval()
        spikes = [0.0]
        for module in converted.modules():
            if isinstance(module, neuron.BaseNode):
                module.register_forward_hook(lambda m, i, o: spikes.append(spikes.pop() + float((o != 0).sum())))
        correct, counts = dict.fromkeys(times, 0), dict.fromkeys(times, 0.0)
        for k in range(0, len(images), 100):
            functional.reset_net(converted)
            total, before = 0.0, spikes[0]
            for t in range(1, max(times) + 1):
                total = total + converted(images[k : k + 100])
                if t in correct:
                    correct[t] += int((total.argmax(1) == labels[k : k + 100]).sum())
                    counts[t] += spikes[0] - before
    n = len(images)
    return ann, [correct[t] / n for t in times], [counts[t] / n for t in times]


if __name__ == "__main__":
    folder, request = Path(sys.argv[1]), json.loads(sys.argv[2])
    with np.load(folder / "network.npz") as arrays:
        print(json.dumps(run(dict(arrays), request["times"], request["settings"])))
