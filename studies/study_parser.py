"""The options that all studies have, and those of their parameters."""

import argparse

__all__ = ["parser_of"]


def parser_of(name, description, quick, devices, sweeps):
    """Return the parser of a study; the arguments are those of `common.Study`."""
    parser = argparse.ArgumentParser(
        prog=f"{name}.py", description=description.strip().splitlines()[0], allow_abbrev=False
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a short run (the default)")
    size.add_argument("--full", action="store_true", help="the complete run")
    parser.add_argument("--device", choices=devices, default=devices[0], help=f"Brian2 device ({devices[0]})")
    parser.add_argument("--seed", type=_seed, default=0, help="seed of all random numbers (0)")
    if sweeps:
        parser.add_argument(
            "--cluster", help="slurm, or the address of a dask scheduler (default: processes of this machine)"
        )
    parser.add_argument("--out", help=f"folder for figures and tables (results/{name})")
    for key, value in quick.items():
        several = isinstance(value, (list, tuple))
        kind = type(value[0] if several else value)
        parser.add_argument(
            f"--{key.replace('_', '-')}",
            type=_positive(kind) if kind in (int, float) else kind,
            nargs="+" if several else None,
            help=f"{value} in a quick run" if not several else f"{' '.join(map(str, value))} in a quick run",
        )
    return parser


def _positive(kind):
    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a {'whole ' if kind is int else ''}number") from None
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} must be greater than 0")
        return value

    return parse


def _seed(text):
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, 0 or greater")
    return int(text)
