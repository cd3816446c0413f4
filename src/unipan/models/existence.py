"""Which admitted detections stand for a thing of their own: duplicate suppression that is learnt, and part of the network.

N admitted detections, best first; K panoptic channels; D features; h x w cells of one image. After Hosang et al., "Learning
non-maximum suppression", CVPR 2017: each detection is judged by itself and beside every better one, the worst of which counts.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unipan.types import Detections

MIN_MASS = 1e-3
"""Cells below which nothing is divided by a channel's mass."""
HIDDEN = 32
START = 2.0
"""Logit that all detections start at, so that the log sigmoid first changes next to nothing."""


class ExistenceHead(nn.Module):
    """(N,) logits from detections' scores, potentials and descriptors, through which no gradient goes back."""

    def __init__(self, *, num_stuff: int) -> None:
        super().__init__()
        self.num_stuff = num_stuff
        self.pair = nn.Sequential(nn.Linear(len(PAIR), HIDDEN), nn.ReLU())
        self.judge = nn.Sequential(nn.Linear(len(OWN) + HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))
        last = self.judge[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, START)

    def forward(self, potentials: Tensor, affinity: Tensor, admitted: Detections) -> Tensor:
        """potentials: (K, h, w), the detections' channels after the stuff's. affinity: (D, h, w) -> (N,) logits."""
        channels = potentials[self.num_stuff : self.num_stuff + admitted.scores.shape[0]].detach().flatten(1)
        scores = admitted.scores.detach()
        own, pairs = detection_features(channels, affinity.detach().flatten(1).T, scores, admitted.labels)
        worst = torch.cat(
            [self.pair(pairs) * _better(own.shape[0], pairs)[..., None], pairs.new_zeros(own.shape[0], 1, HIDDEN)], 1
        )
        return self.judge(torch.cat([own, worst.amax(1)], 1))[:, 0]


OWN = ("score", "sharpness", "spread")
PAIR = ("covered", "covers", "likeness", "same class", "score ahead")


def detection_features(channels: Tensor, features: Tensor, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """What a detection is judged by: OWN (N, 3) of each, and PAIR (N, N, 5) of detection i beside detection j.

    channels: (N, P) potentials. features: (P, D). A score counts as its logit. Sharpness: the potential's mean, weighted by
    itself. Spread: how far its cells' features lie from their mean, as a share of their size. Covered: the share of i's
    potential that j has too; covers: the share of j's that i has. Likeness: the cosine of their mean features.
    """
    mass = channels.sum(1).clamp(min=MIN_MASS)
    means = channels @ features / mass[:, None]
    size = (channels @ features.square().sum(1) / mass).clamp(min=MIN_MASS)
    score = scores.logit(eps=1e-3)
    sharpness = channels.square().sum(1) / mass
    spread = 1 - means.square().sum(1) / size
    total = channels.sum(1)  # min(a, b) = (a + b - |a - b|) / 2, so that N x N x P values are never held
    shared = ((total[:, None] + total - _distances(channels)) / 2).clamp(min=0)
    likeness = F.normalize(means, dim=1) @ F.normalize(means, dim=1).T
    same = (labels[:, None] == labels).to(score.dtype)
    pairs = [shared / mass[:, None], shared / mass, likeness, same, score - score[:, None]]
    return torch.stack([score, sharpness, spread], 1), torch.stack(pairs, 2)


def _distances(channels: Tensor) -> Tensor:
    """(N, N) sums of absolute differences. A graph for export has no operator for them, and holds the N x N x P differences."""
    if torch.compiler.is_exporting():
        return (channels[:, None] - channels).abs().sum(2)
    return torch.cdist(channels, channels, p=1)


def _better(count: int, like: Tensor) -> Tensor:
    """(N, N): 1 where detection j stands before detection i."""
    return like.new_ones(count, count).tril(-1)


class NoExistence(nn.Module):
    """For networks that do not learn it."""

    def forward(self, potentials: Tensor, affinity: Tensor, admitted: Detections) -> Tensor:
        return affinity.new_zeros(0)
