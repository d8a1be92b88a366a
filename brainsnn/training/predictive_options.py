"""The command line of `brainsnn.training.train_predictive`: options of network, data and recipe, and the published preset."""

import argparse
import re
import shlex
import sys
import zlib
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import get_args, get_type_hints

from brainsnn.training.commands import check_out
from brainsnn.training.hybrid_resnet import RESNET_BLOCKS
from brainsnn.training.predictive_data import COLOURS, DATASETS, STATISTICS
from brainsnn.training.predictive_recipe import CHOICES, Recipe, published_recipe, range_of
from brainsnn.training.predictive_vgg import CONFIGURATIONS

__all__ = ["command_of", "network_options", "outside_recipe", "parse_options", "recipe_of"]

#: Options of the network: of the shipped networks, and as published.
NETWORK = {"depth": 5, "width": 0.25, "generator_width": 0.125, "dense": [128, 128], "dropout": 0.2, "kernel_size": 3}
PUBLISHED = {"depth": 5, "width": 1.0, "generator_width": 1.0, "dense": [4096, 4096], "dropout": 0.5, "kernel_size": 3}
#: Of a ResNet: of a narrow one, and as published.
RESNET, PUBLISHED_RESNET = {"depth": 20, "width": 0.25}, {"depth": 20, "width": 1.0}
DEPTHS = {"vgg": CONFIGURATIONS, "resnet": RESNET_BLOCKS}
HELP = {
    "depth": "VGG5, 9, 11, 13, 16 or 19 (5 or 9 with feedback); or ResNet6, 12, 20 or 34",
    "width": "factor on the channels of the published network",
    "generator_width": "the same for the generator",
    "dense": "units of the hidden dense layers",
    "dropout": "after each hidden dense layer",
    "kernel_size": "width of the kernels of convolutions, odd",
}
N_QUICK = 192


def _field(item):
    """Return the parser of a field of the recipe: numbers, texts, and "none" where it may be None."""
    hint = get_type_hints(Recipe)[item.name]
    kinds = get_args(hint) or (hint,)
    kind = next(k for k in kinds if k is not type(None))

    def parse(text):
        """Return the value of an option."""
        if type(None) in kinds and text.lower() in ("none", "all"):
            return None
        if kind is bool:
            if text.lower() not in ("true", "false"):
                raise argparse.ArgumentTypeError(f"{text!r} is neither 'true' nor 'false'")
            return text.lower() == "true"
        return value_of(item.name, kind, text, ", nor 'none'" if type(None) in kinds else "")

    return parse


def value_of(name, kind, text, extra=""):
    """
    Return the value of an option.

    Parameters
    ----------
    name : str
        As in `~brainsnn.training.predictive_recipe.range_of`.
    kind : type
    text : str
    extra : str, optional
        For the message: what else would be allowed.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is not a number, or exceeds its range.
    """
    try:
        value = kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a {'whole number' if kind is int else 'number'}{extra}"
        ) from None
    if allowed := range_of(name, value) if kind in (int, float) else None:
        raise argparse.ArgumentTypeError(f"{text} must be {allowed}")
    return value


