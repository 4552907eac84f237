"""Under each witness of a report: what was done to it, in sets made of sets too."""

from pathlib import Path

import torch

import saddlepoint as sp
from saddlepoint.audit.told import told

TURN = sp.RotateTranslate(degrees=30, pixels=2)
X = torch.full((2, 1, 4, 4), 0.5)


def test_the_chosen_set_of_a_union_speaks() -> None:
    both = sp.Linf(0.1) | TURN
    u = both.start(X)
    u[1, 0], u[1, -3:] = 1, torch.tensor([-0.5, 1.0, 0.0])
    assert told(both, X, u) == [
        "changed within Linf(eps=0.1)",
        "turned anticlockwise by 15.0°, shifted right by 2.0 and down by 0.0",
    ]


def test_the_sets_of_a_chain_speak_in_turn() -> None:
    chain = TURN >> sp.Linf(0.1)
    first, *_ = told(chain, X, chain.start(X))
    assert first == (
        "turned clockwise by 0.0°, shifted right by 0.0 and down by 0.0, "
        "then changed within Linf(eps=0.1)"
    )


def test_a_mask_is_named_and_balls_have_no_words() -> None:
    masked = sp.Masked(TURN, mask=((0, 2), (0, 2)))
    assert all(s.endswith("seen within the mask") for s in told(masked, X, masked.start(X)))
    assert told(sp.Linf(0.1), X, sp.Linf(0.1).start(X)) == ["", ""]


def test_a_report_says_which_set_broke_a_sample(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
    x = torch.rand(6, 1, 4, 4)
    both = sp.Linf(0.2) | TURN
    attack = sp.Each((sp.PGD(steps=3), sp.WorstOf(k=5)))
    sp.audit(net, (x, net(x).argmax(1)), both, (attack,), out=tmp_path, probes=0, figures=0)
    page = (tmp_path / "report.html").read_text()
    assert "changed within Linf(eps=0.2)" in page or "turned " in page
    assert "largest change" not in page
