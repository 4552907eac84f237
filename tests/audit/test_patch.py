"""A patch from the audit to the report and the replay, and in training."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from saddlepoint import PGD, Patch, Polish, Printable, WorstOf, audit
from saddlepoint.audit.printing import printing
from saddlepoint.audit.replay import Witnesses, replay
from saddlepoint.audit.samples import Pair
from saddlepoint.audit.suites import cascade
from saddlepoint.core.draw import Draw
from saddlepoint.presets import parse_threat
from saddlepoint.threats.palette import DEFAULT, off_palette, score, variation
from saddlepoint.train import Inner
from tests.audit.conftest import Subject

GREYS = ((0.1,), (0.9,))


KINDS = pytest.mark.parametrize(
    "threat",
    [
        Patch(size=3, at=(2, 2)),
        Patch(size=3, at="random"),
        Patch(size=3),
        Printable(Patch(mask="glasses"), palette=GREYS),
    ],
    ids=repr,
)
SHORT = (PGD(steps=5, start="clean"), Polish(WorstOf(k=5), steps=3))


@KINDS
def test_an_audit_writes_a_report_and_replays(
    subject: Subject,
    threat: Any,  # noqa: ANN401
    tmp_path: Path,
) -> None:
    data = subject.x[:12], subject.y[:12]
    words: dict[str, Any] = {"out": tmp_path, "figures": 0, "probes": 0}
    result = audit(subject.model, data, threat, SHORT, **words)
    assert result.robust_accuracy < result.clean_accuracy
    claims = Witnesses.load(tmp_path)
    assert (claims.u is None) == (threat == Patch(size=3))
    again = replay(claims, subject.model, Pair(*data), parse_threat(repr(threat)))
    assert again.holds
    assert again.checked == len(claims.index)
    document = json.loads((tmp_path / "audit.json").read_text())
    assert document["threat"]["description"].startswith("a patch of ")
    page = (tmp_path / "report.html").read_text()
    assert "total variation" in page
    assert ("nearest printable colour" in page) == isinstance(threat, Printable)


def test_a_smooth_model_is_not_called_unstable(subject: Subject) -> None:
    """A patch changes an image by much: its set is no neighbourhood, a small ball is one."""
    data = subject.x[:12], subject.y[:12]
    result = audit(subject.model, data, Patch(size=5), (PGD(steps=1),), probes=4, figures=0)
    found = {f.check: f for f in result.findings}["unstable predictions"]
    assert found.verdict == "ok", found.measured
    assert "within a radius of 0.0314" in found.measured


@pytest.mark.slow
@KINDS
def test_the_cascade_finds_nothing_to_fail(subject: Subject, threat: Any) -> None:  # noqa: ANN401
    data = subject.x[:24], subject.y[:24]
    result = audit(subject.model, data, threat, max_passes=60, probes=8)
    assert result.robust_accuracy < result.clean_accuracy
    assert not [f for f in result.findings if f.verdict == "fail"]


def test_replay_refuses_a_patch_that_grew(subject: Subject, tmp_path: Path) -> None:
    data, threat = (subject.x[:24], subject.y[:24]), Patch(size=3)
    audit(subject.model, data, threat, (PGD(),), out=tmp_path, figures=0, probes=0)
    claims, samples = Witnesses.load(tmp_path), Pair(*data)
    failed = replay(claims, subject.model, samples, Patch(size=2)).failed
    assert any("no place of the patch covers" in why for why in failed.values())
    assert "u" not in load_file(tmp_path / "witnesses.safetensors")


def test_only_sets_in_pieces_are_opened_by_random_members() -> None:
    usual, fixed = cascade(), cascade(threat=Patch(size=3, at=(0, 0)))
    assert fixed.opening == usual.opening
    assert [len(s.ladders) for s in (usual, fixed, cascade(threat=Patch(size=3)))] == [2, 2, 3]
    assert "WorstOf" in repr(cascade(threat=Patch(size=3)).opening)
    assert "WorstOf" in repr(cascade("scores", threat=Patch(size=3)).opening)


@pytest.mark.parametrize("at", [(1, 1), None], ids=str)
def test_what_is_measured_is_the_patch_alone(at: Any) -> None:  # noqa: ANN401
    x = torch.rand(3, 3, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    content = torch.rand(3, 3, 2, 2, generator=torch.Generator().manual_seed(1)).double()
    moved = x.clone()
    moved[:, :, 1:3, 1:3] = content
    found = printing(Patch(size=2, at=at), x.numpy(), moved.numpy())
    mask = torch.ones(2, 2, dtype=torch.bool)
    np.testing.assert_allclose(found["tv"], variation(content, mask).numpy())
    np.testing.assert_allclose(found["off_palette"], off_palette(content, DEFAULT, mask).numpy())
    np.testing.assert_allclose(found["nps"], score(content, DEFAULT, mask).numpy())


def test_training_puts_random_patches_where_the_draw_says(subject: Subject) -> None:
    x, y, ids = subject.x[:12], subject.y[:12], torch.arange(12) + 40
    inner = Inner(Patch(size=3, at="random"), PGD(steps=2))
    draw = Draw.of(0, ids)
    whole = inner(subject.model, x, y, draw=draw)
    keep = torch.arange(6, 12)
    assert torch.equal(inner(subject.model, x[keep], y[keep], draw=draw[keep]), whole[keep])
    other = inner(subject.model, x, y, draw=draw.tag("epoch", 1))
    moved = [(z != x).any(1) for z in (whole, other)]
    assert not torch.equal(*moved)
    assert all(int(m.flatten(1).sum(1).max()) <= 9 for m in moved)
