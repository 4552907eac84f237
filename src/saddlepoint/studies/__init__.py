"""Experiments of the literature, repeated at a size that one machine can bear."""

from saddlepoint.studies.capacity import Capacity, Watch, run_capacity
from saddlepoint.studies.cell import Cell
from saddlepoint.studies.figure import draw_capacity
from saddlepoint.studies.plan import MULTIPLIERS, TRAININGS, CapacityPlan

__all__ = [
    "MULTIPLIERS",
    "TRAININGS",
    "Capacity",
    "CapacityPlan",
    "Cell",
    "Watch",
    "draw_capacity",
    "run_capacity",
]
