"""What every test may lean on: where the reference data lies, if it is there."""

from pathlib import Path

import pytest
from hypothesis import settings

# Kernels compile at their first call, and the machine is shared: no example has a deadline.
settings.register_profile("kobe", deadline=None)
settings.load_profile("kobe")

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder of reference data beside the checkout; skips the test where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("reference data (../shared) is not beside this checkout")
    return SHARED
