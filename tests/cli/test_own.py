"""Sets, attacks and objectives of a user are named on the command line, and nowhere else."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

import saddlepoint as sp
from saddlepoint.cli import blame
from saddlepoint.cli.blame import culprit
from saddlepoint.core.errors import Invalid
from saddlepoint.presets import parse_attack, parse_objective, parse_threat, parse_under
from tests.cli import own
from tests.cli.kit import run, said

MODEL = ("--model", "tests.cli.nets:linear", "--device", "cpu")
MINE = "tests.cli.own:"


def test_a_class_is_named_beside_ours_and_within_them() -> None:
    assert parse_threat(f"{MINE}Shade(eps=0.3)", own=True) == own.Shade(0.3)
    assert parse_threat(f"{MINE}Shade", own=True) == own.Shade()
    union = parse_threat(f"Linf(0.1) | {MINE}Shade(0.2) >> L2(1)", own=True)
    assert repr(union) == "Union(Linf(eps=0.1), Chain(Shade(eps=0.2), L2(eps=1)))"
    nested = parse_attack(f"Restarts({MINE}Darkest(tries=2), n=2)", own=True)
    assert nested == sp.Restarts(own.Darkest(2), n=2)
    assert parse_objective(f"{MINE}Twice(label_smoothing=0.1)", own=True) == own.Twice(0.1)


@pytest.mark.parametrize("text", [f"{MINE}Plain()", "os:system('true')", "no.such:Thing()"])
def test_nothing_is_imported_on_a_files_word(text: str) -> None:
    for read in (parse_threat, parse_attack, parse_objective, parse_under):
        with pytest.raises(Invalid, match="never out of a file"):
            read(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Plain('x')", "no start, sample, project"),
        ("shade(0.1)", "a class; it is a function"),
        ("Broken", "a class; it is a int"),
        ("Linf(0.1)", "a name of its own; saddlepoint has a Linf"),
        ("Unnamed(0.1)", "repr tells their settings"),
        ("Grumpy(0.1)", "making it raised KeyError"),
        ("Shade(size=3)", "arguments that tests.cli.own:Shade takes; got an .*; fields: eps, box"),
        ("Nothing()", "tests.cli.own has no Nothing; it has"),
        ("Shade(Linf)", "'Linf' is neither a number"),
    ],
)
def test_what_is_no_set_is_refused_and_not_called(text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        parse_threat(MINE + text, own=True)
    assert own.CALLED == []


@pytest.mark.parametrize("text", ["os:system('exit 3')", "subprocess:Popen('true')"])
def test_a_slip_runs_nothing(text: str) -> None:
    for read in (parse_threat, parse_attack):
        with pytest.raises(Invalid, match="class"):
            read(text, own=True)


def test_colons_within_quotes_are_text() -> None:
    with pytest.raises(Invalid, match="mask"):
        parse_threat("Patch(mask='os:system')", own=True)


def test_audit_and_replay_with_a_set_and_an_attack_of_ones_own(tmp_path: Path) -> None:
    folder, threat = tmp_path / "run", f"{MINE}Shade(eps=0.9)"
    words = (*MODEL, "--threat", threat, "--attack", f"{MINE}Darkest", "--n", 20, "--out", folder)
    run("audit", *words, "--figures", 0, "--probes", 0)
    document = json.loads((folder / "audit.json").read_text())
    assert document["plan"]["threat"] == "Shade(eps=0.9)"
    assert document["counts"]["broken"] > document["counts"]["clean_wrong"]
    bare = run("replay", folder, *MODEL, code=2)
    assert "--threat 'package.module:Name(…)'" in said(bare)
    other = run("replay", folder, *MODEL, "--threat", f"{MINE}Shade(eps=0.8)", code=2)
    assert "the one of the run, Shade(eps=0.9)" in said(other)
    assert "witnesses hold" in said(run("replay", folder, *MODEL, "--threat", threat))


def test_a_run_that_names_code_is_not_obeyed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = (*MODEL, "--threat", "Linf(0.05)", "--attack", "FGSM()", "--n", 20, "--out", folder)
    run("audit", *words, "--figures", 0, "--probes", 0)
    document = json.loads((folder / "audit.json").read_text())
    document["plan"]["threat"] = f"{MINE}Plain('x')"
    (folder / "audit.json").write_text(json.dumps(document))
    refused = run("replay", folder, *MODEL, code=2)
    assert "never out of a file" in said(refused)
    assert own.CALLED == []


PLANNED = [
    ("audit", "threat", "Plain('x')"),
    ("audit", "attack", ["FGSM()", f"Restarts({MINE}Darkest, n=2)"]),
    ("verify", "attack", "Darkest"),
    ("curve", "threat", "Shade(0.1)"),
    ("universal", "threat", "Shade(0.1)"),
    ("train", "check", "Darkest"),
    ("train", "loss", "Twice()"),
]


@pytest.mark.parametrize(("verb", "key", "value"), PLANNED)
def test_a_plan_file_imports_no_component(
    tmp_path: Path, verb: str, key: str, value: str | list[str]
) -> None:
    value = MINE + value if isinstance(value, str) else value
    plan, words = tmp_path / "plan.toml", {"threat": "Linf(0.1)", key: value}
    plan.write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in words.items()))
    model = () if verb == "train" else MODEL
    refused = said(run(verb, plan, *model, "--out", tmp_path / "out", code=2))
    assert f"give it as a flag, --{key}" in refused
    assert own.CALLED == []


def test_a_flag_beside_a_plan_names_a_class(tmp_path: Path) -> None:
    plan, folder = tmp_path / "plan.toml", tmp_path / "run"
    plan.write_text('model = "tests.cli.nets:linear"\nthreat = "no.such:Thing()"\nn = 20\n')
    words = ("--threat", f"{MINE}Shade(0.1)", "--attack", "FGSM()", "--device", "cpu")
    refused = run("audit", plan, *words, "--figures", 0, "--probes", 0, "--out", folder, code=2)
    assert "FGSM" in said(refused)  # which a set without maximise cannot have: the plan was read
    words = (*words[:2], "--attack", f"{MINE}Darkest", *words[4:])
    run("audit", plan, *words, "--figures", 0, "--probes", 0, "--out", folder)


def test_an_error_in_a_users_line_names_that_line_and_is_no_bug_of_ours(tmp_path: Path) -> None:
    words = ("--threat", "Linf(eps=0.1)", "--arch", "mlp", "--device", "cpu", "--audit-n", 0)
    told = said(run("train", *words, "--loss", f"{MINE}Slip", "--out", tmp_path / "a", code=2))
    assert "own.py, line" in told
    assert "in __call__: AttributeError: 'Tensor' object has no attribute 'no_such_method'" in told
    ours = ("--loss", f"{MINE}Slip(ours=True)", "--out", tmp_path / "b")
    assert "internal error" in said(run("train", *words, *ours, code=3))


def test_a_check_of_ones_own_that_fails_is_named_with_its_line(tmp_path: Path) -> None:
    words = ("--threat", "Linf(eps=0.1)", "--arch", "mlp", "--device", "cpu", "--epochs", 1)
    result = run("train", *words, "--check", f"{MINE}Stumbles", "--out", tmp_path / "a", code=2)
    assert "check = Stumbles()" in said(result)
    assert "no_such_question" in said(result)
    assert "own.py" in said(result)


def test_who_is_to_blame_is_the_last_of_ours_or_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "saddlepoint"
    monkeypatch.setattr(blame, "_OURS", f"{package}{os.sep}")

    def raised(path: Path) -> str | None:
        code = "def fail():\n    raise ValueError\n"
        scope: dict[str, Any] = {}
        exec(compile(code, str(path), "exec"), scope)  # noqa: S102
        ours = compile("fail()", str(package / "any.py"), "exec")
        try:
            exec(ours, scope)  # noqa: S102
        except ValueError as error:
            return culprit(error)
        return None

    assert raised(tmp_path / "mine.py") == f"{tmp_path / 'mine.py'}, line 2, in fail"
    assert raised(tmp_path / "saddlepoint_mine/x.py") is not None
    assert raised(package / "x.py") is None
    for installed in ("lib/site-packages", "python3/dist-packages", "torchinductor_me"):
        assert raised(tmp_path / installed / "torch/nn.py") is None
    assert raised(Path(json.__file__)) is None
