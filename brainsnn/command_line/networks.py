"""``brainsnn models``, ``layers`` and ``convert``: networks, and what becomes of their layers."""

from pathlib import Path
from typing import Annotated

import typer

from brainsnn.command_line.files import check_output, read_graph, read_images, write_as
from brainsnn.command_line.values import neuron_model

__all__ = ["convert", "layers", "models"]

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="A shipped network (see `brainsnn models`), or a file: .keras, .h5, .json, .onnx, .nir."
    ),
]
Weights = Annotated[Path | None, typer.Option(help="File of weights of a .json model.")]
AveragePooling = Annotated[str, typer.Option(help="Average `spikes` or `membrane`s.")]
Neuron = Annotated[
    str | None,
    typer.Option(
        "--neuron", "-n", help="Neuron model and its values, as `ASN:m_f=0.1`; ASN, or those of a NIR file, by default."
    ),
]
Schedule = Annotated[str, typer.Option(help="`pipelined` or `synchronous`.")]
Resize = Annotated[bool, typer.Option("--resize", help="Bring pictures to the size that the network takes.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]

DESCRIPTIONS = {
    ".md": "tables in Markdown",
    ".tex": "tables in LaTeX",
    ".txt": "tables",
    ".nir": "network of IF or LIF",
}


def models() -> None:
    """
    List the networks that ship with brainsnn.

    Example: `brainsnn models`
    """
    from brainsnn.shipped import shipped_models

    typer.echo(shipped_models())


def layers(model: Model, weights: Weights = None, average_pooling: AveragePooling = "spikes") -> None:
    """
    Show what each layer becomes: a spiking population, a part of a projection, or nothing.

    Example: `brainsnn layers digits`
    """
    typer.echo(read_graph(model, weights, average_pooling))


def convert(
    model: Model,
    neuron: Neuron = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write: .md, .tex or .txt (tables), .nir (network).")
    ] = None,
    weights: Weights = None,
    average_pooling: AveragePooling = "spikes",
    schedule: Schedule = "pipelined",
    calibrate: Annotated[
        Path | None, typer.Option(help="Images on which a ReLU network is normalised first, as for `brainsnn run`.")
    ] = None,
    resize: Resize = False,
    force: Force = False,
) -> None:
    """
    Convert a network and describe it in the tables of a methods section, or write it as a NIR file.

    Example: `brainsnn convert digits --neuron ASN:m_f=0.1 -o digits.md`
    """
    import brainsnn as bs

    check_output(output, DESCRIPTIONS, force)
    model_of_neurons = neuron_model(neuron)
    graph = read_graph(model, weights, average_pooling)
    if calibrate is not None:
        graph = bs.calibrate(graph, read_images(calibrate, graph.input.shape, None, resize, graph.pixel_unit).values)
    snn = bs.convert(graph, model_of_neurons, schedule=schedule)
    if output is None:
        typer.echo(str(snn.describe()))
        return
    from brainsnn.files import write_atomically

    def _write_text(text: str) -> None:
        with write_atomically(output) as file:
            file.write((text + "\n").encode())

    write_as(output, {
        ".md": lambda path: _write_text(snn.describe().to_markdown()),
        ".tex": lambda path: _write_text(snn.describe().to_latex()),
        ".txt": lambda path: _write_text(str(snn.describe())),
        ".nir": lambda path: snn.to_nir(path, overwrite=force),
    })  # fmt: skip
    typer.echo(f"Written: {output}")
