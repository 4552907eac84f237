"""Training against changes in environment, by the loop that trains against balls."""

from pathlib import Path

import pytest

import saddlepoint as sp
from saddlepoint.presets import parse_threat
from tests.train.kit import Digits, MakeNet, MakePlan


@pytest.mark.parametrize(
    ("text", "loss"),
    [
        ("Corruption('fog')", "madry"),
        pytest.param("Affine(severity=2)", "sampled", marks=pytest.mark.slow),
        pytest.param("Blur('motion', pixels=1)", "trades", marks=pytest.mark.slow),
    ],
)
def test_a_set_can_be_trained_against(
    text: str, loss: str, plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    recipe = plan(
        threat=parse_threat(text),
        loss=loss,
        attack=sp.WorstOf(k=3),
        check=sp.WorstOf(k=5),
        epochs=2,
    )
    done = sp.train(recipe, net(), x[:500], y[:500], tmp_path, progress=False)
    first, last = done.history[0], done.history[-1]
    assert last.loss < first.loss
    assert last.robust is not None
    assert last.robust <= last.clean
