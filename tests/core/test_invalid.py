"""Bad arguments: refused before any work, with the name, the value, what is allowed and a hint."""

import math
from typing import Any

import pytest
import torch

from saddlepoint import (
    APGD,
    DDN,
    DLR,
    FAB,
    FGSM,
    FMN,
    L1,
    L2,
    PGD,
    Bisect,
    Budget,
    FrankWolfe,
    Linf,
    Momentum,
    Quantize,
    RandomSearch,
    Restarts,
    Sequence,
    Targeted,
    Targets,
    Untargeted,
    search,
)
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid, Unsupported
from tests.laws.models import Spy

X, Y = torch.full((4, 2), 0.5), torch.tensor([0, 1, 2, 0])
INT = torch.int64


def model(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x, x.sum(1, keepdim=True)], 1)


def bad(text: str, x: Any = X, y: Any = Y, **options: Any) -> int:  # noqa: ANN401
    spy = Spy(options.pop("model", model))
    attack, threat = options.pop("attack", PGD()), options.pop("threat", Linf(eps=0.1))
    with pytest.raises(Invalid, match=text):
        search(attack, spy, x, y, threat, **options)
    return len(spy.sizes)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("one label for each of 4", {"y": Y[:3]}),
        ("0 … K-1", {"y": torch.tensor([0, 1, -1, 0])}),
        ("whole numbers", {"y": Y.float()}),
        ("one class index per sample", {"y": Y[:, None]}),
        ("of one-hot rows, y.argmax", {"y": torch.eye(4)}),
        ("goal = 'list'.*torch.as_tensor", {"y": [0, 1, 2, 0]}),
        ("x.float\\(\\) / 255", {"x": torch.zeros(4, 2, dtype=torch.uint8)}),
        ("input range", {"x": X * 4}),
        ("input range", {"x": X - 0.6}),
        ("finite", {"x": X * math.nan}),
        ("normalisation into the model", {"x": X * 255}),
        ("as x / 255 does", {"x": (X * 255).round()}),
        ("at least one sample", {"x": X[:0], "y": Y[:0]}),
        ("at least one sample", {"x": X[:, 0]}),
        ("at least one sample; torch.as_tensor", {"x": X.numpy()}),
        ("<class PGD>: must be an object; write PGD\\(\\)", {"attack": PGD}),
        ("'PGD\\(\\)': must be an attack .* command line", {"attack": "PGD()"}),
        ("it comes before the model", {"attack": torch.nn.Identity()}),
        ("write Linf\\(eps=8/255\\)", {"threat": Linf}),
        ("threat = 'Linf\\(0.1\\)': .* command line", {"threat": "Linf(0.1)"}),
        ("did you mean margin", {"loss": "magin"}),
        ("known: cross-entropy", {"loss": "xyz"}),
        ("loss", {"loss": 3}),
        ("batch_size", {"batch_size": 0}),
        ("batch_size", {"batch_size": 2.5}),
        ("seed", {"seed": -1}),
        ("seed", {"seed": 1.5}),
        ("precision", {"precision": "float16"}),
        ("access", {"access": "everything"}),
        ("eps", {"threat": Linf(eps=torch.tensor([0.1, 0.2]))}),
        ("eps", {"threat": L2(eps=torch.tensor([0.1] * 9)), "x": X[:1], "y": Y[:1]}),
        ("eps", {"threat": L2(eps=torch.tensor([0.1]))}),
        ("ids", {"ids": torch.arange(3)}),
        ("ids", {"ids": torch.arange(9)}),
        ("eps = 9", {"threat": L2(eps=9.0)}),
        ("eps = 9", {"threat": L1(eps=9.0)}),
    ],
    ids=lambda a: a if isinstance(a, str) else ",".join(a),
)
def test_search_refuses_before_the_model_is_asked(text: str, arguments: dict[str, Any]) -> None:
    assert bad(text, **arguments) == 0


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("y = 3: must be class indices in 0 … 2", {"y": torch.tensor([0, 1, 3, 0])}),
        ("K >= 2", {"model": lambda x: x[:, :1], "y": Y * 0}),
        ("shape \\(4, K\\)", {"model": lambda x: x[:, None, :]}),
        ("one score for each class", {"model": lambda x: x[:, 0]}),
        ("saddlepoint.models.Arrays", {"model": lambda x: x.detach().numpy()}),
        ("shape \\(4, K\\)", {"model": lambda x: x[:2]}),
        ("return the logits alone", {"model": lambda x: (x, x)}),
    ],
    ids=["label", "one class", "3-D", "1-D", "array", "rows", "tuple"],
)
def test_answers_are_checked_after_one_question(text: str, arguments: dict[str, Any]) -> None:
    assert bad(text, **arguments) == 1


def test_a_loaded_model_is_told_from_its_module() -> None:
    from saddlepoint.models.loaded import Loaded

    loaded = Loaded(model, "mine", "mine", "gradients", "")
    with pytest.raises(Invalid, match=r"model = <Loaded>: .* pass its .model"):
        search(PGD(), loaded, X, Y, Linf(eps=0.1))  # type: ignore[arg-type]


