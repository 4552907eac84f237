"""Our side of the strength benchmark: (model, x, y, game, seed) -> what was found, and when."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from counting import Counting
from games import Game
from safetensors.torch import load_file
from torch import Tensor

import saddlepoint as sp
from saddlepoint.presets import parse_threat

__all__ = ["OURS", "Found", "Look", "Run", "look"]


@dataclass(frozen=True)
class Look:
    """Rows forward and backward so far, CPU seconds of the process, images broken so far."""

    forward: int
    backward: int
    seconds: float
    broken: int


@dataclass
class Found:
    """Inputs to be judged; looks taken while the attack ran, the last of them when it was over."""

    x_adv: Tensor
    trail: list[Look] = field(default_factory=list)


Run = Callable[[Counting, Tensor, Tensor, Game, int], Found]


def look(model: Counting, broken: int) -> Look:
    """Read the counters now."""
    return Look(model.forwards, model.backwards, time.process_time(), broken)


def _threat(game: Game) -> Any:  # noqa: ANN401
    return parse_threat(f"{game.norm}(eps={game.eps})")


def _search(
    attack: Any,  # noqa: ANN401
    model: Counting,
    x: Tensor,
    y: Tensor,
    game: Game,
    seed: int,
) -> Found:
    return Found(sp.search(attack, model, x, y, _threat(game), seed=seed).x_adv)


def _audit(effort: str, model: Counting, x: Tensor, y: Tensor, game: Game, seed: int) -> Found:
    """Audit into a folder, for its witnesses; the search is over with its last round.

    What follows is the report, which is no attack.
    """
    trail: list[Look] = []

    def note(name: str, done: int, total: int, broken: int) -> None:
        if done == total and name != "figures":
            trail.append(look(model, broken))

    options: dict[str, Any] = {"effort": effort, "figures": 0, "probes": 0, "progress": note}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        sp.audit(model, (x, y), _threat(game), seed=seed, out=out, **options)
        kept = load_file(out / "witnesses.safetensors")
    x_adv = x.clone()
    x_adv[kept["index"]] = kept["x_adv"].to(x.dtype).view(len(kept["index"]), *x.shape[1:])
    return Found(x_adv, trail)


# By family, by growing budget: a family is a line of the figure.
OURS: dict[str, dict[str, Run]] = {
    "PGD": {f"{k} steps": partial(_search, sp.PGD(steps=k)) for k in (10, 40, 100)},
    "APGD": {f"{k} steps": partial(_search, sp.APGD(steps=k)) for k in (10, 30, 100)},
    "cascade": {effort: partial(_audit, effort) for effort in ("quick", "standard", "thorough")},
}
