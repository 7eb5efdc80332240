"""A pytest fixture for test modules that draw from a generator `RNG`: conftest.py imports it."""

import zlib

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def fresh_numbers(request: pytest.FixtureRequest) -> None:
    """Gives each test a generator of its own, so that its numbers do not depend on the tests that ran before it."""
    if hasattr(request.module, "RNG"):
        request.module.RNG = np.random.default_rng(zlib.crc32(request.node.name.encode()))
