"""The device that behavioural tests run on: ``pytest --device NAME``, C++ standalone by default."""

DEFAULT = "cpp_standalone"

#: Set by conftest.py before tests are collected.
DEVICE = DEFAULT
