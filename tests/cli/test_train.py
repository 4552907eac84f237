"""``saddlepoint train`` as a user meets it: how it ends, and what it leaves."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.main import get_command

from saddlepoint.cli import after, train
from saddlepoint.cli.main import app
from saddlepoint.cli.train import TrainSettings
from saddlepoint.core.errors import Invalid
from saddlepoint.core.interrupts import told
from saddlepoint.train import Diverged
from saddlepoint.train import run as runs
from tests.cli.kit import run, said
from tests.disguised import disguised

THREAT = ("--threat", "Linf(eps=0.1)")
NET = (*THREAT, "--arch", "mlp", "--device", "cpu")
WORDS = (*NET, "--loss", "natural", "--epochs", 2, "--audit-n", 20)
SHORT = (*NET, "--loss", "natural", "--epochs", 2, "--check", "FGSM()", "--audit-n", 0)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("train") / "model"
    assert "best epoch" in run("train", *WORDS, "--out", out).output
    return out


@pytest.fixture
def model(audited: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(audited, tmp_path / "model"))


def test_an_audit_and_a_card_follow(audited: Path) -> None:
    summary = json.loads((audited / "model.json").read_text())["audit"]
    document = json.loads((audited / "audit/audit.json").read_text())
    assert (summary["n"], summary["split"]) == (20, "test")
    assert summary["robust_at_most"] == document["robust_accuracy"]["upper"]
    assert not [a for a in summary["attacks"] if "RandomSearch" in a]
    ran = {a["spec"] for a in document["attacks"] if a["evaluated"] and a["stage"] != "clean"}
    assert {a.rpartition(" on ")[0] for a in summary["attacks"]} == ran
    bad = [f"{f['check']}: {f['measured']}" for f in document["findings"] if f["verdict"] != "ok"]
    assert [text.partition(": ")[2] for text in summary["findings"]] == bad != []
    assert "of 20 test samples" in (audited / "card.md").read_text()
    assert (audited / "card.html").exists()


def test_the_same_command_again_changes_nothing(audited: Path) -> None:
    before = (audited / "model.json").read_bytes()
    run("train", *WORDS, "--out", audited)
    then, now = json.loads(before), json.loads((audited / "model.json").read_bytes())
    assert now.pop("audit") | {"seconds": 0} == then.pop("audit") | {"seconds": 0}
    assert now == then


def test_another_plan_in_the_folder_is_refused(model: Path) -> None:
    (model / "card.md").unlink()
    assert "lr" in said(run("train", *WORDS, "--lr", 0.1, "--out", model, code=2))
    assert not (model / "card.md").exists()


def test_the_folder_is_a_model_to_audit(model: Path, tmp_path: Path) -> None:
    asked = (*THREAT, "--n", 30, "--figures", 0, "--attack", "FGSM()", "--logger", "csv")
    run("audit", "--model", model, *asked, "--out", tmp_path / "run")
    logged = (tmp_path / "run/csv/version_0/metrics.csv").read_text().splitlines()
    assert {"audit/robust_accuracy", "audit/clean_accuracy"} <= set(logged[0].split(","))


def test_a_card_forgets_an_audit_that_was_deleted(model: Path) -> None:
    shutil.rmtree(model / "audit")
    run("train", *WORDS[:-1], 0, "--out", model)
    assert "audit" not in json.loads((model / "model.json").read_text())
    assert "Audited against" not in (model / "card.md").read_text()


def test_a_card_forgets_a_deleted_audit_before_the_next_one_ends(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(settings: object) -> None:
        raise KeyboardInterrupt

    shutil.rmtree(model / "audit")
    monkeypatch.setattr(after, "run_audit", interrupted)
    run("train", *WORDS, "--out", model, code=130)
    assert "Audited against" not in (model / "card.md").read_text()


def test_another_audit_than_the_folder_holds_says_what_to_delete(model: Path) -> None:
    (model / "card.md").unlink()
    words = (*WORDS, "--audit-n", 30, "--out", model)
    result = said(run("train", *words, code=2))
    assert f"delete {model / 'audit'} and run the same command again" in result
    assert "n 20 there, 30 here" in result
    assert "the training is complete and stays as it is" in result
    assert "choose another --out" not in result
    assert "of 20 test samples" in (model / "card.md").read_text()


def test_other_refusals_of_the_audit_stay_as_they_are(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Invalid("clean accuracy", "<9 % of 20>", "better than guessing")

    (model / "card.md").unlink()
    monkeypatch.setattr(after, "_audit", refuse)
    assert "clean accuracy = <9 % of 20>" in said(run("train", *WORDS, "--out", model, code=2))
    assert (model / "card.md").exists()


# -- runs that end early --------------------------------------------------------------------------


def stop_in_epoch_two(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    measure, seen = runs.measure, []

    def stopping(*args: Any) -> Any:  # noqa: ANN401
        seen.append(1)
        if len(seen) > 1:
            raise error
        return measure(*args)

    monkeypatch.setattr(runs, "measure", stopping)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), disguised()], ids=["plain", "disguised"])
def test_ctrl_c_is_told_once_and_leaves_a_card(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_in_epoch_two(monkeypatch, error)
    result = " ".join(run("train", *SHORT, "--out", tmp_path / "run", code=130).stderr.split())
    assert result.count("the same command continues") == 1
    assert "epoch 1 of 2 was the last to be completed" in result
    card = (tmp_path / "run/card.md").read_text()
    assert "This run was interrupted after epoch 1 of 2" in card


def test_a_second_ctrl_c_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    stop_in_epoch_two(monkeypatch, KeyboardInterrupt())
    monkeypatch.setattr(after, "write_card", interrupted)
    words = run("train", *SHORT, "--out", tmp_path / "run", code=130).stderr
    assert words.count("the same command continues") == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), disguised()], ids=["plain", "disguised"])
def test_ctrl_c_in_the_audit_leaves_the_card_of_a_complete_run(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(settings: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(after, "run_audit", interrupted)
        words = said(run("train", *WORDS, "--out", tmp_path / "run", code=130))
    assert "is complete, its audit is not" in words
    assert words.count("the same command continues") == 1
    assert "An audit runs more" in (tmp_path / "run/card.md").read_text()
    run("train", *WORDS, "--out", tmp_path / "run")
    assert "Audited against" in (tmp_path / "run/card.md").read_text()


@pytest.mark.parametrize("broken", [False, True], ids=["card", "card-fails"])
def test_a_divergence_leaves_a_card_and_its_own_message(
    broken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise OSError("no space")

    if broken:
        monkeypatch.setattr(after, "write_card", fail)
    stop_in_epoch_two(monkeypatch, Diverged("the loss is nan"))
    result = said(run("train", *SHORT, "--out", tmp_path / "run", code=1))
    assert "diverged: the loss is nan" in result
    assert "no space" not in result
    assert (tmp_path / "run/card.md").exists() is not broken


@pytest.mark.parametrize(("rank", "said"), [("1", True), ("0", False)])
def test_only_the_first_process_and_only_its_own_run_get_a_card(
    rank: str, said: bool, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: object) -> None:
        stop = KeyboardInterrupt()
        if said:
            told(stop, "stopped")
        raise stop

    (model / "card.md").unlink()
    for name, value in {"RANK": rank, "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "none"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(train, "run_train", stop)
    run("train", *WORDS, "--out", model, code=130)
    assert not (model / "card.md").exists()


# -- settings -------------------------------------------------------------------------------------


def test_an_option_flag_keeps_the_other_options_of_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[TrainSettings] = []

    def take(settings: TrainSettings) -> None:
        seen.append(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "run_train", take)
    plan = tmp_path / "plan.toml"
    plan.write_text(f"threat = '{THREAT[1]}'\noptions = {{ stem = 0.3, width = 4 }}\n")
    run("train", plan, "--option", "width=8", code=130)
    assert seen[0].options == {"stem": 0.3, "width": 8}


def test_the_message_about_a_loss_shows_how_to_nest() -> None:
    result = said(run("train", *NET, "--loss", "AWP(trades)", code=2))
    assert "AWP(TRADES(beta=6))" in result


def test_every_key_of_a_plan_is_a_flag_by_the_rule_that_is_documented() -> None:
    flags = {flag for p in get_command(app).commands["train"].params for flag in p.opts}  # type: ignore[attr-defined]
    renamed = {"options": "--option", "compiled": "--compile"}
    for key in TrainSettings.model_fields:
        assert renamed.get(key, "--" + key.replace("_", "-")) in flags


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("epochs = true", "epochs = True: must be a whole number"),
        ('guard = "no"', "guard = 'no': must be true or false"),
        ("options = 3", "options = 3: must be a table, such as { width = 32 }"),
        ("out = 3", "out = 3: must be a path, in quotes"),
    ],
)
def test_a_plan_of_wrong_types_is_refused_in_words(line: str, words: str, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(f"threat = '{THREAT[1]}'\n{line}\n")
    assert words in said(run("train", plan, code=2))


def test_an_option_that_is_no_number_says_so() -> None:
    words = said(run("train", *NET, "--option", "width=abc", code=2))
    assert "width = 'abc': must be a number such as" in words


def test_more_classes_than_training_samples_are_labels_that_need_numbers(tmp_path: Path) -> None:
    x, y = np.zeros((6, 1, 8, 8), np.uint8), np.array([0, 1, 0, 1, 0, 999_999])
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    words = ("--data", tmp_path / "own.npz", *NET, "--out", tmp_path / "model")
    told = said(run("train", *words, code=2))
    assert "labels up to 999999, but 6 training samples" in told
    assert not (tmp_path / "model").exists()
