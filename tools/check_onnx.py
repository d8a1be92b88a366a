"""
Read models of torchvision from ONNX files and compare each with onnxruntime.

    python tools/check_onnx.py [--models NAME ...] [--size PIXELS] [--images N] [--exporters NAME ...]
                               [--peer-python PYTHON] [--no-docs]

The environment of the peers exports them (docs/benchmarks.md): random weights, batch norms calibrated on random images. This
environment reads the files and runs onnxruntime (extra ``test``). The table is printed, and written to docs/onnx.md. A difference
above 1e-5 of the largest output, or a model that cannot be read, makes the command fail.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "onnx.md"
MODELS = ("resnet18", "vgg11", "mobilenet_v2", "googlenet")
EXPORTERS = ("dynamo", "torchscript")
GOAL = 1e-5


def import_torchvision():
    """
    Return torch and torchvision.

    The compiled operators of torchvision, for object detection, do not load beside a torch of another build (a CPU wheel, for
    example), and then it cannot be imported. We need none of them: each that it asks for is declared, without an implementation.
    """
    import torch

    declared = torch.library.Library("torchvision", "FRAGMENT")
    for _ in range(20):
        try:
            import torchvision
        except RuntimeError as error:
            missing = re.search(r"operator torchvision::(\w+) does not exist", str(error))
            if missing is None:
                raise
            declared.define(f"{missing[1]}(Tensor x) -> Tensor")
            for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
                del sys.modules[name]
        else:
            return torch, torchvision, declared  # it must live as long as they do
    raise RuntimeError("torchvision asks for ever more operators that are not there.")


def export(folder, models, exporters, size):
    """Write the models to a folder; runs in the environment of the peers."""
    import warnings

    warnings.filterwarnings("ignore")
    torch, torchvision, _declared = import_torchvision()
    torch.set_num_threads(1)
    for name in models:
        torch.manual_seed(0)
        options = {"init_weights": True, "aux_logits": False} if name == "googlenet" else {}
        model = getattr(torchvision.models, name)(weights=None, **options)
        calibrate(model, torch, size)
        image = torch.randn(1, 3, size, size)
        for exporter in exporters:
            path = Path(folder, f"{name}.{exporter}.onnx")
            torch.onnx.export(model, (image,), str(path), dynamo=exporter == "dynamo", verbose=False)


def calibrate(model, torch, size):
    """Set the statistics of all batch norms to those of random images, and random scales and shifts, and leave training mode."""
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.momentum = None  # the mean over all batches
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.3, 0.3)
        model.train(bool(norms))
        for _ in range(2 if norms else 0):
            model(torch.randn(4, 3, size, size))
    model.eval()


def check(path, n_images):
    """Read one file; return its row of the table and the difference."""
    import onnx
    import onnxruntime

    import brainsnn as bs

    read_onnx = bs.read_onnx  # imports Brian2, which takes longer than reading
    started = time.perf_counter()
    graph = read_onnx(path)
    seconds = time.perf_counter() - started
    n_nodes = len(onnx.load(path, load_external_data=False).graph.node)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options)
    (given,) = session.get_inputs()
    images = np.random.default_rng(0).normal(size=(n_images, *given.shape[1:])).astype(np.float32)
    expected = np.concatenate([session.run(None, {given.name: image[None]})[0] for image in images])
    (readout,) = graph.readouts
    found = [graph.activations(image[None])[readout.name].ravel() for image in images.transpose(0, 2, 3, 1)]
    difference = np.abs(np.array(found) - expected).max() / np.abs(expected).max()
    neurons = sum(population.size for population in graph.populations.values())
    spiking = sum(population.size for population in graph.populations.values() if population.kind == "spiking")
    model, exporter, _ = path.name.split(".")
    row = (
        model, exporter, n_nodes, len(graph.populations), f"{neurons:,}", f"{spiking:,}", f"{seconds:.2f}", f"{difference:.1e}",
    )  # fmt: skip
    return row, difference


def write_section(text):
    """Replace the part of the page between its markers."""
    page = DOCS.read_text(encoding="utf-8")
    marked = r"(<!-- begin check_onnx -->\n).*?(<!-- end check_onnx -->)"
    DOCS.write_text(re.sub(marked, lambda m: f"{m[1]}{text}\n{m[2]}", page, flags=re.DOTALL), encoding="utf-8")


def main():
    """Export, read, compare, print."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--exporters", nargs="+", choices=EXPORTERS, default=EXPORTERS)
    parser.add_argument("--size", type=int, default=224, help="rows and columns of the images (%(default)s)")
    parser.add_argument("--images", type=int, default=2, help="images compared for each model (%(default)s)")
    parser.add_argument("--no-docs", action="store_true", help="only print")
    parser.add_argument("--export", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument(
        "--peer-python", default=os.environ.get("BRAINSNN_PEER_PYTHON", str(ROOT / ".venv-peers/bin/python"))
    )
    arguments = parser.parse_args()
    if arguments.export:
        export(arguments.export, arguments.models, arguments.exporters, arguments.size)
        return 0
    from _peers import package_versions
    from _report import environment, table

    with tempfile.TemporaryDirectory() as folder:
        chosen = ["--models", *arguments.models, "--exporters", *arguments.exporters, "--size", str(arguments.size)]
        command = [arguments.peer_python, __file__, "--export", folder, *chosen]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        checked = [
            check(Path(folder, f"{model}.{exporter}.onnx"), arguments.images)
            for model in arguments.models
            for exporter in arguments.exporters
        ]
    headers = (
        "model",
        "exporter",
        "nodes",
        "populations",
        "neurons",
        "of them spiking",
        "seconds to read",
        "difference",
    )
    peers = package_versions(arguments.peer_python, ["torch", "torchvision", "onnxscript"])
    lines = [*environment(("brainsnn", "onnx", "onnxruntime", "numpy")), f"exported with {peers}"]
    text = (
        f"\n`python tools/check_onnx.py`, {time.strftime('%Y-%m-%d')}, images of {arguments.size}x{arguments.size}\n\n"
    )
    text += "\n".join(f"- {line}" for line in lines) + "\n\n" + table(headers, [row for row, _ in checked]) + "\n"
    print(text)
    if not arguments.no_docs:
        write_section(text)
    return int(any(not difference <= GOAL for _, difference in checked))


if __name__ == "__main__":
    sys.exit(main())
