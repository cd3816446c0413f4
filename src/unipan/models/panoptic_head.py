"""The panoptic part: potential, affinity features, panoptic logits. What each promises, the paper's head, and empty places.

K panoptic channels, D the length of an affinity feature; h x w cells of one image.
"""

from collections.abc import Sequence
from math import log
from typing import Protocol, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unipan.choices import PanopticHead, Propagation
from unipan.errors import InputError
from unipan.ops.propagation import propagate
from unipan.types import Detections

START_SCALE = 10.0
"""Evidence is a mean of probabilities; without a scale no softmax over it could be confident."""
FLOOR = 1e-4
"""Added to Psi before its logarithm: a channel that says nothing of a cell loses there, but affinity may still overrule it."""


EXISTS = -0.4
"""Logit of existence, a probability of 0.4, below which a detection's channel fades. A segment that matches with probability p
and IoU q adds p q to PQ's numerator and, matched or not, 1/2 to its denominator: it pays where p q / (1/2) is over PQ."""
GATE = 10.0
"""How sharply: a softer gate costs uncertain detections their borders, one that is sharper learns no more."""


def unary_logits(potentials: Tensor) -> Tensor:
    """What the potential alone says, as logits: log Psi (our choice; as in the CRF of the authors' earlier network)."""
    return (potentials + FLOOR).log()


class Potential(Protocol):
    """Makes the panoptic channels of one image."""

    def __call__(self, semantic_logits: Tensor, admitted: Detections) -> Tensor:
        """(C, h, w) logits and N detections -> (K, h, w): stuff, the detections in their order, void if there is one."""
        ...


class AffinityFeatures(Protocol):
    """Says which cells belong together."""

    def __call__(self, levels: Sequence[Tensor]) -> Tensor:
        """levels: P2..P5, or what a shared decoder made of them -> (B, D, h, w)."""
        ...


class Existence(Protocol):
    """Says which of the admitted detections of one image stand for a thing of their own."""

    def __call__(self, potentials: Tensor, affinity: Tensor, admitted: Detections) -> Tensor:
        """(K, h, w), (D, h, w) and N detections -> (N,) logits; (0,) where this is not learnt."""
        ...


class PanopticLogits(Protocol):
    """Turns the channels of one image into logits."""

    def __call__(self, potentials: Tensor, affinity: Tensor, existence: Tensor) -> Tensor:
        """(K, h, w) and (D, h, w), true cells only, and (N,) or (0,) logits -> (K, h, w) logits."""
        ...


