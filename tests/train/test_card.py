"""The model card: what it claims, what it warns of, and that a hostile file stays text."""

import hashlib
import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
import typer

from saddlepoint.cli.main import app
from saddlepoint.core.errors import BadData
from saddlepoint.models import build, load_model
from saddlepoint.train import card
from saddlepoint.train.card import write_card
from saddlepoint.train.card_words import duration, short
from saddlepoint.train.curves import draw_curves
from saddlepoint.train.device import hardware

WEIGHTS = b"weights of the kept epoch"
PLAN = {
    "arch": "mlp",
    "shape": [1, 8, 8],
    "classes": 10,
    "options": {},
    "threat": "Linf(eps=0.03137254901960784)",
    "attack": "FGSM()",
    "check": "PGD(steps=20)",
    "loss": "Madry()",
    "epochs": 3,
    "batch_size": 64,
    "lr": 0.01,
    "held_out": 500,
    "check_n": 1000,
    "augment": None,
    "guard": True,
}
EVENT = {
    "epoch": 2,
    "own": 0.981,
    "robust": 0.012,
    "best": 0.612,
    "weaker": "FGSM()",
    "stronger": "PGD(steps=4, step_size=0.5)",
    "kept": 1,
}
AUDIT = {
    "n": 1000,
    "split": "test",
    "clean": 0.988,
    "robust_at_most": 0.885,
    "interval": [0.864, 0.904],
    "attacks": ["APGD(steps=100)", "Targets(APGD(loss='dlr'))"],
    "folder": "audit",
    "seconds": 754.0,
}


@pytest.fixture(autouse=True)
def _drawn_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal runs have equal pictures (tests/train/test_curves.py), so most tests share them."""
    if "equal_bytes" not in request.node.name:
        monkeypatch.setattr(card, "draw_curves", drawn)


PICTURES: dict[str, dict[str, bytes]] = {}


def drawn(*shown: Any) -> dict[str, bytes]:  # noqa: ANN401
    key = repr(shown)
    if key not in PICTURES:
        PICTURES[key] = draw_curves(*shown)
    return PICTURES[key]


def epochs(n: int) -> list[dict[str, Any]]:
    usual = {"clean": 0.989, "robust": 0.9124, "own": 0.95, "lr": 0.01, "seconds": 20.0}
    return [{"epoch": e, "loss": 1 / e, **usual} for e in range(1, n + 1)]


def record(**changed: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        **{name: PLAN[name] for name in ("arch", "shape", "classes", "options")},
        "schema_version": 1,
        "status": "complete",
        "best_epoch": 3,
        "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        "plan": PLAN,
        "plan_sha256": "a" * 64,
        "samples_sha256": "b" * 64,
        "data_sha256": "c" * 64,
        "data": "digits",
        "history": epochs(3),
        "events": [],
        "versions": {"saddlepoint": "0.1.0", "torch": "2.4.0"},
        "hardware": {"device": "cpu", "threads": 2, "cpu": "A processor"},
        "audit": None,
        **changed,
    }


def run(folder: Path, content: object) -> Path:
    folder.mkdir()
    (folder / "model.json").write_text(json.dumps(content))
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "history.csv").write_text("epoch,loss\n")
    return folder


def cards(folder: Path) -> tuple[str, str]:
    """Markdown, and the page's visible text, both with plain spaces."""
    markdown, page = (path.read_text(encoding="utf-8") for path in write_card(folder))
    return markdown, Text(page).said


