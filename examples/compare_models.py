"""Compare two models on the same samples: python examples/compare_models.py [FOLDER].

Here the one in use with a candidate that was trained on perturbed images. Is the difference more
than luck, and which samples did it cost?
"""

import sys
from pathlib import Path

from net import digits, trained

import saddlepoint as sp
from saddlepoint.audit.report import Run, write_report

__all__: list[str] = []

out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/compare-models")
threat = sp.Linf(eps=0.08)
for name, model in (("in-use", trained()), ("candidate", trained(eps=0.1))):
    result = sp.audit(model, digits(n=150), threat, effort="quick", out=out / name)
    print(f"{name}: clean {result.clean_accuracy:.1%}, robust at most {result.robust_accuracy:.1%}")

found = sp.compare(out / "in-use", out / "candidate")
low, high = found.interval
print(found.verdict)
print(
    f"difference {found.difference:+.1%}, 95 % interval {low:+.1%} to {high:+.1%}, p {found.p:.2g}"
)
print(f"newly safe: {len(found.newly_safe)}, newly broken: {list(found.newly_broken)}")

runs = [Run.load(out / name) for name in ("in-use", "candidate")]
print("report:", write_report(runs, out / "report.html", "The candidate beside the net in use"))
