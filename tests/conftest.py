"""Settings that every test shares: reproducible hypothesis runs, one thread per process."""

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

for name, examples in (("whole", 6), ("fast", 3)):
    settings.register_profile(
        name,
        derandomize=True,
        deadline=None,
        max_examples=examples,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
torch.set_num_threads(1)


def pytest_configure(config: pytest.Config) -> None:
    """Try half as many examples where only the fast tests are asked for."""
    settings.load_profile("fast" if config.getoption("markexpr") == "not slow" else "whole")


@pytest.hookimpl(tryfirst=True)  # before slow tests are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that slow.txt lists; refuse names that hold an address.

    Processes could not agree on which tests there are.
    """
    listed = set((Path(__file__).parent / "slow.txt").read_text().splitlines())
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid}: give the parameters ids that stay the same")
        if item.nodeid in listed:
            item.add_marker(pytest.mark.slow)
