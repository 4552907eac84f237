"""Audit a torch model in ten lines: python examples/audit_torch.py [FOLDER]."""

import sys

import torch

import saddlepoint as sp

__all__: list[str] = []

# Your model and your data. Inputs are floats in [0, 1]; normalisation is a layer of the model.
digits = sp.load_data("digits")
x, y = digits.split("train").batch(slice(None))
torch.manual_seed(0)
model = torch.nn.Sequential(
    torch.nn.Flatten(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(100):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()

# The audit. In place of a split: tensors (x, y), or a loader of batches.
out = sys.argv[1] if len(sys.argv) > 1 else "runs/audit-torch"
result = sp.audit(model, digits.split("test"), sp.Linf(eps=0.05), n=100, effort="quick", out=out)

low, high = result.interval
print(f"{result.clean_accuracy:.0%} are right, at most {result.robust_accuracy:.0%} withstand")
print(f"95 % interval for fresh digits: {low:.0%} to {high:.0%}")
for finding in result.findings:
    if finding.verdict in ("warn", "fail"):
        print(f"{finding.verdict}: {finding.check}")
print(f"report: {result.folder}/report.html")
