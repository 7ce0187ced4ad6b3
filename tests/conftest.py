"""What every test may lean on: the reference data, if it is there, and the count of proofs."""

from pathlib import Path

import pytest
from hypothesis import settings

from tests.requirements import REFERENCE_DATA, ProofCounter, Requirement, require

# Kernels compile at their first call, and the machine is shared: no example has a deadline.
settings.register_profile("kobe", deadline=None)
settings.load_profile("kobe")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(ProofCounter(), "proof-counter")


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder of reference data beside the checkout; counts the test as not run without it."""
    require(Requirement.REFERENCE_DATA)
    return REFERENCE_DATA
