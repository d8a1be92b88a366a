"""Where the tests find the files of the project."""

from pathlib import Path

HELPERS = Path(__file__).resolve().parent
DATA = HELPERS.parent / "data"
ROOT = HELPERS.parent.parent
WEIGHTS = ROOT / "weights"
STUDIES = ROOT / "studies"