class UnifiedHead(nn.Module):
    """logits = scale * propagate(Psi, Q) + unary_scale * log Psi + a gate by existence, with learnt positive scales."""

    def __init__(self, *, form: Propagation, residual: bool, num_stuff: int, stuff_cells: float) -> None:
        """residual: without it there is no unary part, unless there is nothing else (form `none`).

        num_stuff: channels before those of the detections. stuff_cells: stuff that holds fewer cells fades; 0 never.
        """
        super().__init__()
        self.form: Propagation = form
        self.num_stuff = num_stuff
        self.stuff_cells = stuff_cells
        self.log_scale = nn.Parameter(torch.tensor(log(START_SCALE))) if form != "none" else None
        self.log_unary_scale = nn.Parameter(torch.tensor(0.0)) if residual or form == "none" else None

    @property
    def scale(self) -> Tensor:
        """Factor of the propagated evidence; 0 for the form `none`."""
        return _factor(self.log_scale)

    @property
    def unary_scale(self) -> Tensor:
        """Factor of the potential's own logits; 0 without a residual."""
        return _factor(self.log_unary_scale)

    def forward(self, potentials: Tensor, affinity: Tensor, existence: Tensor) -> Tensor:
        """potentials: (K, h, w); affinity: (D, h, w); existence: (N,) or (0,) -> (K, h, w) logits; of one image's true cells."""
        evidence = self._evidence(potentials, affinity).view_as(potentials)
        logits = self.scale * evidence + self.unary_scale * unary_logits(potentials)
        return logits + channel_bias(existence, self.num_stuff, potentials.shape[0])

    def together(self, potentials: Tensor, affinity: Tensor, existence: Tensor, cells: Tensor) -> Tensor:
        """(M, P) probabilities, from (M,) marked cells: that a marked cell and another are of one channel, by affinity alone.

        Each cell takes a channel by the softmax of what reaches it along the affinity: the logits without the unary part.
        """
        evidence = self._evidence(potentials, affinity)
        bias = channel_bias(existence, self.num_stuff, len(potentials))[:, 0]
        shares = (self.scale * evidence + bias).softmax(0)
        return shares[:, cells].T @ shares

    def claims(self, potentials: Tensor, affinity: Tensor, existence: Tensor, regions: Tensor, num_regions: int) -> Tensor:
        """(R, K) probabilities that a region is a part of each channel, by the affinity of all its cells; 0 without a cell.

        regions: (h, w) int64 in 0..R, R for none. For the form `pooled` this compares the region's own descriptor with those of
        the channels: its cells' mean evidence is the product of the two.
        """
        evidence = self._evidence(potentials, affinity).flatten(1)
        sums = evidence.new_zeros(num_regions + 1, len(evidence)).index_add(0, regions.flatten(), evidence.T)[:-1]
        cells = torch.bincount(regions.flatten(), minlength=num_regions + 1)[:-1, None]
        bias = channel_bias(existence, self.num_stuff, len(potentials))[:, 0, 0]
        return (self.scale * sums / cells.clamp(min=1) + bias).softmax(1) * (cells > 0)

    def _evidence(self, potentials: Tensor, affinity: Tensor) -> Tensor:
        """(K, P), of stuff in proportion to what it holds of an image where that is little."""
        evidence = propagate(potentials.flatten(1), affinity.flatten(1).T, self.form)
        if not self.stuff_cells:
            return evidence
        stuff = evidence[: self.num_stuff]
        held = potentials[: self.num_stuff].flatten(1).sum(1, keepdim=True)
        return torch.cat([stuff * (held / self.stuff_cells).clamp(max=1), evidence[self.num_stuff :]])


def channel_bias(existence: Tensor, num_stuff: int, num_channels: int) -> Tensor:
    """(K, 1, 1): log sigmoid(GATE * (existence - EXISTS)) on the detections' channels, 0 on all others; all 0 where it is (0,).

    No gradient: the existence learns from its own loss alone, as the panoptic loss hardly sees a small false segment.
    """
    gate = F.logsigmoid(GATE * (existence.detach() - EXISTS))
    return F.pad(gate, (num_stuff, num_channels - num_stuff - existence.shape[0]))[:, None, None]


def _factor(logarithm: Tensor | None) -> Tensor:
    return torch.tensor(0.0) if logarithm is None else logarithm.exp()


class NoPotential(nn.Module):
    """For the heuristic merger: no channels at all."""

    def forward(self, semantic_logits: Tensor, admitted: Detections) -> Tensor:
        return semantic_logits.new_zeros(0, *semantic_logits.shape[-2:])


class NoAffinity(nn.Module):
    """For heads that learn no affinity: features of length 0."""

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        finest = pyramid[0]
        return finest.new_zeros(len(finest), 0, *finest.shape[-2:])


class PotentialAlone(nn.Module):
    """For potentials that are logits already."""

    def forward(self, potentials: Tensor, affinity: Tensor, existence: Tensor) -> Tensor:
        return potentials


def checked_head(head: PanopticHead, heads: Sequence[PanopticHead]) -> PanopticHead:
    """The head, if it is one of a network's `heads`.

    Raises: InputError where it is not.
    """
    if head not in get_args(PanopticHead):
        raise InputError(f"there is no head {head}; choose {' or '.join(heads)}.")
    if head not in heads:
        raise InputError(
            f"head {head} needs an affinity head, but this network was trained without one (model.panoptic in its settings); "
            f"choose {' or '.join(heads)}."
        )
    return head
