"""Settings that every test shares: reproducible hypothesis runs, one thread per process."""

import torch
from hypothesis import HealthCheck, settings

settings.register_profile(
    "saddlepoint",
    derandomize=True,
    deadline=None,
    max_examples=6,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("saddlepoint")
torch.set_num_threads(1)
