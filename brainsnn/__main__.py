"""The command line: ``python -m brainsnn cache`` shows or clears the cache of compiled programs."""

import argparse
import sys

from brainsnn.plain_arrays import is_number

__all__ = ["main"]


def main(arguments=None):
    """
    Run the command line.

    Parameters
    ----------
    arguments : list of str, optional
        The command-line arguments, by default those of the process.
    """
    parser = argparse.ArgumentParser(
        prog="python -m brainsnn", description="Show or clear the cache of compiled networks."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    cache = commands.add_parser("cache", help="show or clear the cache of compiled networks")
    cache.add_argument(
        "--clear", action="store_true", help="remove compiled networks; they are compiled again when needed"
    )
    cache.add_argument("--days", type=float, default=0.0, help="remove only those not used for this many days (0: all)")
    options = parser.parse_args(arguments)
    if not is_number(options.days, low=0):
        cache.error(f"argument --days: must be 0 or more, got {options.days:g}")
    import brainsnn as bs

    if options.clear:
        print(f"{bs.clear_cache(options.days) / 1e6:.1f} MB freed in {bs.cache_directory()}")
    else:
        programs = bs.cached_programs()
        print(
            f"{len(programs)} compiled networks, {sum(p[1] for p in programs) / 1e6:.1f} MB in {bs.cache_directory()}"
        )


if __name__ == "__main__":
    sys.exit(main())