def test_labels_of_later_batches_are_checked_before_the_first_is_attacked() -> None:
    assert bad("y = 7", y=torch.tensor([0, 1, 0, 7]), batch_size=1) == 1


@pytest.mark.parametrize(
    ("text", "build"),
    [
        ("eps = -0.1", lambda: Linf(eps=-0.1)),
        ("eps = nan", lambda: L2(eps=math.nan)),
        ("eps = inf", lambda: L1(eps=math.inf)),
        ("did you mean 8/255", lambda: Linf(eps=8)),
        ("at most 1", lambda: Linf(eps=1.5)),
        ("eps", lambda: Linf(eps=torch.tensor([0.1, math.nan]))),
        ("eps", lambda: Linf(eps=torch.tensor([0.1, -1.0]))),
        ("eps", lambda: Linf(eps=torch.zeros(2, 2))),
        ("eps", lambda: Linf(eps="8/255")),  # type: ignore[arg-type]
        ("eps", lambda: Linf(eps="0.1")),  # type: ignore[arg-type]
        ("eps", lambda: Linf(eps=None)),  # type: ignore[arg-type]
        ("eps", lambda: Linf(eps=0.1).at(-1.0)),
        ("eps", lambda: Quantize(Linf(eps=0.1)).at(-1.0)),
        ("box", lambda: Linf(eps=0.1, box=(1.0, 0.0))),
        ("box", lambda: Linf(eps=0.1, box=(0.0, math.nan))),
        ("steps = 0", lambda: PGD(steps=0)),
        ("steps = 2.5", lambda: APGD(steps=2.5)),  # type: ignore[arg-type]
        ("steps = True", lambda: FrankWolfe(steps=True)),
        ("step_size", lambda: PGD(step_size=-1.0)),
        ("step_size", lambda: PGD(step_size=math.nan)),
        ("start", lambda: PGD(start="zero")),  # type: ignore[arg-type]
        ("start", lambda: FrankWolfe(start="zero")),  # type: ignore[arg-type]
        ("n_queries", lambda: RandomSearch(n_queries=0)),
        ("n = 0", lambda: Restarts(PGD(), n=0)),
        ("steps = 0", lambda: FMN(steps=0)),
        ("gamma = 1", lambda: FMN(gamma=1)),
        ("step_size = -1", lambda: DDN(step_size=-1)),
        ("gamma = True", lambda: DDN(gamma=True)),
        ("alpha_max = 0", lambda: FAB(alpha_max=0)),
        ("beta", lambda: FAB(beta=1.5)),
        ("eta", lambda: FAB(eta=float("inf"))),
        ("rivals = 0", lambda: FAB(rivals=0)),
        ("start", lambda: FAB(start="x")),  # type: ignore[arg-type]
        ("attack", lambda: Bisect(PGD)),  # type: ignore[arg-type]
        ("tolerance = 0", lambda: Bisect(PGD(), tolerance=0)),
        ("rounds = 0", lambda: Bisect(PGD(), rounds=0)),
        ("n = 0", lambda: Targets(PGD(), n=0)),
        ("attacks", lambda: Sequence(())),
        ("budget.forward = 0", lambda: Budget(forward=0)),
        ("budget.backward = 1.5", lambda: Budget(backward=1.5)),  # type: ignore[arg-type]
        ("budget.forward = True", lambda: Budget(forward=True)),
        ("decay", lambda: Momentum(-1.0)),
        ("decay", lambda: Momentum(math.nan)),
        ("did you mean margin", lambda: PGD(loss="magin")),
        ("did you mean dlr", lambda: APGD(loss="drl")),
        ("loss", lambda: FGSM(loss="x")),
        ("loss", lambda: FrankWolfe(loss="x")),
        ("loss", lambda: RandomSearch(loss="x")),
        ("y", lambda: Untargeted(torch.tensor([-1]))),
        ("target", lambda: Targeted(torch.tensor([0.5]))),
        ("source", lambda: Targeted(torch.tensor([0, 1]), torch.tensor([0]))),
        ("source", lambda: Targeted(torch.tensor([0]), torch.tensor([-1]))),
        ("seed", lambda: Draw.of(-1, torch.arange(2))),
    ],
    ids=lambda a: a if isinstance(a, str) else "",
)
def test_constructors_refuse(text: str, build: Any) -> None:  # noqa: ANN401
    with pytest.raises(Invalid, match=text):
        build()


def test_losses_about_labels_refuse_other_goals() -> None:
    class Sum:
        def margin(self, out: torch.Tensor) -> torch.Tensor:
            return out.sum(1)

        def __getitem__(self, keep: torch.Tensor) -> "Sum":
            return self

    assert search(PGD(), model, X, Sum(), Linf(eps=0.1)).robust_accuracy == 0.0
    with pytest.raises(Unsupported, match="Margin"):
        DLR()(torch.zeros(2, 3), Sum())
