"""Text becomes objects without being run."""

from collections.abc import Callable

import pytest
import torch

import saddlepoint as sp
from saddlepoint.core.errors import Invalid
from saddlepoint.presets import (
    ATTACKS,
    OBJECTIVES,
    THREATS,
    number,
    parse_attack,
    parse_inner_attack,
    parse_objective,
    parse_threat,
    parse_under,
)
from saddlepoint.train import (
    AWP,
    MART,
    NFGSM,
    ROBUST_LOSSES,
    TRADES,
    Free,
    Madry,
    Natural,
    RobustLoss,
)
from saddlepoint.views import Scale, Shift

DEEP = [
    (parse_threat, "|".join(["Linf(0.1)"] * 1500)),
    (parse_threat, "|".join(["Linf(0.1)"] * 150)),
    (parse_attack, "Restarts(" * 120 + "PGD()" + ")" * 120),
    (number, "+".join(["1"] * 5000)),
    (number, "-" * 3000 + "1"),
]


@pytest.mark.parametrize(("read", "text"), DEEP)
def test_what_is_nested_without_end_is_refused(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(Invalid, match=r"nested at most|a call such as"):
        read(text)


def test_a_union_of_many_is_read() -> None:
    union = parse_threat("|".join(["Linf(0.1)", "L2(1)"] * 20))
    assert repr(union).count("L2") == 20


OBJECTS = [
    sp.Linf(eps=8 / 255),
    sp.L2(0.5, box=(-1.0, 1.0)),
    sp.Quantize(sp.Linf(8 / 255)),
    sp.PGD(steps=3, step_size=0.1, start="clean"),
    sp.PGD(transform=sp.Momentum(0.9), loss=sp.DLR()),
    sp.Restarts(sp.APGD(loss="dlr"), n=3),
    sp.Sequence((sp.FGSM(), sp.Targets(sp.PGD(steps=2), n=2))),
    sp.RandomSearch(n_queries=7),
    sp.L0(eps=3, per="pixel"),
    sp.JSMA(pair=False, sign=-1, scale="probabilities"),
    sp.CW(kappa=2.0, loss="probability-margin"),
    sp.Sequence((sp.CWLinf(), sp.CWL0(), sp.DeepFool(), sp.EAD(rule="elastic"))),
    sp.OnePixel(places=5),
    sp.PGD(transform=sp.Smooth(0.5, then=sp.Momentum(1.0))),
    sp.Transfer(sp.PGD(steps=3), views=Scale((0.9, 1.0)) >> Shift(0.05), draws=2),
    sp.Sequence((sp.Earlier(), sp.PriorGuided(n_queries=9))),
]


@pytest.mark.parametrize("thing", OBJECTS, ids=repr)
def test_what_repr_prints_is_read_back(thing: object) -> None:
    parse = parse_threat if type(thing).__name__ in THREATS else parse_attack
    assert parse(repr(thing)) == thing


@pytest.mark.parametrize(
    ("text", "value"), [("8/255", 8 / 255), ("-1", -1), ("2*3-1", 5), (" .5 ", 0.5), ("1e-3", 1e-3)]
)
def test_numbers(text: str, value: float) -> None:
    assert number(text) == value


def test_a_bare_name_takes_the_defaults() -> None:
    assert parse_attack("PGD") == sp.PGD()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("PGDD(steps=3)", "did you mean PGD"),
        ("pgd()", "did you mean PGD"),
        ("PGD(stesp=3)", "fields: steps, step_size"),
        ("PGD(steps=0)", "steps = 0"),
        ("PGD(steps=1.5)", "steps = 1.5"),
        ("PGD(loss='ce')", "known: cross-entropy"),
        ("PGD(steps=", "a call such as PGD"),
        ("", "a call such as PGD"),
        ("40", "a call such as"),
        ("Restarts(attack=3)", "attack"),
        ("Restarts(n=3)", "missing"),
        ("PGD(transform=3)", "Momentum"),
        ("PGD(steps=10/0)", "division by zero"),
        ("PGD(steps='a'*3)", "arithmetic on numbers"),
        ("__import__('os').system('true')", "neither a number"),
        ("PGD(steps=open('/etc/passwd'))", "known"),
        ("PGD(**{'steps': 3})", "named arguments"),
        ("(lambda: 0)()", "neither a number"),
        ("PGD(steps=[x for x in (1,)])", "neither a number"),
        ("PGD().__class__", "neither a number"),
        ("9**9**9**9", "neither a number"),
        ("(" * 5000 + ")" * 5000, "a call such as"),
        ("Linf(eps=0.3)", "known"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        parse_attack(text)


def test_only_what_fits_is_offered() -> None:
    with pytest.raises(Invalid, match="known threat; known: ") as threats:
        parse_threat("Linf(eps=float('nan'))")
    assert "Momentum" not in str(threats.value)
    assert "DLR" not in str(threats.value)
    with pytest.raises(Invalid, match="the name of a known transformation; known: ") as views:
        parse_under("Foo()")
    assert "DLR" not in str(views.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Linf(eps=-0.1)", "finite number >= 0"),
        ("Linf(eps=8)", "did you mean 8/255"),
        ("Linf(eps=1e999)", "finite"),
        ("Linf()", "missing"),
        ("Linf(eps='big')", "eps"),
        ("L3(eps=1)", "known: .*L0, L1, L2, Linf"),
        ("L2(eps=1, box=(1, 0))", "low < high"),
        ("Quantize(Linf(0.1), 'int4')", "uint8"),
        ("Quantize(3)", "threat"),
        ("Quantize(Quantize(Linf(0.1)))", "threat"),
        ("Linf(eps=0.1, box=(0, 1, 2))", "low < high"),
    ],
)
def test_threats_refused(text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        parse_threat(text)


@pytest.mark.parametrize(
    "loss",
    [
        Natural(),
        Natural(label_smoothing=0.1),
        Madry(label_smoothing=0.2),
        TRADES(beta=1.5, label_smoothing=0.1),
        MART(beta=6.0),
        Free(replays=4, step_size=0.5),
        AWP(),
        AWP(TRADES(beta=3.0)),
        AWP(MART(), gamma=0.01),
    ],
    ids=repr,
)
def test_what_an_objective_prints_is_read_back(loss: RobustLoss) -> None:
    assert parse_objective(repr(loss)) == loss


@pytest.mark.parametrize("name", sorted(ROBUST_LOSSES))
def test_an_objective_in_lower_case_is_its_default(name: str) -> None:
    kinds = {kind.lower(): kind for kind in OBJECTIVES}
    assert parse_objective(name) == ROBUST_LOSSES[name] == OBJECTIVES[kinds[name]]()
    assert parse_objective(kinds[name]) == ROBUST_LOSSES[name]


def test_every_objective_has_both_names() -> None:
    assert {kind.lower() for kind in OBJECTIVES} == set(ROBUST_LOSSES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trade", "did you mean TRADES"),
        ("TRADES(beta=0)", "beta = 0"),
        ("TRADES(beta=-1)", "beta = -1"),
        ("TRADES(beta='6')", "beta = '6'"),
        ("TRADES(gamma=1)", "fields: beta, label_smoothing"),
        ("Madry(label_smoothing=1)", "label_smoothing = 1"),
        ("MART(beta=1e999)", "beta = inf"),
        ("Free(replays=0)", "replays = 0"),
        ("Free(step_size=0)", "step_size = 0"),
        ("AWP(gamma=1)", "gamma = 1"),
        ("AWP(Free())", "an objective other than Free"),
        ("AWP(loss='madry')", "loss = 'madry'"),
        ("PGD()", "known loss"),
        ("6", "a call such as"),
        ("(lambda: 0)()", "TRADES"),
    ],
)
def test_objectives_refused(text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        parse_objective(text)


def test_attacks_of_training_only_are_not_those_of_an_audit() -> None:
    assert parse_inner_attack("NFGSM(noise=1, step_size=1.25)") == NFGSM(noise=1, step_size=1.25)
    assert parse_inner_attack("WorstOf(k=3)") == parse_attack("WorstOf(k=3)") == sp.WorstOf(k=3)
    with pytest.raises(Invalid, match="known attack"):
        parse_attack("NFGSM()")
    with pytest.raises(Invalid, match="noise = 0"):
        parse_inner_attack("NFGSM(noise=0)")
    with pytest.raises(Invalid, match="k = 0"):
        parse_inner_attack("WorstOf(k=0)")


def test_every_attack_and_threat_of_the_package_has_a_name() -> None:
    from saddlepoint import attacks, threats

    assert set(threats.__all__) == set(THREATS)
    assert {*ATTACKS, "Momentum", "Smooth", "Transform"} == set(attacks.__all__)
    assert torch.is_tensor(THREATS["Linf"](0.1).start(torch.zeros(1, 2)))