def _parser(network, recipe, architecture):
    """Return the parser with the defaults of a preset."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="python -m brainsnn.training.train_predictive",
        description="Train a network with or without predictive feedback.",
    )
    parser.add_argument(
        "--preset", choices=("shipped", "published"), default="shipped", help="defaults of all others (shipped)"
    )
    parser.add_argument("--variant", choices=("plain", "feedback"), required=True)
    parser.add_argument(
        "--architecture", choices=tuple(DEPTHS), default="vgg", help="resnet with --variant plain only (vgg)"
    )
    parser.add_argument(
        "--dataset", choices=tuple(DATASETS), default="digits", help="(digits: 5,000 that need no download)"
    )
    parser.add_argument(
        "--colours", choices=COLOURS, default="range",
        help="of CIFAR: from -1 to 1, or by the statistics of each channel, for --stages ann (range)",
    )  # fmt: skip
    parser.add_argument(
        "--stages",
        choices=("ann", "snn", "both"),
        default="both",
        help="train the ANN only, the SNN only, or one after the other (both)",
    )
    for name, value in network.items():
        kind = type(value[0] if name == "dense" else value)
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=partial(value_of, name, kind), default=value,
            nargs="*" if name == "dense" else None, choices=tuple(DEPTHS[architecture]) if name == "depth" else None,
            help=f"{HELP[name]} ({' '.join(map(str, value)) if name == 'dense' else value})",
        )  # fmt: skip
    parser.add_argument(
        "--out",
        type=Path,
        help="file to write (weights/digits_VARIANT_if.keras if it is as shipped, else in results/)",
    )
    parser.add_argument(
        "--checkpoints", type=Path, help="folder of checkpoints and log (results/train_predictive/NAME)"
    )
    parser.add_argument("--quick", action="store_true", help=f"one epoch of each stage on {N_QUICK} images")
    parser.add_argument(
        "--images", type=partial(value_of, "images", int), help="use only so many training and test images (all)"
    )
    parser.add_argument(
        "--threads", type=partial(value_of, "threads", int), default=2, help="threads of TensorFlow (2)"
    )
    for item in fields(Recipe):
        value = getattr(recipe, item.name)
        parser.add_argument(
            f"--{item.name.replace('_', '-')}",
            type=_field(item),
            default=value,
            choices=CHOICES.get(item.name),
            help=f"({value})",
        )
    return parser


def _defaults(preset, variant, dataset, architecture):
    """Return the options of the network and the recipe of a preset."""
    residual = architecture == "resnet"
    if preset == "shipped":
        return RESNET if residual else NETWORK, Recipe()
    recipe = published_recipe(variant, colour=DATASETS[dataset][2], residual=residual)
    return PUBLISHED_RESNET if residual else PUBLISHED, recipe


#: Options of the reconstruction, which networks without a generator do not have.
GENERATOR = (
    "generator_width", "ann_trade_off", "snn_trade_off", "squash", "gate_squash", "squash_step", "reconstruct_at", "gate_epsilon",
    "strict_gate", "ann_iterations",
)  # fmt: skip
BALANCING = ("threshold_scale", "balance", "balance_blocks", "balance_images", "balance_steps")


def _refuse_unused(parser, options, arguments):
    """Refuse what the command gives and the other options leave unused; defaults and presets may set it."""
    optimizers = {options.ann_optimizer, options.snn_optimizer}
    for names, unused, fix in (
        (GENERATOR, options.variant == "plain", "needs a generator; use --variant feedback"),
        (("alpha", "beta"), options.surrogate != "spike_time", "needs --surrogate spike_time"),
        (("gamma",), options.surrogate != "linear", "needs --surrogate linear"),
        (("ann_momentum",), options.ann_optimizer != "sgd", "needs --ann-optimizer sgd"),
        (("snn_momentum",), options.snn_optimizer != "sgd", "needs --snn-optimizer sgd"),
        (("amsgrad", "adam_epsilon"), "adam" not in optimizers, "needs --ann-optimizer adam or --snn-optimizer adam"),
        (("ann_stop_after", "snn_stop_after"), options.stop_below is None, "needs --stop-below"),
        (BALANCING, options.default_threshold is not None, "has no effect beside --default-threshold"),
        (("balance_blocks",), options.architecture != "resnet", "needs --architecture resnet"),
    ):
        for flag in (f"--{name.replace('_', '-')}" for name in names if unused):
            if any(word.split("=")[0] == flag for word in arguments):
                parser.error(f"{flag} {fix}, or leave it out.")


def parse_options(arguments=None):
    """
    Parse the command line.

    Parameters
    ----------
    arguments : list of str, optional
        That of the process by default.

    Returns
    -------
    options : argparse.Namespace
        An invalid option ends the process with a message.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name, default in (
        ("preset", "shipped"),
        ("variant", "feedback"),
        ("dataset", "digits"),
        ("architecture", "vgg"),
    ):
        first.add_argument(f"--{name}", default=default)
    chosen = first.parse_known_args(arguments)[0]
    known = chosen.preset in ("shipped", "published") and chosen.dataset in DATASETS and chosen.architecture in DEPTHS
    if not known:
        chosen.preset, chosen.dataset, chosen.architecture = "shipped", "digits", "vgg"  # the other parser refuses it
    defaults = _defaults(chosen.preset, chosen.variant, chosen.dataset, chosen.architecture)
    parser = _parser(*defaults, chosen.architecture)
    options = parser.parse_args(arguments)
    if options.architecture == "resnet" and options.variant == "feedback":
        parser.error("--architecture resnet has no generator, as published; use --variant plain.")
    _refuse_unused(parser, options, sys.argv[1:] if arguments is None else arguments)
    if options.stages == "snn" and options.pretrained_ann is None and options.default_threshold is None:
        parser.error(
            "--stages snn needs --pretrained-ann FILE, or --default-threshold 1 to train an SNN from new weights."
        )
    if options.pretrained_ann is not None and not Path(options.pretrained_ann).is_file():
        parser.error(f"--pretrained-ann: {options.pretrained_ann} does not exist.")
    if options.colours == "statistics" and (options.stages != "ann" or options.dataset not in STATISTICS):
        parser.error(
            "--colours statistics needs --stages ann, since neurons get pixels from -1 to 1, and --dataset "
            f"{' or '.join(STATISTICS)}."
        )
    if options.architecture == "vgg" and (options.kernel_size < 1 or options.kernel_size % 2 == 0):
        parser.error(f"--kernel-size must be odd, got {options.kernel_size}.")
    if options.quick:
        options.ann_epochs = options.snn_epochs = 1 + options.first_epoch
        options.steps = options.training_steps = min(options.steps, 12)
        options.snn_images, options.balance_steps = N_QUICK, options.steps
        options.images = N_QUICK if options.images is None else min(options.images, N_QUICK)
    if options.out is None:
        options.out = _default_out(options)
    check_out(parser, options.out)
    if options.checkpoints is None:
        options.checkpoints = Path("results/train_predictive") / (options.out.stem + "_quick" * options.quick)
    return options


