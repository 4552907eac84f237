"""What the study of expectation over transformation computes, as one frozen value."""

from dataclasses import asdict, dataclass
from typing import Any

from saddlepoint.attacks import FMN, PGD, Momentum
from saddlepoint.core.access import Attack
from saddlepoint.core.errors import Invalid
from saddlepoint.core.expectation import Distribution, Expectation
from saddlepoint.core.whole import require_whole
from saddlepoint.threats import Linf
from saddlepoint.train import TrainPlan
from saddlepoint.views import Brightness, Noise, Perspective, Render, Rotate, Scale, Shift

__all__ = ["METHODS", "SCENES", "EotPlan", "Scene"]

METHODS = ("original", "smallest", "pushed", "eot")


@dataclass(frozen=True)
class Scene:
    """How inputs are seen: ``views`` at random, ``home`` always in the same way.

    home: None for the input as it is. about: for the figure.
    """

    name: str
    about: str
    views: Distribution
    home: Distribution | None


def _fixed(solid: str, size: int) -> Render:
    """Look at the solid from the front, at the mean distance, with the lamp behind the viewer."""
    return Render(
        solid=solid,  # type: ignore[arg-type]
        size=size,
        yaw=0,
        pitch=0,
        roll=0,
        distance=(3.0, 3.0),
        lamp=0,
        background=(0.5, 0.5),
    )


_FLAT = (
    Rotate(30)
    >> Scale((0.8, 1.2))
    >> Shift(0.1)
    >> Perspective(30)
    >> Brightness(0.2)
    >> Noise(0.1)
)
SCENES = (
    Scene("flat", "a picture: turned, resized, moved, tilted, lit, with noise", _FLAT, None),
    Scene("cube", "a cube, from any side", Render("cube", 32) >> Noise(0.05), _fixed("cube", 32)),
    Scene(
        "sphere",
        "a sphere, from any side",
        Render("sphere", 32) >> Noise(0.05),
        _fixed("sphere", 32),
    ),
)


@dataclass(frozen=True, kw_only=True)
class EotPlan:
    """One net for each scene, trained on its views, and witnesses against it.

    scenes: of flat, cube, sphere. images: how many are attacked, the first of the test split that
    the net gets right at home and in most of 20 views. eps: L_inf radius, of a picture's or a
    texture's values. steps, draws: of the attack over the distribution; one that is pushed as far
    in one view takes ``steps * draws`` steps, so that both cost the same. trials: fresh views that
    judge a witness.
    arch, train_n, epochs, batch_size, lr, held_out, seed: as in ``TrainPlan``. Raises ``Invalid``.

    >>> EotPlan(scenes=("cube",)).attacks()["pushed"]
    PGD(steps=400, transform=Momentum(), loss='cross-entropy')
    """

    scenes: tuple[str, ...] = ("flat", "cube", "sphere")
    images: int = 50
    eps: float = 0.3
    steps: int = 40
    draws: int = 10
    trials: int = 100
    arch: str = "conv-medium"
    train_n: int = 30_000
    epochs: int = 5
    batch_size: int = 128
    lr: float = 2e-3
    held_out: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("images", 1),
            ("steps", 1),
            ("draws", 1),
            ("trials", 6),
            ("epochs", 1),
            ("train_n", 2),
        ):
            require_whole(name, getattr(self, name), least)
        known = tuple(scene.name for scene in SCENES)
        if not self.scenes or set(self.scenes) - set(known):
            raise Invalid("scenes", self.scenes, f"of {', '.join(known)}, at least one")
        Linf(eps=self.eps)

    @classmethod
    def quick(cls, seed: int = 0) -> "EotPlan":
        """Return the study at a glance: two scenes, 20 images, a fifth of the data."""
        return cls(scenes=("flat", "cube"), images=20, train_n=10_000, seed=seed)

    def settings(self) -> dict[str, Any]:
        """Return what a folder's results depend on."""
        seen = {scene.name: repr(scene.views) for scene in self.chosen}
        return asdict(self) | {"scenes": list(self.scenes), "views": seen}

    @property
    def chosen(self) -> tuple[Scene, ...]:
        """The scenes, in the order of the figure."""
        return tuple(scene for scene in SCENES if scene.name in self.scenes)

    def under(self, scene: Scene, draws: int | None = None) -> Expectation:
        """Return the views as an attack and a judgement use them."""
        return Expectation(scene.views, draws=draws or self.draws, trials=self.trials)

    def attacks(self) -> dict[str, Attack[Any]]:
        """Return the attacks by method, on the way to the target class."""
        further: dict[str, Any] = {"loss": "cross-entropy", "transform": Momentum()}
        return {
            "smallest": FMN(steps=self.steps),
            "pushed": PGD(steps=self.steps * self.draws, **further),
            "eot": PGD(steps=self.steps, **further),
        }

    def training(self, shape: tuple[int, ...], classes: int) -> TrainPlan:
        """Return the training run of a net on views."""
        return TrainPlan(
            arch=self.arch,
            shape=shape,
            classes=classes,
            threat=Linf(eps=0.01),
            attack=PGD(steps=2),
            check=PGD(steps=2),
            check_n=50,
            loss="natural",
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            guard=False,
            held_out=self.held_out,
            seed=self.seed,
        )
