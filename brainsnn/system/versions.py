"""The versions that a result depends on: of Python, packages, compiler and operating system."""

import platform
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version

__all__ = ["installed_versions", "package_versions"]

PACKAGES = (
    "numpy", "scipy", "matplotlib", "cython", "tensorflow", "tensorflow-cpu", "keras", "brian2cuda", "brian2genn",
)  # fmt: skip


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """
    Return the versions of packages.

    Parameters
    ----------
    names : iterable of str

    Returns
    -------
    versions : dict of str to str
        Packages that are not installed are left out.
    """
    found = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


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
    return {"Python": platform.python_version(), **package_versions(PACKAGES), "system": platform.platform()}