def _default_out(options):
    """Return the shipped file for the shipped options; for others one whose name tells them apart."""
    changed = {name: value for name, value in _changed(options).items() if name != "quick"}
    if options.preset == "shipped" and not changed:
        return Path("results/quick" if options.quick else "weights") / f"digits_{options.variant}_if.keras"
    named = ("dataset", "architecture", "depth")
    rest = "".join(f"_{name}-{_shown(name, value)}" for name, value in changed.items() if name not in named)
    rest = re.sub(r"[^\w.-]+", "-", rest) if len(rest) < 100 else f"_{zlib.crc32(rest.encode()):08x}"
    published = "_published" * (options.preset == "published")
    name = f"{options.dataset}_{options.architecture}{options.depth}_{options.variant}{published}{rest}.keras"
    return Path("results/quick" if options.quick else "results/train_predictive") / name


def recipe_of(options):
    """Return the `Recipe` of parsed options."""
    return Recipe(**{item.name: getattr(options, item.name) for item in fields(Recipe)})


def network_options(options):
    """Return the options of the network, by name."""
    return {name: getattr(options, name) for name in (RESNET if options.architecture == "resnet" else NETWORK)}


def outside_recipe(options):
    """Return the options besides the recipe on which a training depends, by name."""
    names = ("preset", "variant", "architecture", "dataset", "colours", "stages", "images", "quick")
    return {name: getattr(options, name) for name in names} | network_options(options)


def _shown(name, value):
    """Return the value of an option as it stands in a command."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    if value is None or isinstance(value, bool):
        return "" if name == "quick" else str(value).lower()
    return shlex.quote(str(value))


def command_of(options):
    """
    Return the command line that makes a checkpoint again, with all options that differ from the defaults.

    Parameters
    ----------
    options : argparse.Namespace

    Returns
    -------
    command : str
    """
    parts = [f"--preset {options.preset}"] * (options.preset != "shipped") + [f"--variant {options.variant}"]
    for name, value in _changed(options).items():
        parts.append(f"--{name.replace('_', '-')} {_shown(name, value)}".strip())
    return "python -m brainsnn.training.train_predictive " + " ".join([*parts, f"--out {options.out}"])


def _changed(options):
    """Return the options, apart from preset and variant, that differ from their defaults."""
    network, recipe = _defaults(options.preset, options.variant, options.dataset, options.architecture)
    defaults = {
        "architecture": "vgg",
        "dataset": "digits",
        "colours": "range",
        "stages": "both",
        **network,
        "quick": False,
        "images": None,
        **asdict(recipe),
    }
    values = {name: getattr(options, name) for name in defaults}
    skipped = QUICK_SETS if options.quick else ()
    return {name: value for name, value in values.items() if value != defaults[name] and name not in skipped}


#: Options that ``--quick`` sets.
QUICK_SETS = ("ann_epochs", "snn_epochs", "steps", "training_steps", "snn_images", "balance_steps", "images")
