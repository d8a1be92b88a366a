"""Copy the folder of trained networks into the package when it is built; everything else is in setup.cfg."""

from pathlib import Path
from shutil import copytree

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithWeights(build_py):
    """The usual build, with the top-level folder ``weights`` inside the package."""

    def run(self):
        """Build, and copy the weights unless the checkout itself is installed."""
        super().run()
        if not self.editable_mode:
            copytree("weights", Path(self.build_lib) / "brainsnn" / "weights", dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithWeights})
