"""Experiments of the literature, repeated at a size that one machine can bear."""

from saddlepoint.studies.capacity import Capacity, Watch, run_capacity
from saddlepoint.studies.cell import Cell
from saddlepoint.studies.eot import Eot, Heed, run_eot
from saddlepoint.studies.eot_figure import draw_eot
from saddlepoint.studies.eot_plan import EotPlan
from saddlepoint.studies.exact import Exact, Follow, run_exact
from saddlepoint.studies.exact_figure import draw_exact
from saddlepoint.studies.exact_plan import ExactPlan
from saddlepoint.studies.figure import draw_capacity
from saddlepoint.studies.plan import MULTIPLIERS, TRAININGS, CapacityPlan
from saddlepoint.studies.spatial import Spatial, SpatialWatch, run_spatial
from saddlepoint.studies.spatial_figure import draw_spatial
from saddlepoint.studies.spatial_plan import SpatialPlan

__all__ = [
    "MULTIPLIERS",
    "TRAININGS",
    "Capacity",
    "CapacityPlan",
    "Cell",
    "Eot",
    "EotPlan",
    "Exact",
    "ExactPlan",
    "Follow",
    "Heed",
    "Spatial",
    "SpatialPlan",
    "SpatialWatch",
    "Watch",
    "draw_capacity",
    "draw_eot",
    "draw_exact",
    "draw_spatial",
    "run_capacity",
    "run_eot",
    "run_exact",
    "run_spatial",
]
