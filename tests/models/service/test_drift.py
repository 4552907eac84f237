"""What counts as another model, and what as the step that looks for one."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from .kit import opened
from .server import running

X = torch.rand(10, 1, 2, 3, generator=torch.Generator().manual_seed(0))


def test_an_edge_beside_a_sample_is_no_other_model(tmp_path: Path) -> None:
    """Where a step along one coordinate crosses an edge of a tree, steps along others do not."""
    edge = int(np.random.default_rng(0).permutation(6)[1])  # where the second look leads
    here = {float(v) for v in X.flatten(1)[:, edge]}

    def answer(instances: list[Any]) -> Any:  # noqa: ANN401
        same = [np.ravel(x)[edge] in here for x in instances]
        return {"scores": [[1, 0, 0] if s else [0, 1, 0] for s in same]}

    with running(answer=answer) as server:
        model = opened(tmp_path, url=server.url, answer={"are": "logits"})
        with model.attached(tmp_path / "run"):
            model(X)
            assert model.drift(X) == 0
        assert max(server.seen.values()) == 1
        assert server.seen.total() == 10 + 4 + 2 * 4  # a second look at the end, and a third
