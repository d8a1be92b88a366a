"""Copy the trained networks and the studies into the package when it is built; everything else is in setup.cfg."""

from pathlib import Path
from shutil import copytree, ignore_patterns

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithFolders(build_py):
    """The usual build, with the top-level folders ``weights`` and ``studies`` inside the package."""

    def run(self):
        """Build, and copy the folders unless the checkout itself is installed."""
        super().run()
        if not self.editable_mode:
            for name in ("weights", "studies"):
                target = Path(self.build_lib) / "brainsnn" / name
                copytree(name, target, dirs_exist_ok=True, ignore=ignore_patterns("__pycache__"))


setup(cmdclass={"build_py": BuildWithFolders})
