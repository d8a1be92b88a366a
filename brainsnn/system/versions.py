"""The versions that a result depends on: of Python, packages, compiler and operating system."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

__all__ = ["installed_versions"]

PACKAGES = (
    "numpy", "scipy", "matplotlib", "cython", "tensorflow", "tensorflow-cpu", "keras", "brian2cuda", "brian2genn",
)  # fmt: skip


@cache
def installed_versions() -> dict[str, str]:
    """
    Return the versions of Python, the packages that brainsnn builds on, and the operating system.

    Returns
    -------
    versions : dict of str to str
        Packages that are not installed are left out.

    Examples
    --------
    >>> from brainsnn.system.versions import installed_versions
    >>> {"Python", "numpy", "system"} <= set(installed_versions())
    True
    """
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found | {"system": platform.platform()}
