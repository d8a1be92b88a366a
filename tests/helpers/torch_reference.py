"""Build a published predictive-feedback network in PyTorch, from the layer codes alone; it runs in an interpreter with PyTorch.

    python torch_reference.py FOLDER DEPTH CHANNELS FEEDBACK

writes ``net.pth`` (as the published scripts save it) and ``reference.npz`` (tensors, images, and what the network returns of
them). It imports neither brainsnn nor Keras.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

CODES = {
    5: {"features": [4, "D", 8, 8, "D"], "generator": ["U", 8, "drop", 4, "U", "in"]},
    9: {
        "features": [4, "D", 8, 16, "D", 16, 32, "D", 32, "D", 32],
        "generator": [32, "U", 32, "U", 16, "drop", 16, "U", 8, "drop", 4, "U", "in"],
    },
}
DENSE, CLASSES = 12, 6


def features(codes, channels, down):
    """The convolutions: number - convolution, ReLU and dropout, which a down-sampling replaces."""
    modules, n = [], channels
    for code in codes:
        if code == "D":
            modules[-1] = nn.Conv2d(n, n, 2, stride=2, bias=False) if down else nn.AvgPool2d(2)
        else:
            modules += [nn.Conv2d(n, code, 3, padding=1, bias=False), nn.ReLU(), nn.Dropout(0.2)]
            n = code
    return nn.Sequential(*modules), n


def generator(codes, n, channels):
    """The generator: an up-sampling follows a leaky ReLU, a dropout only where "drop" stands."""
    modules = []
    for code in codes:
        if code == "U":
            modules.append(nn.ConvTranspose2d(n, n, 2, stride=2, bias=False))
        elif code == "drop":
            modules.append(nn.Dropout(0.2))
        elif code == "in":
            modules.append(nn.ConvTranspose2d(n, channels, 3, padding=1, bias=False))
        else:
            modules += [nn.ConvTranspose2d(n, code, 3, padding=1, bias=False), nn.LeakyReLU(0.01)]
            n = code
    return nn.Sequential(*modules)


def main(folder, depth, channels, feedback):
    """Build, evaluate and save."""
    torch.manual_seed(0)
    size = 28 if channels == 1 else 32
    net = nn.Module()
    net.features, n = features(CODES[depth]["features"], channels, feedback)
    if feedback:
        net.generator = generator(CODES[depth]["generator"], n, channels)
    n_flat = net.features(torch.zeros(1, channels, size, size)).numel()
    net.classifier = nn.Sequential(
        nn.Linear(n_flat, DENSE, bias=False), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(DENSE, DENSE, bias=False), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(DENSE, CLASSES, bias=False),
    )  # fmt: skip
    for weights in net.parameters():  # PyTorch's own are so small that outputs vanish
        nn.init.kaiming_normal_(weights)
    net.eval()
    images = torch.rand(3, channels, size, size)
    with torch.no_grad():
        f = net.features(images)
        found = {"logits": net.classifier(f.flatten(1)).numpy()}
        if feedback:
            found["prediction"] = net.generator(f).permute(0, 2, 3, 1).numpy()
    thresholds = [0.1 * (k + 1) for k in range({5: 5 + 3 * feedback, 9: 9 + 7 * feedback}[depth])]
    state = {f"module.{name}": value for name, value in net.state_dict().items()}
    torch.save(
        {"state_dict": state, "thresholds": thresholds, "timesteps": 50, "leak": 1.0, "accuracy": 99.2},
        folder / "net.pth",
    )
    tensors = {f"tensor {name}": value.numpy() for name, value in net.state_dict().items()}
    np.savez(
        folder / "reference.npz", images=images.permute(0, 2, 3, 1).numpy(), thresholds=thresholds, **found, **tensors
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "True")
