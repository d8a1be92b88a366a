"""``brainsnn models``, ``layers`` and ``convert``: networks, and what becomes of their layers."""

from pathlib import Path
from typing import Annotated

import typer

from brainsnn.command_line.files import check_images, check_output, read_graph, read_images, write_as
from brainsnn.command_line.trained import convert_options
from brainsnn.command_line.values import one_of

__all__ = ["convert", "layers", "models"]

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="A shipped network (see `brainsnn models`), or a file: .keras, .h5, .json, .onnx, .nir."
    ),
]
Weights = Annotated[Path | None, typer.Option(help="File of weights of a .json model.")]
AveragePooling = Annotated[
    str, typer.Option(help="What is averaged: `spikes` or `membrane`.", callback=one_of(lambda: ("spikes", "membrane")))
]
Neuron = Annotated[
    str | None,
    typer.Option(
        "--neuron", "-n", help="Neuron model and its values, as `ASN:m_f=0.1`; ASN, or those of a NIR file, by default."
    ),
]
Gate = Annotated[
    str | None,
    typer.Option(help="Predictive gate of a network with feedback: `sticky`, `dynamic`, `graded` or `none`."),
]
Schedule = Annotated[
    str, typer.Option(help="`pipelined` or `synchronous`.", callback=one_of(lambda: ("pipelined", "synchronous")))
]
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
    gate: Gate = None,
    force: Force = False,
) -> None:
    """
    Convert a network and describe it in the tables of a methods section, or write it as a NIR file.

    Example: `brainsnn convert digits --neuron ASN:m_f=0.1 -o digits.md`
    """
    import brainsnn as bs

    check_output(output, DESCRIPTIONS, force)
    if calibrate is not None:
        check_images(calibrate, "--calibrate")
    elif resize:
        raise typer.BadParameter("needs --calibrate.", param_hint="--resize")
    options = convert_options(model, neuron, calibrate is not None, gate)
    graph = read_graph(model, weights, average_pooling, options.get("thresholds", ()))
    if calibrate is not None:
        batch = read_images(calibrate, graph.input.shape, None, resize, graph.pixel_unit, "--calibrate")
        graph = bs.calibrate(graph, batch.values)
    snn = bs.convert(graph, schedule=schedule, **options)
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
