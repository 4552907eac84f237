"""Experiments of the literature, repeated at a size that one machine can bear."""

from saddlepoint.studies.capacity import Capacity, Watch, run_capacity
from saddlepoint.studies.cell import Cell
from saddlepoint.studies.exact import Exact, Follow, run_exact
from saddlepoint.studies.exact_figure import draw_exact
from saddlepoint.studies.exact_plan import ExactPlan
from saddlepoint.studies.figure import draw_capacity
from saddlepoint.studies.plan import MULTIPLIERS, TRAININGS, CapacityPlan

__all__ = [
    "MULTIPLIERS",
    "TRAININGS",
    "Capacity",
    "CapacityPlan",
    "Cell",
    "Exact",
    "ExactPlan",
    "Follow",
    "Watch",
    "draw_capacity",
    "draw_exact",
    "run_capacity",
    "run_exact",
]
