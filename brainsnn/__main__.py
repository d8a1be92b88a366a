"""``python -m brainsnn cache``: what compiled programs take on disk, and how to be rid of them."""

import argparse
import sys

__all__ = ["main"]


def main(arguments=None):
    """
    The command line.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the process by default.
    """
    parser = argparse.ArgumentParser(prog="python -m brainsnn", description="Housekeeping.")
    commands = parser.add_subparsers(required=True, metavar="command")
    cache = commands.add_parser("cache", help="show or clear the cache of compiled networks")
    cache.add_argument("--clear", action="store_true", help="remove them; a network compiles again when it is needed")
    cache.add_argument("--days", type=float, default=0.0, help="only those not used for so many days (0: all)")
    options = parser.parse_args(arguments)
    if options.days < 0:
        cache.error(f"argument --days: {options.days:g} must be 0 or more")
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
