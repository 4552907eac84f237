"""Targeted audits: who wants which class, and what robust then means."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.audit.document import SCHEMA_VERSION
from saddlepoint.audit.replay import Witnesses, replay
from saddlepoint.audit.samples import Pair
from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.core.target import Target
from saddlepoint.presets import parse_target
from saddlepoint.train.worst import Inner
from tests.audit.conftest import Subject

THREAT = sp.Linf(0.08)
ATTACKS = (sp.PGD(steps=10),)
RULES = (3, "next", "runner-up", "least-likely")


def wanted(subject: Subject, rule: int | str) -> Tensor:
    """The targets by their definition, in a loop."""
    found = []
    for x, y in zip(subject.x, subject.y.tolist(), strict=True):
        scores = subject.model(x[None])[0].tolist()
        other = [k for k in range(10) if k != y]
        by_rule = {
            "next": (y + 1) % 10,
            "runner-up": max(other, key=lambda k: scores[k]),
            "least-likely": min(other, key=lambda k: scores[k]),
        }
        found.append(rule if isinstance(rule, int) else by_rule[rule])
    return torch.tensor(found)


@pytest.mark.parametrize("rule", RULES)
def test_robust_means_not_moved_to_the_target(
    subject: Subject, rule: int | str, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    data, probes = (subject.x, subject.y), 8 if rule == "next" else 0
    result = sp.audit(
        subject.model, data, THREAT, ATTACKS, target=rule, out=out, figures=0, probes=probes
    )
    target, table = wanted(subject, rule), result.table()
    assert table["target"].tolist() == target.tolist()
    clean = subject.model(subject.x).argmax(1)
    free, there = (target != subject.y).numpy(), (clean == target).numpy()
    broken = table["status"] == "broken"
    assert not broken[~free].any()
    assert broken[free & there].all()
    assert (table["status"][~free] == "survived").all()
    assert (table["forward"][~free] == 1).all()  # nobody attacks what cannot be moved
    said = result.document
    assert said["counts"]["at_target"] == (~free).sum()
    assert said["counts"]["clean_wrong"] == (free & there).sum()
    assert said["clean_accuracy"] == (clean == subject.y).double().mean().item()
    assert result.robust_accuracy == pytest.approx(1 - broken.mean())
    assert said["threat"]["goal"] == f"targeted: {rule}"
    assert said["plan"]["target"] == str(rule)
    alone = sp.search(
        ATTACKS[0], subject.model, subject.x, sp.Targeted(target, subject.y), THREAT
    ).broken
    assert abs(int(broken.sum()) - int((alone & torch.from_numpy(free)).sum())) <= 3
    run = Witnesses.load(out)
    again = replay(run, subject.model, Pair(subject.x, subject.y), THREAT)
    assert again.holds
    assert again.checked == broken.sum()
    answered = subject.model(torch.from_numpy(run.x_adv)).argmax(1)
    assert torch.equal(answered, target[torch.from_numpy(run.index)])


def test_a_targeted_break_is_a_break(subject: Subject) -> None:
    data = (subject.x, subject.y)
    any_class = sp.audit(subject.model, data, THREAT, ATTACKS, figures=0, probes=0)
    certain = sp.audit(subject.model, data, THREAT, ATTACKS, target=3, figures=0, probes=0)
    assert certain.robust_accuracy > any_class.robust_accuracy
    assert certain.clean_accuracy == any_class.clean_accuracy


def test_without_a_target_a_plan_reads_as_before(subject: Subject, tmp_path: Path) -> None:
    out = tmp_path / "run"
    data = (subject.x[:20], subject.y[:20])
    sp.audit(subject.model, data, THREAT, ATTACKS, out=out, figures=0, probes=0)
    header, said = (json.loads((out / f).read_text()) for f in ("run.json", "audit.json"))
    assert "target" not in header["plan"]
    assert "target" not in said["threat"]
    assert "at_target" not in said["counts"]
    assert said["threat"]["goal"] == "untargeted"
    with np.load(out / "evidence.npz") as stored:
        assert "target" not in stored.files
    with pytest.raises(Invalid, match="target"):  # another plan, so another run
        sp.audit(subject.model, data, THREAT, ATTACKS, out=out, target=3, figures=0, probes=0)
    assert said["schema_version"] == SCHEMA_VERSION


def test_a_list_of_targets_is_known_by_its_content(subject: Subject, tmp_path: Path) -> None:
    classes = (subject.y + torch.arange(60) % 3) % 10
    np.savez(tmp_path / "t.npz", target=classes.numpy())
    (tmp_path / "t.txt").write_text("\n".join(map(str, classes.tolist())))
    for name in ("t.npz", "t.txt"):
        assert str(parse_target(str(tmp_path / name))) == str(Target(None, classes))
    out, data = tmp_path / "run", (subject.x[:40], subject.y[:40])
    result = sp.audit(
        subject.model, data, THREAT, ATTACKS, target=classes, out=out, figures=0, probes=0
    )
    assert result.document["counts"]["at_target"] == int((classes[:40] == subject.y[:40]).sum())
    assert result.document["plan"]["target"] == str(Target(None, classes[:40]))
    run = Witnesses.load(out)
    assert replay(run, subject.model, Pair(*data), THREAT).holds
    _altered(out, lambda t: t + (t < 9))
    with pytest.raises(BadData, match="the run was altered"):
        Witnesses.load(out)


def _altered(out: Path, change: object) -> None:
    with np.load(out / "evidence.npz") as stored:
        arrays = {k: stored[k] for k in stored.files}
    arrays["target"] = change(arrays["target"])  # type: ignore[operator]
    np.savez(out / "evidence.npz", **arrays)


@pytest.mark.parametrize("rule", ["next", "runner-up"])
def test_replay_checks_the_rule(subject: Subject, rule: str, tmp_path: Path) -> None:
    out, pair = tmp_path / "run", Pair(subject.x, subject.y)
    sp.audit(
        subject.model, (pair.x, pair.y), THREAT, ATTACKS, target=rule, out=out, figures=0, probes=0
    )
    _altered(out, lambda t: (t + 1) % 10)
    again = replay(Witnesses.load(out), subject.model, pair, THREAT)
    assert len(again.failed) == again.checked > 0
    assert all("where the plan's rule says" in said for said in again.failed.values())


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (10, "a class index in 0 … 9"),
        (-1, "a class index, from 0"),
        ("nxt", "did you mean next"),
        (1.5, "a class index"),
        (True, "a class index"),
        (torch.arange(3), "one for each of 60 samples"),
        (torch.full((60,), 11), "a class index in 0 … 9"),
        (torch.full((60,), -2), "a class index, from 0"),
        (torch.zeros(60), "one class index for each sample"),
        (torch.zeros(6, 10, dtype=torch.int64), "one class index for each sample"),
    ],
)
def test_targets_that_are_none(subject: Subject, target: object, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        sp.audit(subject.model, (subject.x, subject.y), THREAT, ATTACKS, target=target)  # type: ignore[arg-type]


def test_files_that_hold_no_targets(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("three\n")
    (tmp_path / "empty.txt").write_text("")
    np.savez(tmp_path / "floats.npz", target=np.ones(3))
    np.savez(tmp_path / "object.npz", target=np.array([{}]))
    np.savez(tmp_path / "two.npz", a=np.ones(3, int), b=np.ones(3, int))
    for name in ("words.txt", "empty.txt", "floats.npz", "object.npz", "two.npz", "missing.npz"):
        with pytest.raises(BadData, match=name):
            parse_target(str(tmp_path / name))


def test_a_curve_of_the_way_to_the_target(subject: Subject) -> None:
    data, threat = (subject.x[:30], subject.y[:30]), sp.L2(3.0)
    certain = sp.curve(subject.model, data, threat, sp.FMN(steps=15), target="next")
    any_class = sp.curve(subject.model, data, threat, sp.FMN(steps=15))
    known = np.isfinite(certain.distance)
    assert known.sum() > 20
    assert np.median(certain.distance[known]) > np.median(any_class.distance)
    fixed = sp.curve(subject.model, data, threat, sp.FMN(steps=15), target=3)
    assert np.isinf(fixed.distance[(subject.y[:30] == 3).numpy()]).all()
    assert fixed.document["counts"]["at_target"] == int((subject.y[:30] == 3).sum())
    assert fixed.document["threat"]["goal"] == "targeted: 3"
    assert "target" not in any_class.document["plan"]


def test_the_inner_attack_of_training_moves_towards_the_target(subject: Subject) -> None:
    x, y = subject.x[:20], subject.y[:20]
    x_adv = Inner(THREAT, sp.PGD(steps=10), target=Target(3))(subject.model, x, y)
    moved = subject.model(x_adv)[:, 3] - subject.model(x)[:, 3]
    assert torch.equal(x_adv[y == 3], x[y == 3])
    assert bool((moved[y != 3] > 0).all())
    assert bool((y == 3).any())


def test_a_sample_of_the_targets_class_is_no_break_to_replay(
    subject: Subject, tmp_path: Path
) -> None:
    from safetensors.numpy import save_file

    out, data = tmp_path / "run", (subject.x, subject.y)
    sp.audit(subject.model, data, THREAT, ATTACKS, target=3, out=out, figures=0, probes=0)
    rows = (subject.y == 3).nonzero().squeeze(1).numpy()
    x_adv = subject.x[rows].numpy()
    save_file({"index": rows, "x_adv": x_adv}, out / "witnesses.safetensors")
    document = json.loads((out / "audit.json").read_text())
    document["counts"]["broken"] = len(rows)
    (out / "audit.json").write_text(json.dumps(document))
    failed = replay(Witnesses.load(out), subject.model, Pair(*data), THREAT).failed
    assert failed == dict.fromkeys(rows.tolist(), "its label is its target: nobody moves it there")


@pytest.mark.parametrize("rule", ["runner-up", "least-likely"])
def test_labels_have_no_runner_up(rule: str) -> None:
    """Of rows with a single one it would be the first class, for all."""

    def model(x: Tensor) -> Tensor:
        return torch.eye(3)[(x.flatten(1)[:, 0] > 0.5).long()]

    model.access = "labels"  # type: ignore[attr-defined]
    x, y = torch.rand(4, 2), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(Invalid, match=f"target = '{rule}': must be a class or 'next'"):
        sp.audit(model, (x, y), sp.Linf(0.1), target=rule)
