"""What an audit must show for a pipeline to go on: --fail-under and the like, and --baseline."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import typer
from rich.text import Text

from saddlepoint.audit import Audit, compare
from saddlepoint.audit.compare import as_run, other_samples
from saddlepoint.audit.report import Run
from saddlepoint.audit.samples import Samples
from saddlepoint.cli.compare import regression_words, show
from saddlepoint.cli.console import OUT, percent
from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.presets import number

__all__ = ["Gates", "Verdict", "share"]

Verdict = Literal["warn", "fail"]


def share(value: object, name: str = "fail-under") -> float:
    """Read a share as the command line or a plan file gives it.

    >>> share("4/5"), share(0.8)
    (0.8, 0.8)
    >>> share(80)
    Traceback (most recent call last):
    saddlepoint.core.errors.Invalid: fail-under = 80: must be a share in [0, 1]; did you mean 0.8?
    """
    text = str(value).strip()
    try:
        found = number(text.removesuffix("%"), name)
    except Invalid:
        found = -1.0
    if 1 < found <= 100 or (text.endswith("%") and found >= 0):
        hint = f"did you mean {found / 100:g}?"
        raise Invalid(name, value, "a share in [0, 1]", hint)
    if not 0 <= found <= 1:  # NaN is no share either
        raise Invalid(name, value, "a share in [0, 1]", "such as 0.80")
    return float(found)


@dataclass(frozen=True)
class Gates:
    """The claims that are put to the test once the run's folder is complete.

    fail_under: of all samples, at least this share must have withstood. fail_on: no health check
    may be this bad. baseline: an earlier run on the same samples that must not be much better.
    certified: at least this share must have been proved robust.
    """

    fail_under: float | None = None
    fail_on: Verdict | None = None
    baseline: Run | None = None
    certified: float | None = None

    @classmethod
    def of(
        cls,
        fail_under: float | str | None,
        fail_on: Verdict | None,
        baseline: Path | None,
        out: Path,
        certified: float | str | None = None,
    ) -> "Gates":
        """Read what can be read before any work.

        Raises ``Invalid`` for a share that is none, ``BadData`` for an unusable baseline.
        """
        least = None if fail_under is None else share(fail_under)
        proved = None if certified is None else share(certified, "fail-under-certified")
        if baseline is None:
            return cls(least, fail_on, certified=proved)
        if baseline.resolve() == out.resolve():
            raise Invalid("baseline", str(baseline), "another folder than --out")
        run = as_run(baseline)
        if run.audit["status"] != "complete":
            said = f"{baseline}: this baseline is {run.audit['status']}"
            raise BadData(f"{said}: run its own command again to finish it")
        return cls(least, fail_on, run, proved)

    def admit(self, samples: Samples, n: int, data: str, split: str) -> None:
        """Raise ``BadData`` where the baseline is about other samples than the audit will be."""
        if self.baseline is None or not 1 <= n <= len(samples):
            return  # a wrong n is the audit's to refuse
        names = {"name": data, "split": split}
        coming = {"data_sha256": samples.sha256(n), "n": n, "data": names}
        if fault := other_samples(self.baseline, coming):
            raise BadData(fault)

    def hold(self, result: Audit) -> None:
        """Print what holds and what does not; exit 1 unless all of it holds."""
        said = [*self._under(result.document), *self._proved(result), *self._findings(result)]
        if self.baseline is not None:
            OUT.print()
            found = compare(self.baseline, result)
            show(found)
            said.append(("baseline", regression_words(found)))
        for name, fault in said:
            style = "bold red" if fault else "green"
            OUT.print(Text(f"{name}: {fault or 'holds'}", style=style))
        if any(fault for _, fault in said):
            raise typer.Exit(1)

    def _under(self, document: dict[str, Any]) -> list[tuple[str, str]]:
        if self.fail_under is None:
            return []
        name, n = f"fail-under {self.fail_under:g}", document["n"]
        upper, withstood = document["robust_accuracy"]["upper"], document["counts"]["survived"] / n
        if upper < self.fail_under:
            return [(name, f"robust accuracy is at most {percent(upper)}")]
        if withstood < self.fail_under:
            open_ = n - document["counts"]["broken"] - document["counts"]["survived"]
            why = f"{open_:,} samples are undecided, and only {percent(withstood)} withstood"
            return [(name, why)]
        return [(name, "")]

    def _proved(self, result: Audit) -> list[tuple[str, str]]:
        if self.certified is None:
            return []
        name, found = f"fail-under-certified {self.certified:g}", result.document["verification"]
        if result.certified_accuracy >= self.certified:
            return [(name, "")]
        why = "nothing was verified: pass --verify" if found is None else found["reason"]
        said = f"{percent(result.certified_accuracy)} is proved robust"
        return [(name, f"{said} ({why})" if why else said)]

    def _findings(self, result: Audit) -> list[tuple[str, str]]:
        if self.fail_on is None:
            return []
        bad = ("fail",) if self.fail_on == "fail" else ("fail", "warn")
        found = [f"{f.check} ({f.verdict})" for f in result.findings if f.verdict in bad]
        return [(f"fail-on {self.fail_on}", ", ".join(found))]
