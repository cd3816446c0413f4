"""Which detections stand for a thing of their own: what they are judged by, and how."""

import pytest
import torch
from torch import Tensor

from unipan.models.existence import OWN, PAIR, START, ExistenceHead, detection_features
from unipan.types import Detections


def image(count: int, seed: int = 0) -> tuple[Tensor, Tensor, Detections]:
    """2 stuff channels, `count` detections of classes 1 and 2, and a void channel; 4 features; 5 x 6 cells."""
    random = torch.Generator().manual_seed(seed)
    psi = torch.rand(2 + count + 1, 5, 6, generator=random, dtype=torch.float64)
    q = torch.randn(4, 5, 6, generator=random, dtype=torch.float64)
    scores = torch.rand(count, generator=random, dtype=torch.float64).sort(descending=True).values
    return psi, q, Detections(torch.zeros(count, 4), scores, torch.arange(count) % 2 + 1, None)


def head(count: int = 0) -> ExistenceHead:
    torch.manual_seed(count)
    made = ExistenceHead(num_stuff=2).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made


def test_features_are_those_of_loops() -> None:
    psi, q, found = image(3)
    channels, features = psi[2:5].flatten(1), q.flatten(1).T
    own, pairs = detection_features(channels, features, found.scores, found.labels)
    assert own.shape == (3, len(OWN))
    assert pairs.shape == (3, 3, len(PAIR))
    means = [sum(p * f for p, f in zip(channel, features, strict=True)) / channel.sum() for channel in channels]
    for i, channel in enumerate(channels):
        mass = channel.sum()
        spread = sum(p * (f - means[i]).square().sum() for p, f in zip(channel, features, strict=True)) / mass
        size = sum(p * f.square().sum() for p, f in zip(channel, features, strict=True)) / mass
        score = (found.scores[i] / (1 - found.scores[i])).log()
        torch.testing.assert_close(own[i], torch.stack([score, (channel * channel).sum() / mass, spread / size]))
        for j, other in enumerate(channels):
            shared = sum(min(a, b) for a, b in zip(channel.tolist(), other.tolist(), strict=True))
            likeness = means[i] @ means[j] / (means[i].norm() * means[j].norm())
            ahead = (found.scores[j] / (1 - found.scores[j])).log() - score
            expected = [shared / mass.item(), shared / other.sum().item(), likeness.item(), float((i - j) % 2 == 0), ahead.item()]
            torch.testing.assert_close(pairs[i, j], torch.tensor(expected, dtype=torch.float64))


def test_only_better_detections_count() -> None:
    """Whatever comes after a detection changes nothing for it, and its first logit is the one that it has alone."""
    psi, q, found = image(4)
    logits = head()(psi, q, found)
    for kept in (1, 2, 3):
        fewer = found.take(torch.arange(kept))
        torch.testing.assert_close(head()(torch.cat([psi[: 2 + kept], psi[-1:]]), q, fewer), logits[:kept])


def test_better_ones_in_another_order_are_the_same() -> None:
    """The worst of them counts, wherever it stands."""
    psi, q, found = image(4)
    order, channels = torch.tensor([1, 0, 2, 3]), torch.tensor([0, 1, 3, 2, 4, 5, 6])
    torch.testing.assert_close(head()(psi[channels], q, found.take(order))[2:], head()(psi, q, found)[2:])


def test_no_gradient_goes_back_and_all_weights_learn() -> None:
    psi, q, found = image(4)
    scores = found.scores.requires_grad_()
    judged = head()
    judged(psi.requires_grad_(), q.requires_grad_(), found).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in judged.parameters())
    assert (psi.grad, q.grad, scores.grad) == (None, None, None)


def test_all_start_alike_and_none_are_a_normal_value() -> None:
    start = ExistenceHead(num_stuff=2).double()
    torch.testing.assert_close(start(*image(3)), torch.full((3,), START, dtype=torch.float64))
    assert head()(*image(0)).shape == (0,)


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_certain_scores_and_empty_potentials_are_finite(score: float) -> None:
    psi, q, found = image(2)
    certain = found._replace(scores=torch.full((2,), score, dtype=torch.float64))
    assert head()(torch.zeros_like(psi), torch.zeros_like(q), certain).isfinite().all()