class Text(HTMLParser):
    """What a reader sees, and which elements there are; fails on any that stay open."""

    VOID = frozenset({"meta", "path", "use"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.feed(page)
        assert not self.open
        self.said = " ".join(" ".join(self.parts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.parts.append(data)


def both_say(folder: Path, *sentences: str) -> None:
    markdown, page = cards(folder)
    for sentence in sentences:
        assert sentence in markdown.replace("\\", "")
        assert sentence in page


# -- claims ---------------------------------------------------------------------------------------


def test_verdict_names_what_was_measured_and_on_what(tmp_path: Path) -> None:
    verdict = (
        "Trained against Linf(eps=8/255). Held-out accuracy of the kept epoch 3: 98.9 % clean, "
        "91.2 % under PGD(steps=20): an upper bound on robust accuracy, found by one attack on "
        "500 samples."
    )
    both_say(run(tmp_path / "run", record()), verdict, "8 of the 255 steps", "No proof was")


@pytest.mark.parametrize(
    ("held_out", "check_n", "said"),
    [
        pytest.param(500, 100, "on 100 samples.", id="fewer-attacked"),
        pytest.param(0.1, 1000, "on at most 1,000 samples.", id="share"),
        pytest.param(0.1, None, "on held-out samples.", id="not-recorded"),
        pytest.param(1, 1000, "on 1 sample.", id="one"),
    ],
)
def test_number_of_attacked_samples(
    held_out: object, check_n: object, said: str, tmp_path: Path
) -> None:
    plan = PLAN | {"held_out": held_out, "check_n": check_n}
    both_say(run(tmp_path / "run", record(plan=plan)), said)


def test_an_audit_leads(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", record(audit=AUDIT))
    lead = (
        "Audited against Linf(eps=8/255): of 1,000 test samples, at most 88.5 % withstand the "
        "attacks (95 % interval 86.4 % to 90.4 %); 98.8 % are right without attack."
    )
    both_say(folder, lead, "Trained against", "12 min 34 s", "saddlepoint replay audit --model .")
    markdown, page = cards(folder)
    assert markdown.index(lead) < markdown.index("Trained against Linf")
    assert page.index(lead) < page.index("Trained against Linf(eps=8/255). Held-out")
    assert "An audit runs more" not in markdown


def test_health_checks_that_were_not_passed_are_told(tmp_path: Path) -> None:
    said = "fail: unbounded attack: PGD() leaves 3 of 13 samples"
    folder = run(tmp_path / "run", record(audit=AUDIT | {"findings": [said]}))
    assert rows_named(folder, "Health check") == [said]
    assert rows_named(run(tmp_path / "old", record(audit=AUDIT)), "Health check") == []


def test_an_audit_with_a_target_says_what_its_numbers_count(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", record(plan=PLAN | {"target": 3}, audit=AUDIT))
    both_say(
        folder, "The adversary wants: That the model answers class 3.", "--target 3 --out check"
    )


def test_a_file_of_ones_own_is_not_promised_beside_the_card(tmp_path: Path) -> None:
    both_say(run(tmp_path / "run", record(data="sets/mine.npz")), "--data PATH/TO/mine.npz")


def test_natural_training_is_not_called_robust(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", record(plan=PLAN | {"loss": "Natural()"}))
    both_say(
        folder,
        "Trained without an adversary.",
        "91.2 % under PGD(steps=20) within Linf(eps=8/255): an upper bound",
    )
    assert "Trained against" not in cards(folder)[0]


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ("AWP(Natural(), gamma=0.01)", "Trained without an adversary."),
        ("AWP(Gaussian(sigma=0.5))", "Trained on inputs with Gaussian noise"),
        ("AWP(Sampled())", "Trained on random members of Linf(eps=8/255)"),
    ],
)
def test_flat_weights_do_not_make_an_adversary(loss: str, said: str, tmp_path: Path) -> None:
    folder = run(tmp_path / "run", record(plan=PLAN | {"loss": loss}))
    both_say(folder, said)
    assert "Trained against" not in cards(folder)[0]
    assert rows_named(folder, "training attack") == ["none"]


def test_an_adversary_with_a_target_does_not_want_just_any_wrong_answer(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", record(plan=PLAN | {"target": "next"}))
    both_say(folder, "That the model answers the class after its own.")
    assert "Any wrong answer" not in cards(folder)[0]


def test_a_run_whose_robustness_nobody_measured_says_so(tmp_path: Path) -> None:
    rows = [row | {"robust": None} for row in epochs(3)]
    both_say(run(tmp_path / "run", record(history=rows)), "its robustness is unknown")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("training", "is not finished"),
        ("interrupted", "was interrupted after epoch 3 of 3; the same command continues it"),
        ("diverged", "diverged after epoch 3 of 3: loss or weights stopped being finite"),
        (
            "collapsed",
            "ended after epoch 3 of 3: robustness collapsed under the strongest training",
        ),
        ("melted", "How this run ended is not known (status: melted)"),
    ],
)
def test_a_run_that_did_not_end_well_warns(status: str, said: str, tmp_path: Path) -> None:
    folder = run(tmp_path / "run", record(status=status))
    both_say(folder, said)
    assert "> **Warning:**" in cards(folder)[0]


def test_a_good_run_warns_of_nothing(tmp_path: Path) -> None:
    markdown, _ = write_card(run(tmp_path / "run", record()))
    assert "Warning" not in markdown.read_text()


def test_other_weights_than_recorded_warn(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", record())
    (folder / "model.safetensors").write_bytes(b"something else")
    both_say(folder, "is not the file that model.json describes", "Do not rely on this card")


def test_a_guard_event_is_told_in_full(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", record(events=[EVENT, EVENT | {"epoch": 3, "kept": 0}]))
    both_say(
        folder,
        "98.1 % under the training attack FGSM() and 1.2 % under the check attack, after a best "
        "of 61.2 %. Training went back to the weights of epoch 1 and on with the stronger "
        "training attack PGD(steps=4, step_size=0.5).",
        "Training started anew from what that epoch had learnt",
        "Training collapsed 2 times and was rolled back: see below.",
        "What the guard undid",
        "relearnt after G1",
        "kept, relearnt after G2",
    )
    assert '<tr class="kept">' in (folder / "card.html").read_text()


def rows_named(folder: Path, name: str) -> list[str]:
    """What the tables of ``card.md`` say beside a name."""
    lines = cards(folder)[0].replace("\\", "").splitlines()
    return [line.split("|")[2].strip() for line in lines if line.startswith(f"| {name} |")]


OFF = EVENT | {"stronger": "", "kept": EVENT["epoch"]}


def test_a_guard_that_was_off_undid_nothing(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", record(events=[OFF], plan=PLAN | {"guard": False}))
    both_say(
        folder,
        "The guard was off: nothing was done about it.",
        "Training collapsed once; the guard was off, and what followed was built on it",
        "What the guard saw",
        "collapsed (G1)",
    )
    for text in (*cards(folder), (folder / "curves.svg").read_text()):
        for claim in ("undid", "undone", "rolled back", "relearnt"):
            assert claim not in text
    assert rows_named(folder, "training attack at the end") == ["`FGSM()`"]


def test_the_training_attack_at_the_end_is_the_last_that_was_asked(tmp_path: Path) -> None:
    attack = "PGD(steps=4, step_size=0.5)"
    ended = EVENT | {"epoch": 4, "kept": 3, "weaker": attack, "stronger": ""}
    for name, events in (("mended", [EVENT]), ("ended", [EVENT, ended])):
        folder = run(tmp_path / name, record(events=events))
        assert rows_named(folder, "training attack at the end") == [f"`{attack}`"]


@pytest.mark.parametrize("status", ["collapsed", "diverged"])  # the latter in folders of old
def test_a_collapse_that_nothing_mended_is_told_as_what_it_is(status: str, tmp_path: Path) -> None:
    last = EVENT | {"epoch": 4, "kept": 3, "stronger": ""}
    folder = run(tmp_path / "run", record(status=status, events=[EVENT, last]))
    both_say(
        folder,
        "This run ended after epoch 3 of 3: robustness collapsed under the strongest training "
        "attack that the guard knows. The weights here are those of the best epoch until then.",
        "Training collapsed once and was rolled back",
        "No stronger training attack is known: the epoch was dropped and training ended.",
    )
    assert "finite" not in cards(folder)[0]


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ("Natural()", "none"),
        ("Free(replays=4)", "its own: free training moves the perturbation with each backward"),
    ],
)
def test_an_attack_that_was_never_asked_is_not_listed(loss: str, said: str, tmp_path: Path) -> None:
    folder = run(tmp_path / "run", record(plan=PLAN | {"loss": loss, "keep": "worst"}))
    assert [text.startswith(said) for text in rows_named(folder, "training attack")] == [True]
    assert "FGSM" not in cards(folder)[0]
    assert rows_named(folder, "keep") == []


def test_time_of_undone_epochs_counts(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", record(events=[EVENT | {"seconds": 50.0}]))
    assert "1 min 50 s" in cards(folder)[1]


def test_numbers_of_measured_samples_are_quoted_where_recorded(tmp_path: Path) -> None:
    plan = PLAN | {"held_out": 0.1}
    measured = {"held_out": 130, "attacked": 128}
    folder = run(tmp_path / "run", record(plan=plan, measured=measured))
    both_say(folder, "on 128 samples.", "130 samples (10.0 % of the training samples)")


def test_the_card_says_where_training_ran(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", record(hardware=hardware("cpu", "ddp", True)))
    assert rows_named(folder, "device") == ["cpu"]
    assert rows_named(folder, "gpu") == ["none"]
    assert rows_named(folder, "strategy") == ["ddp"]
    assert rows_named(folder, "compiled") == ["yes"]
    assert rows_named(folder, "processes") == ["1"]


def test_zero_epochs(tmp_path: Path) -> None:
    content = record(history=[], best_epoch=0, status="interrupted", sha256=None)
    folder = run(tmp_path / "run", content)
    (folder / "model.safetensors").unlink()
    both_say(
        folder,
        "To be trained against Linf(eps=8/255). No epoch was completed, so nothing was measured.",
        "interrupted before any epoch was completed",
        "not there",
    )
    assert not (folder / "curves.png").exists()
    assert "curves.png" not in cards(folder)[0]


def test_old_folder_without_the_new_keys(tmp_path: Path) -> None:
    new = ("options", "data", "data_sha256", "events", "hardware", "audit", "versions")
    content = {k: v for k, v in record().items() if k not in new}
    content["history"] = [{k: v for k, v in row.items() if k != "own"} for row in epochs(3)]
    content["plan"] = {k: v for k, v in PLAN.items() if k not in ("guard", "augment")}
    folder = run(tmp_path / "run", content)
    both_say(folder, "98.9 % clean, 91.2 % under", "not recorded", "--data DATA")
    assert "| epoch | loss | clean | check attack | lr | time |" in cards(folder)[0]


@pytest.mark.parametrize(("n", "shown"), [(30, True), (31, False)])
def test_a_long_table_is_folded(n: int, shown: bool, tmp_path: Path) -> None:
    _, page = write_card(run(tmp_path / "run", record(history=epochs(n))))
    assert ("<details open>" in page.read_text()) is shown
    assert page.read_text().count("<tr") == n + 1


# -- files ----------------------------------------------------------------------------------------


def test_equal_folders_give_equal_bytes(tmp_path: Path) -> None:
    names = ["card.html", "card.md", "curves.png", "curves.svg"]
    made = []
    for name in ("here", "there"):
        folder = run(tmp_path / name, record(events=[EVENT], audit=AUDIT))
        for _ in range(2):
            assert write_card(folder) == (folder / "card.md", folder / "card.html")
            made.append([(folder / n).read_bytes() for n in names])
    assert all(m == made[0] for m in made)
    written = {p.name for p in folder.iterdir()} - {"model.json", "model.safetensors"}
    assert written == {*names, "history.csv"}


def test_the_page_needs_nothing_from_outside(tmp_path: Path) -> None:
    page = write_card(run(tmp_path / "run", record()))[1].read_text(encoding="utf-8")
    found = Text(page)
    assert not {"src", "srcset", "data"} & found.attributes
    assert not {"script", "link", "img", "iframe", "a", "form"} & found.tags
    assert "default-src 'none'" in page
    assert {"svg", "table", "style"} <= found.tags
    assert not re.search(r"url\((?!#)|@import", page)


# -- strangers ------------------------------------------------------------------------------------

EVIL = "</title></style></pre><script>alert(1)</script><img src=x onerror=e> | a\n## `x` [l](u) *b*"


def hostile() -> dict[str, Any]:
    """A file every text of which, names included, tries to be markup."""
    plan: dict[str, Any] = {k: EVIL for k in ("threat", "attack", "check", "loss", "epochs")}
    audit = AUDIT | {
        "split": EVIL,
        "attacks": [EVIL],
        "findings": [EVIL],
        "folder": "x'; rm -rf ~ `" + EVIL,
    }
    return record(
        **dict.fromkeys(("arch", "status", "sha256", "plan_sha256", "data_sha256", "data"), EVIL),
        plan={**plan, EVIL: {EVIL: [EVIL]}},
        options={EVIL: EVIL},
        versions={EVIL: EVIL},
        hardware={EVIL: EVIL},
        events=[EVENT | {"weaker": EVIL, "stronger": EVIL, "kept": EVIL}],
        measured={EVIL: 1},
        audit=audit,
    )


def test_hostile_text_is_no_markup_on_the_page(tmp_path: Path) -> None:
    page = write_card(run(tmp_path / "run", hostile()))[1].read_text(encoding="utf-8")
    found = Text(page)
    assert not {"script", "img"} & found.tags
    assert "onerror" not in found.attributes
    assert "<script>alert(1)</script>" in found.said  # as text


def test_hostile_text_is_no_markup_in_markdown(tmp_path: Path) -> None:
    text = write_card(run(tmp_path / "run", hostile()))[0].read_text(encoding="utf-8")
    assert "<" not in text
    assert "\\*b\\*" in text
    assert "\\[l\\](u)" in text
    for line in text.splitlines():
        assert not line.startswith("## `")
        if line.startswith("| ") and not line.startswith("| |"):  # a cell cannot make a new one
            cells = re.split(r"(?<!\\)\|", line)
            assert len(cells) in (4, 10), line


@pytest.mark.parametrize("evil", ["$(reboot)", "--out=/", "a;b", "`id`", "x\ny", "\u202eabc"])
def test_hostile_text_never_enters_a_command(evil: str, tmp_path: Path) -> None:
    content = record(data=evil, plan=PLAN | {"threat": evil}, arch=f"m:{evil}", audit=None)
    text = write_card(run(tmp_path / "run", content))[0].read_text(encoding="utf-8")
    command = text.split("```sh\n")[1].split("```")[0]
    assert "--data DATA --threat THREAT" in command
    assert evil not in text.split("## How to check")[1]


def test_unprintable_characters_are_replaced(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", record(data="di\u202egits\x00\ud800"))
    for text in cards(folder):
        assert "di\ufffdgits\ufffd\ufffd" in text


DAMAGED: dict[str, object] = {
    "no-json": "{",
    "list": [],
    "other-model": {"arch": "mlp", "shape": [1], "classes": 2},
    "history-object": record(history={}),
    "row-text": record(history=["x"]),
    "row-without-epoch": record(history=[{"loss": 1.0}]),
    "epoch-text": record(history=[{"epoch": "1"}]),
    "epoch-negative": record(history=[{"epoch": -1}]),
    "loss-text": record(history=[{"epoch": 1, "loss": "low"}]),
    "loss-huge": record(history=[{"epoch": 1, "loss": 10**400}]),
    "accuracy-above-1": record(history=[{"epoch": 1, "robust": 98.9}]),
    "plan-text": record(plan="x"),
    "best-truth": record(best_epoch=True),
    "event-text": record(events=["x"]),
    "measured-text": record(measured={"attacked": "many"}),
    "audit-empty-number": record(audit=AUDIT | {"robust_at_most": None}),
    "audit-no-n": record(audit={"robust_at_most": 0.5}),
    "audit-half-interval": record(audit=AUDIT | {"interval": [0.5]}),
    "deep": None,
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_record_is_refused_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    folder = run(tmp_path / "run", DAMAGED[name])
    text = {"no-json": "{", "deep": '{"plan":' * 5000}.get(name)
    if text is not None:
        (folder / "model.json").write_text(text)
    with pytest.raises(BadData, match=r"model\.json"):
        write_card(folder)
    assert not (folder / "card.md").exists()


def test_missing_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="cannot be read"):
        write_card(tmp_path)


# -- the commands work ----------------------------------------------------------------------------


def test_commands_are_what_the_command_line_takes(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", record(audit=AUDIT, arch="my.nets:make"))
    block = write_card(folder)[0].read_text(encoding="utf-8").split("```sh\n")[1].split("```")[0]
    lines = [shlex.split(line) for line in block.strip().splitlines()]
    assert [line[:2] for line in lines[1:]] == [["saddlepoint", "audit"], ["saddlepoint", "replay"]]
    cli: Any = typer.main.get_command(app)
    for _, verb, *rest in lines[1:]:
        context = cli.commands[verb].make_context(verb, rest)
        assert context.params["model"] == "."
        assert context.params["arch"] == "my.nets:make"
    audit = cli.commands["audit"].make_context("audit", lines[1][2:]).params
    assert (audit["data"], audit["threat"]) == ("digits", "Linf(eps=8/255)")


def test_the_python_lines_load_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import save

    folder = tmp_path / "run"
    weights = save(build("mlp", (1, 8, 8), 10).state_dict())
    run(folder, record(sha256=hashlib.sha256(weights).hexdigest()))
    (folder / "model.safetensors").write_bytes(weights)
    text = write_card(folder)[0].read_text(encoding="utf-8")
    lines = text.split("```python\n")[1].split("```")[0].strip().splitlines()
    assert lines[0] == "from saddlepoint.models import load_model"
    assert lines[2] == 'loaded = load_model(".")'
    monkeypatch.chdir(folder)
    loaded = load_model(".")
    assert lines[3] == f'assert loaded.sha256 == "{loaded.sha256}"'
    assert loaded.model(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (f"Linf(eps={2 / 255!r})", "Linf(eps=2/255)"),
        ("Linf(eps=0.0314)", "Linf(eps=0.0314)"),
        ("Linf(eps=0.03137254901960785)", "Linf(eps=0.03137254901960785)"),
        ("L1(eps=12)", "L1(eps=12)"),
        ("L2(eps=1.0)", "L2(eps=1.0)"),
        (f"Quantize(Linf(eps={8 / 255!r}), 'uint8')", "Quantize(Linf(eps=8/255), 'uint8')"),
    ],
)
def test_a_radius_is_shortened_only_when_it_is_the_same_number(spec: str, said: str) -> None:
    assert short(spec) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(59.96, "60.0 s"), (60, "1 min 0 s"), (3599.7, "1 h 0 min"), (None, "\u2013")],
)
def test_duration(seconds: float | None, said: str) -> None:
    assert duration(seconds).replace("\u00a0", " ") == said
