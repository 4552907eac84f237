"""What must not happen, against brute force over groups and against the goals' own margins."""

import pytest
import torch

from saddlepoint.core.errors import Unsupported
from saddlepoint.core.goal import Targeted, Untargeted
from saddlepoint.verify.ibp import ibp, ibp_margin
from saddlepoint.verify.interval import Interval
from saddlepoint.verify.spec import Spec, margins
from saddlepoint.verify.tracing import trace

SCORES = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(50) % 5


def random_spec(seed: int) -> Spec:
    draw = torch.Generator().manual_seed(seed)
    group = torch.randint(3, (7,), generator=draw)
    group[:3] = torch.arange(3)  # every group has a row
    weight = torch.randn(50, 7, 5, generator=draw)
    return Spec(weight, torch.randn(50, 7, generator=draw), group)


@pytest.mark.parametrize("seed", range(5))
def test_the_worst_group_is_that_of_brute_force(seed: int) -> None:
    spec = random_spec(seed)
    rows = spec.rows(SCORES)
    assert spec.groups == 3
    found = spec.worst(rows)
    for i in range(len(SCORES)):
        by_hand = [spec.weight[i, r] @ SCORES[i] + spec.offset[i, r] for r in range(7)]
        torch.testing.assert_close(rows[i], torch.stack(by_hand), rtol=1e-5, atol=1e-5)
        groups = [min(float(rows[i, r]) for r in range(7) if spec.group[r] == g) for g in range(3)]
        assert float(found[i]) == max(groups)
    assert torch.equal(spec.margin(SCORES), found)


@pytest.mark.parametrize("goal", [Untargeted(LABELS), Targeted(LABELS)])
def test_margins_are_those_of_the_goal(goal: Untargeted | Targeted) -> None:
    spec = margins(goal, 5, SCORES)
    torch.testing.assert_close(spec.margin(SCORES), goal.margin(SCORES), rtol=1e-6, atol=1e-6)
    assert torch.equal(spec.margin(SCORES) > 0, goal.margin(SCORES) > 0)


def test_sub_batches_and_types() -> None:
    spec, pick = random_spec(0), torch.tensor([4, 4, 1])
    torch.testing.assert_close(spec[pick].margin(SCORES[pick]), spec.margin(SCORES)[pick])
    wide = spec.to(torch.float64)
    torch.testing.assert_close(wide.margin(SCORES.double()).float(), spec.margin(SCORES))


def test_two_classes_leave_one_row() -> None:
    spec = margins(Untargeted(torch.tensor([0])), 2, torch.zeros(1))
    assert spec.weight.tolist() == [[[-1.0, 1.0]]]


def test_another_goal_is_refused_in_words() -> None:
    with pytest.raises(Unsupported, match="str: bounds know the goals"):
        margins("leave", 3, torch.zeros(1))  # type: ignore[arg-type]


@pytest.mark.parametrize("last", ["linear", "relu", "sum"])
def test_merging_the_rows_into_the_last_layer_is_no_looser(last: str) -> None:
    """Rows of the output's interval against rows merged into the layer that makes it."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 5)

    def model(x: torch.Tensor) -> torch.Tensor:
        z = layer(x)
        return {"linear": z, "relu": z.relu(), "sum": z + x[:, :5]}[last]

    net = trace(model, (6,))
    x = torch.rand(50, 6)
    box, spec = Interval(x - 0.1, x + 0.1), random_spec(1)
    merged, intervals = ibp_margin(net, box, spec), ibp(net, box)
    low, high = net.nodes[-1].op.ibp(*(intervals[i] for i in net.nodes[-1].inputs))
    loose = (
        spec.weight.clamp(min=0) * high[:, None] + spec.weight.clamp(max=0) * low[:, None]
    ).sum(2) + spec.offset
    assert (merged <= loose + 1e-5).all()
    assert (merged < loose - 1e-3).any() == (last == "linear")
    for _ in range(20):
        z = x + 0.2 * torch.rand_like(x) - 0.1
        assert (spec.rows(net.forward(z)) <= merged + 1e-5).all()
