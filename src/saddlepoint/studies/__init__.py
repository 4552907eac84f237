"""Experiments of the literature, repeated at a size that one machine can bear."""

from saddlepoint.studies.arms import Arms, Onlooker, run_arms
from saddlepoint.studies.arms_figure import draw_arms
from saddlepoint.studies.arms_link import Link
from saddlepoint.studies.arms_plan import ArmsPlan
from saddlepoint.studies.capacity import Capacity, Watch, run_capacity
from saddlepoint.studies.cell import Cell
from saddlepoint.studies.corruptions import Corruptions, CorruptionWatch, run_corruptions
from saddlepoint.studies.corruptions_figure import draw_corruptions
from saddlepoint.studies.corruptions_plan import CorruptionsPlan
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
    "Arms",
    "ArmsPlan",
    "Capacity",
    "CapacityPlan",
    "Cell",
    "CorruptionWatch",
    "Corruptions",
    "CorruptionsPlan",
    "Eot",
    "EotPlan",
    "Exact",
    "ExactPlan",
    "Follow",
    "Heed",
    "Link",
    "Onlooker",
    "Spatial",
    "SpatialPlan",
    "SpatialWatch",
    "Watch",
    "draw_arms",
    "draw_capacity",
    "draw_corruptions",
    "draw_eot",
    "draw_exact",
    "draw_spatial",
    "run_arms",
    "run_capacity",
    "run_corruptions",
    "run_eot",
    "run_exact",
    "run_spatial",
]
