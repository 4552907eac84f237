"""What breaks a model that may reject, against a slow reading of the definition."""

import pytest
import torch

from saddlepoint import FGSM, PGD, Linf, Targets, nearest, search
from saddlepoint.attacks.fab import Lead
from saddlepoint.core.detected import Undetected, against, refuse_rejecting, rejects
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.goal import Targeted, Untargeted, read
from saddlepoint.core.loss import LOSSES, Unaware

K = 5


def scores(n: int = 200, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    out = torch.randn(n, K + 1, generator=rng, dtype=torch.float64)
    return out, torch.randint(0, K, (n,), generator=rng)


def test_a_break_is_wrong_and_accepted() -> None:
    out, y = scores()
    said = out.argmax(1)
    broken = (said != y) & (said != K)
    assert torch.equal(Undetected(y).margin(out) > 0, broken)
    assert 0 < int(broken.sum()) < int((said != y).sum())
    tie = torch.tensor([[0.0, 1.0, 1.0]])
    assert Undetected(torch.tensor([0])).margin(tie).item() == 0


@pytest.mark.parametrize("name", LOSSES)
def test_losses_fool_classifier_and_detector_at_once(name: str) -> None:
    out, y = scores()
    reading = out[:, :K].clone()
    for i, c in enumerate(y.tolist()):
        reading[i, c] = max(float(out[i, c]), float(out[i, K]))
    goal, loss = Undetected(y), LOSSES[name]
    torch.testing.assert_close(loss(out, goal), loss(reading, Untargeted(y)))
    torch.testing.assert_close(read(out, goal), reading)
    keep = (y == 2).nonzero().squeeze(1)
    torch.testing.assert_close(loss(out[keep], goal[keep]), loss(out, goal)[keep])
    torch.testing.assert_close(Unaware(name)(out, goal), loss(out[:, :K], Untargeted(y)))
    assert torch.equal(Unaware(name)(out, Untargeted(y)), loss(out, Untargeted(y)))


def test_a_lead_is_that_over_label_and_rejection() -> None:
    out, y = scores()
    torch.testing.assert_close(Lead()(out, Undetected(y)), Undetected(y).margin(out))


class Sharp(torch.nn.Module):
    """Three classes by the larger of two inputs or neither; rejects where the second is large."""

    rejects = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = torch.stack([x[:, 0], x[:, 1], 0.2 + 0 * x[:, 0]], 1)
        return torch.cat([z, z.amax(1, keepdim=True) + 5 * (x[:, 1:] - 0.45)], 1)


def test_an_attack_goes_round_the_rejection() -> None:
    model, x, y = Sharp(), torch.tensor([[0.6, 0.3]]), torch.tensor([0])
    goal = against(model, y)
    assert isinstance(goal, Undetected)
    for attack in (PGD(steps=40), Targets(PGD(steps=40, loss="margin"), n=9)):
        found = search(attack, model, x, goal, Linf(eps=0.3))
        assert found.broken.all(), attack
        assert model(found.x_adv).argmax(1).item() in (1, 2)
    # What fools the classes most is rejected.
    blind = search(FGSM(loss=Unaware()), model, x, goal, Linf(eps=0.3))
    assert not blind.broken.any()
    assert Untargeted(y).margin(model(x + torch.tensor([[-0.3, 0.3]]))).item() > 0


def test_no_target_is_the_rejection() -> None:
    seen: list[int] = []

    class Note:
        def __call__(self, oracle, draw):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
            goal = oracle._aim
            assert isinstance(goal, Targeted)
            seen.append(int(goal.label[0]))
            oracle.value(oracle.threat.start(oracle.x))

    x, y = torch.tensor([[0.6, 0.3]]), torch.tensor([0])
    search(Targets(Note(), n=9), Sharp(), x, against(Sharp(), y), Linf(eps=0.1))
    assert sorted(seen) == [1, 2]


def test_models_say_whether_they_reject() -> None:
    y = torch.tensor([1])
    assert rejects(Sharp())
    assert not rejects(torch.nn.Identity())
    assert isinstance(against(torch.nn.Identity(), y), Untargeted)
    refuse_rejecting(torch.nn.Identity(), "a curve")
    with pytest.raises(Unsupported, match="a curve does not know models that reject"):
        refuse_rejecting(Sharp(), "a curve")


def test_rejection_is_no_label() -> None:
    with pytest.raises(Invalid, match=r"class indices in 0 … 2"):
        search(PGD(), Sharp(), torch.rand(1, 2), Undetected(torch.tensor([3])), Linf(eps=0.1))
    with pytest.raises(Invalid, match="whole numbers"):
        Undetected(torch.tensor([0.5]))
    with pytest.raises(Invalid, match="loss"):
        Unaware("crossentropy")


def test_labels_stand_for_wrong_and_accepted_answers_of_a_model_that_rejects() -> None:
    """What is only rejected is no break, in a search and in the nearest break."""

    class Wary(torch.nn.Module):
        rejects = True

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([1 - x[:, 0], x[:, 0], 4 * x[:, 0]], 1)

    x, y = torch.full((3, 1), 0.1), torch.zeros(3, dtype=torch.int64)
    for call in (search, nearest):
        found = call(PGD(steps=5), Wary(), x, y, Linf(0.8))
        assert [s.value for s in found.status] == ["survived"] * 3
