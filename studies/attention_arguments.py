"""Arguments of both forms of the attention study: those that a run would ignore are refused before it."""

import argparse

__all__ = ["ALL", "FILES", "defaults_for", "word_of"]

#: The user's own network, file of selected scenes and folder of COCO instead of what ships, and how photographs are resized.
FILES = {"model": "", "weights": "", "scenes": "", "photographs": "", "interpolation": "nearest"}
#: Number of scenes that means all of the file.
ALL = 0


def word_of(argv, name, default):
    """Return what the command line gives for an option, before the study has read all of them."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(f"--{name}", default=default)
    return parser.parse_known_args(argv)[0].__dict__[name]


def defaults_for(full, photographs):
    """Return the parameters of a complete run: of photographs, it takes all scenes."""
    return full | ({"n_scenes": ALL} if photographs else {})
