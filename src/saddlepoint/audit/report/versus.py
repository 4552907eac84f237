"""Two or more runs side by side: which model withstands what, and whether that is luck."""

from collections.abc import Sequence
from dataclasses import dataclass

from saddlepoint.audit.report.numerals import count, percent
from saddlepoint.audit.report.pairs import Pairs
from saddlepoint.audit.report.run import Run
from saddlepoint.audit.report.words import noun
from saddlepoint.audit.stats import mcnemar

__all__ = ["Paired", "caveats", "chance_words", "comparison", "names", "paired", "paired_words"]


@dataclass(frozen=True)
class Paired:
    """Samples that both runs decided, and those that fell in one run only; ``p`` is McNemar's."""

    shared: int
    only_first: int
    only_second: int
    p: float


def names(runs: Sequence[Run]) -> list[str]:
    """Return one name per run, told apart by folder or number where models share a name."""
    models = [run.name for run in runs]
    if len(set(models)) == len(models):
        return models
    longer = [f"{run.name} ({run.folder.resolve().name})" for run in runs]
    if len(set(longer)) == len(longer):
        return longer
    return [f"{name} ({i})" for i, name in enumerate(models, 1)]


def paired(first: Run, second: Run) -> Paired | None:
    """Compare two runs sample by sample; None when they share no data.

    The exact McNemar test asks whether samples that fell in one run only fell evenly. Samples on
    which an attack failed in either run are left out.
    """
    pairs = Pairs.of(first, second)
    if pairs is None or not pairs.decided.any():
        return None
    only_a, only_b = int(pairs.only_first.sum()), int(pairs.only_second.sum())
    return Paired(int(pairs.decided.sum()), only_a, only_b, mcnemar(only_a, only_b))


def chance_words(p: float) -> str:
    """Say of a paired test whether luck explains its outcome.

    >>> chance_words(0.0625)
    'no more than luck explains (exact McNemar test, p = 0.062)'
    """
    chance = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    real = "more than luck explains" if p < 0.05 else "no more than luck explains"
    if p >= 0.9995:
        real, chance = "an even split", "p = 1"
    return f"{real} (exact McNemar test, {chance})"


def paired_words(pair: Paired, first: str, second: str, things: str) -> str:
    """Return a paired comparison as one sentence."""
    return (
        f"Of the {count(pair.shared)} {things} both runs decided, {count(pair.only_first)} fell "
        f"only with {first} and {count(pair.only_second)} only with {second}: "
        f"{chance_words(pair.p)}."
    )


def _attacks(run: Run) -> str:
    """What was planned; rounds of a cascade differ from model to model, and may."""
    plan = run.audit.get("plan") or {}
    if plan.get("suite") == "cascade":
        return f"{plan.get('attacks')} {plan.get('max_passes')} {plan.get('survivors')}"
    return str([a["spec"] for a in run.audit["attacks"]])


def caveats(runs: Sequence[Run]) -> list[str]:
    """Return why the runs may not be comparable; empty when they played the same game."""
    parts = {
        "threat model": [run.audit["threat"]["spec"] for run in runs],
        "goal": [run.audit["threat"].get("goal") for run in runs],
        "data": [run.audit.get("data_sha256") or run.audit["data"]["name"] for run in runs],
        "number of samples": [run.audit["n"] for run in runs],
        "attacks": [_attacks(run) for run in runs],
        "status": [run.audit["status"] for run in runs],
    }
    differ = [part for part, values in parts.items() if len(set(values)) > 1]
    if not differ:
        return []
    return [f"The runs differ in {', '.join(differ)}: compare their numbers with care."]


def _overlap(a: Run, b: Run) -> bool:
    x, y = (run.audit["robust_accuracy"].get("interval") for run in (a, b))
    return bool(x and y and x[0] <= y[1] and y[0] <= x[1])


def _settled(a: Run, b: Run) -> bool:
    pair = paired(a, b)
    return not _overlap(a, b) if pair is None else pair.p < 0.05


def comparison(runs: Sequence[Run]) -> str:
    """Return in one sentence which model withstands how much, the strongest first."""
    order = sorted(
        zip(names(runs), runs, strict=True), key=lambda r: -r[1].audit["robust_accuracy"]["upper"]
    )
    specs = {r.audit["threat"]["spec"] for r in runs}
    game = f"Against {specs.pop()}" if len(specs) == 1 else "Each against its own threat model"
    kinds = {noun(r.audit) for r in runs}
    things = f"{kinds.pop()}s" if len(kinds) == 1 else "inputs"
    bounds = [percent(r.audit["robust_accuracy"]["upper"]) for _, r in order]
    parts = [f"at most {bounds[0]} of {things} withstand with {order[0][0]}"]
    parts += [
        f"at most {bound} with {name}"
        for bound, (name, _) in zip(bounds[1:], order[1:], strict=True)
    ]
    (best, first), (_, second) = order[0], order[1]
    gap = first.audit["robust_accuracy"]["upper"] - second.audit["robust_accuracy"]["upper"]
    if not _settled(first, second):
        end = f"the lead of {100 * gap:.1f} points is within what chance explains"
    else:
        end = f"these attacks leave {best} {100 * gap:.1f} points ahead"
    return f"{game}, {', '.join(parts)}: {end}."
