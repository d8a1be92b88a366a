"""The small network that all tests of options share."""

import pytest
from small_network import Small


@pytest.fixture(scope="session")
def small():
    return Small()
