"""The nets of the study: an undefended one, and every defence, trained once and kept."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.attacks import FGSM
from saddlepoint.core.search import search
from saddlepoint.core.threat import ThreatModel
from saddlepoint.data import Dataset
from saddlepoint.models import build, load_model, save_model
from saddlepoint.models.defences import confused, distill
from saddlepoint.models.defences.body import body
from saddlepoint.studies.arms_plan import ArmsPlan
from saddlepoint.threats import L2

__all__ = ["Nets"]

_SAVED = {
    "squeezing": "squeezed",
    "specialists": "specialists",
    "detector": "guarded",
    "outlier class": "outlier-class",
}


@dataclass(frozen=True, eq=False)
class Nets:
    """Trains each net on the first samples of the data when it is first asked for.

    A net's folder holds its weights and what they are, so that ``saddlepoint audit`` reads it.
    """

    plan: ArmsPlan
    data: Dataset
    folder: Path

    def control(self) -> nn.Module:
        """Return the undefended net."""
        return self._kept("undefended", self._undefended)

    def defended(self, defence: str) -> nn.Module:
        """Return the net with this defence."""
        return self._kept(defence, self._defences()[defence])

    def known(self, defence: str) -> nn.Module:
        """Return what an attacker who knows the defence attacks: the same forward pass."""
        model = self.defended(defence)
        if defence not in ("squeezing", "specialists"):
            return model
        where = self.folder / f"{_named(defence)}-smooth"
        return self._kept(where.name, lambda: self._filled(defence, model))

    def place(self, name: str) -> Path:
        """Return the folder of a net."""
        return self.folder / _named(name)

    # -- training ------------------------------------------------------------------------------

    def _kept(self, name: str, make: Callable[[], nn.Module]) -> nn.Module:
        place = self.place(name)
        if not (place / "model.json").exists():
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.plan.seed)
                model = make()
            arch, options = self._words(name)
            save_model(model, place, arch, self.data.shape, self.data.classes, options)
        loaded = load_model(place).model
        assert isinstance(loaded, nn.Module)  # noqa: S101 - no ONNX was written
        return loaded.requires_grad_(False)

    def _words(self, name: str) -> tuple[str, dict[str, Any]]:
        """Architecture and options under which a net is saved."""
        plan, smooth = self.plan, name.endswith("-smooth")
        arch = _SAVED.get(name.removesuffix("-smooth"))
        if arch is None:
            hidden = {"hidden": [plan.width]} if plan.net == "mlp" else {"width": plan.width}
            return plan.net, hidden
        width = plan.small_width if arch == "specialists" else plan.width
        options: dict[str, Any] = {"net": plan.net, "width": width}
        if arch == "squeezed":
            options |= {"bits": plan.bits, "median": plan.median}
        return arch, options | ({"smooth": True} if smooth else {})

    def _new(self, name: str) -> Any:  # noqa: ANN401 - one of the defences
        arch, options = self._words(name)
        return build(arch, self.data.shape, self.data.classes, options)

    def _filled(self, defence: str, model: nn.Module) -> nn.Module:
        copy: nn.Module = self._new(f"{defence}-smooth")
        copy.load_state_dict(model.state_dict())
        return copy

    def _train(self) -> tuple[Tensor, Tensor]:
        half = self.data.split("train")
        return half.batch(slice(0, min(self.plan.train_n, len(half) - self.plan.held_n)))

    def _held(self) -> Tensor:
        half = self.data.split("train")
        first = min(self.plan.train_n, len(half) - self.plan.held_n)
        return half.batch(slice(first, first + self.plan.held_n))[0]

    def _body(self) -> nn.Module:
        return body(self.plan.net, self.data.shape, self.data.classes, self.plan.width)

    def _undefended(self) -> nn.Module:
        return self.plan.fitting.classes(self._body(), *self._train())

    def _defences(self) -> dict[str, Callable[[], nn.Module]]:
        return {
            "distillation": self._distilled,
            "squeezing": self._squeezing,
            "specialists": self._specialists,
            "detector": self._detector,
            "outlier class": self._outlier,
        }

    def _distilled(self) -> nn.Module:
        return distill(self._body, *self._train(), self.plan.temperature, self.plan.fitting)

    def _squeezing(self) -> nn.Module:
        model = self._new("squeezing")
        model.net.load_state_dict(self.control().state_dict())
        calibrated: nn.Module = model.eval().calibrate(self._held(), self.plan.false_alarms)
        return calibrated

    def _detector(self) -> nn.Module:
        model = self._new("detector")
        model.net.load_state_dict(self.control().state_dict())
        x, y = self._train()
        model.fit(0, x, self._attacked(x, y, L2(self.plan.l2)), self.plan.fitting)
        calibrated: nn.Module = model.eval().calibrate(self._held(), self.plan.false_alarms)
        return calibrated

    def _outlier(self) -> nn.Module:
        x, y = self._train()
        attacked = self._attacked(x, y, L2(self.plan.l2))
        fitted: nn.Module = self._new("outlier class").fit(
            x, y, attacked, self.data.classes, self.plan.fitting
        )
        return fitted

    def _specialists(self) -> nn.Module:
        x, y = self._train()
        with torch.no_grad():
            said = self.control()(self._attacked(x, y, L2(self.plan.l2))).argmax(1)
        k = self.data.classes
        counts = torch.bincount(y * k + said, minlength=k * k).reshape(k, k)
        model = self._new("specialists").fit(x, y, confused(counts), self.plan.fitting)
        calibrated: nn.Module = model.eval().calibrate(self._held(), self.plan.false_alarms)
        return calibrated

    def _attacked(self, x: Tensor, y: Tensor, threat: ThreatModel) -> Tensor:
        """Return what the claim's attack makes of the training samples, on the undefended net."""
        return search(FGSM(), self.control(), x, y, threat, early_stop=False).x_adv


def _named(name: str) -> str:
    return name.replace(" ", "-")
