"""The smallest study that still trains, and what stops one."""

from typing import Any

from saddlepoint.studies import CapacityPlan, Cell
from saddlepoint.train import Epoch

__all__ = ["Stop", "StopAt", "tiny"]


def tiny(**changed: Any) -> CapacityPlan:  # noqa: ANN401
    usual: dict[str, Any] = {
        "multipliers": (1, 2),
        "trainings": ("natural", "fgsm"),
        "train_n": 200,
        "test_n": 40,
        "epochs": 2,
        "train_steps": 2,
        "test_steps": 3,
        "batch_size": 64,
        "lr": 1e-2,
        "held_out": 0.1,
    }
    return CapacityPlan(**usual | changed)


class Stop(Exception):
    pass


class StopAt:
    """Raises after the epoch, or at the end, of one cell; notes what happened before."""

    def __init__(self, name: str = "", epoch: int = 0) -> None:
        self.name, self.at = name, epoch
        self.seen: list[tuple[str, str]] = []

    def start(self, cell: Cell) -> None:
        self.seen.append(("start", cell.name))

    def epoch(self, cell: Cell, row: Epoch) -> None:
        if (cell.name, row.epoch) == (self.name, self.at):
            raise Stop

    def end(self, cell: Cell, row: dict[str, Any], kept: bool) -> None:
        self.seen.append(("kept" if kept else "end", cell.name))
        if cell.name == self.name and not self.at:
            raise Stop
