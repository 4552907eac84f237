"""Settings that every test shares: reproducible hypothesis runs, one thread per process."""

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names that hold an address: processes could not agree on which tests there are."""
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid}: give the parameters ids that stay the same")
