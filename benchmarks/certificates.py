"""Time of searching, certifying and checking, and bytes per certificate, on MNIST test images.

    python benchmarks/certificates.py WEIGHTS --arch conv-small --eps 0.3 --n 30 --seconds 4

One thread. A sample that the search does not close within ``--seconds`` of CPU time is left out.
"""

import argparse
import time
from collections.abc import Iterator

import torch
from safetensors.torch import save

import saddlepoint as sp
from saddlepoint.core.goal import Untargeted
from saddlepoint.verify.certify import certify_ibp, certify_tree
from saddlepoint.verify.checker import Checker
from saddlepoint.verify.ladder import Ladder
from saddlepoint.verify.packing import pack
from saddlepoint.verify.proof.inputs import inputs
from saddlepoint.verify.region import region
from saddlepoint.verify.spec import margins
from saddlepoint.verify.tracing import trace


def measured(given: argparse.Namespace) -> Iterator[tuple[float, ...]]:
    """Seconds of search, certificate and check; leaves, bytes; whether the checker agrees."""
    data = sp.load_data("mnist")
    model = sp.load_model(given.weights, given.arch, data.shape).model.eval().requires_grad_(False)
    network, checker = trace(model, data.shape), Checker.of(model, data.shape)
    threat = sp.Linf(eps=given.eps)
    for row in range(given.n):
        x, y = data.split("test").batch(torch.tensor([row]))
        spec = margins(Untargeted(y), data.classes, x)
        if float(spec.margin(model(x))) > 0:
            continue
        begin = time.process_time()
        (verdict,) = Ladder(seconds=given.seconds)(network, region(threat, x), spec)
        closed = time.process_time()
        proof = verdict.proof
        if proof is None:
            continue
        where = inputs(threat, x[0])
        if proof.problem is None or proof.tree is None:
            certificate = certify_ibp(checker, where, spec)
        else:
            certificate = certify_tree(proof.problem, proof.tree, where, checker)
        certified = time.process_time()
        agreed = certificate is not None and checker(certificate, where, spec) == ""
        checked = time.process_time()
        size = len(save(pack([certificate]))) if certificate else 0
        leaves = len(certificate.leaf) if certificate else 0
        yield closed - begin, certified - closed, checked - certified, leaves, size, agreed


def main() -> None:
    """Print one line per certified sample, and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights")
    parser.add_argument("--arch", default="conv-small")
    parser.add_argument("--eps", type=float, default=0.3)
    parser.add_argument("--n", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=4)
    torch.set_num_threads(1)
    rows = []
    for row in measured(parser.parse_args()):
        rows.append(row)
        print(
            "search {:.2f} s, certify {:.2f} s, check {:.2f} s, {} leaves, {} bytes, {}".format(
                *row
            )
        )
    mean = torch.tensor(rows, dtype=torch.float64).mean(0).tolist()
    print(
        "mean: {:.2f} s, {:.2f} s, {:.2f} s, {:.0f} leaves, {:.0f} bytes, {}".format(*mean),
        len(rows),
    )


if __name__ == "__main__":
    main()
