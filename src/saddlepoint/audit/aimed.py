"""The targets of a finished run: what each sample was to be taken for, and whether that was so."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.core.errors import BadData
from saddlepoint.core.target import RULES, Target, as_target

__all__ = ["Aimed"]

Array = np.ndarray[Any, Any]
_HOME = "its label is its target: nobody moves it there"


@dataclass(frozen=True, eq=False)
class Aimed:
    """The targets (n,) that a run claims, and the rule that its plan gives for them.

    rule: None where the plan names the hash of a list of classes, which the list has.
    """

    claimed: Array
    rule: Target | None

    @classmethod
    def load(cls, folder: Path, document: dict[str, Any]) -> "Aimed | None":
        """Read them, None for an untargeted run; raises ``BadData`` where the list is another."""
        said = document["plan"].get("target")
        if said is None:
            return None
        try:
            with np.load(folder / "evidence.npz", allow_pickle=False) as stored:
                claimed = stored["target"].astype(np.int64)
        except (OSError, KeyError, ValueError) as error:
            raise BadData(f"{folder}: the targets of the run are missing ({error})") from error
        if claimed.shape != (int(document["n"]),):
            raise BadData(f"{folder}/evidence.npz: not one target for each sample")
        if said in RULES or str(said).isdecimal():
            return cls(claimed, as_target(said))
        if str(Target(None, torch.from_numpy(claimed))) != said:
            raise BadData(f"{folder}: the targets are not those of the plan: the run was altered")
        return cls(claimed, None)

    def of(self, index: Array) -> Tensor:
        """(B,) int64 the claimed targets of these samples."""
        return torch.from_numpy(self.claimed[index])

    def faults(self, index: Array, y: Tensor, scores: Tensor, as_then: bool) -> list[str]:
        """Say for each sample how its target departs from the plan's rule, or "".

        scores: (B, K) of the clean inputs. as_then: whether they are those of the run; the scores
        of another model, or of other draws, say nothing about the rule.
        """
        claimed = self.claimed[index].tolist()
        wanted = claimed
        if self.rule is not None and (as_then or not self.rule.asks):
            wanted = self.rule.of(torch.from_numpy(index), y, scores).tolist()
        return [
            f"target {a}, where the plan's rule says {b}" if a != b else _HOME if a == c else ""
            for a, b, c in zip(claimed, wanted, y.tolist(), strict=True)
        ]
