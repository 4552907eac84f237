"""A sample gets the same result alone, in a batch, permuted, chunked, and on a rerun."""

import pytest
import torch
from torch import Tensor

from saddlepoint import Found, search
from tests.laws.models import problem, run
from tests.table import ATTACKS, THREATS, AttackRow, ThreatRow

ATTACK = pytest.mark.parametrize("attack", ATTACKS, ids=lambda r: r.name)
ROWS = [r for r in THREATS if r.name in ("linf", "l2", "l1-each")]
THREAT = pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
PERM = torch.tensor([3, 7, 0, 5, 1, 6, 2, 4])


def agree(a: Found, b: Found, rows: Tensor, tol: float = 1e-9) -> None:
    """Rows of a equal b: verdict, margin, point and price."""
    assert [a.status[i] for i in rows.tolist()] == list(b.status)
    torch.testing.assert_close(a.margin[rows], b.margin, rtol=tol, atol=tol)
    torch.testing.assert_close(a.u[rows], b.u, rtol=1e3 * tol, atol=1e3 * tol)
    assert torch.equal(a.cost.forward[rows], b.cost.forward)
    assert torch.equal(a.cost.backward[rows], b.cost.backward)


@ATTACK
@THREAT
def test_alone_permuted_and_chunked(attack: AttackRow, row: ThreatRow) -> None:
    net, x, y, threat = problem(row)
    ids = torch.arange(100, 108)
    whole = search(attack.small, net, x, y, threat, ids=ids)
    for rows in (torch.tensor([4]), PERM, torch.tensor([1, 2, 6])):
        part = search(attack.small, net, x[rows], y[rows], threat[rows], ids=ids[rows])
        agree(whole, part, rows)


@ATTACK
@pytest.mark.parametrize("batch_size", [3, pytest.param(5, marks=pytest.mark.slow)])
def test_batch_size_changes_nothing(attack: AttackRow, batch_size: int) -> None:
    row = ROWS[1]
    whole = run(attack.small, row, early_stop=False)
    agree(whole, run(attack.small, row, early_stop=False, batch_size=batch_size), torch.arange(8))


@ATTACK
def test_seeds_decide(attack: AttackRow) -> None:
    row = ROWS[1]
    a, b, c = (run(attack.small, row, early_stop=False, seed=s).u for s in (3, 3, 4))
    assert torch.equal(a, b)
    assert torch.equal(a, c) is not attack.seeded


@pytest.mark.parametrize("layout", ["channels-last", "strided"])
@ATTACK
def test_strides_change_nothing(attack: AttackRow, layout: str) -> None:
    net, x, y, threat = problem(ROWS[1])
    if layout == "channels-last":
        odd = x.to(memory_format=torch.channels_last)
    else:
        odd = torch.stack([x, x], -1)[..., 0]
    whole = search(attack.small, net, x, y, threat)
    agree(whole, search(attack.small, net, odd, y, threat), torch.arange(8))


@ATTACK
def test_inputs_of_any_rank(attack: AttackRow) -> None:
    net, x, y, threat = problem(ROWS[1])
    whole = search(attack.small, net, x, y, threat)
    for shape in ((12,), (4, 3), (2, 1, 3, 2)):
        part = search(attack.small, net, x.view(8, *shape), y, threat)
        assert (part.margin >= part.clean_margin).all()
        if not attack.shaped:
            assert part.status == whole.status
            torch.testing.assert_close(part.margin, whole.margin, rtol=1e-9, atol=1e-9)
