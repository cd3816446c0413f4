"""Propagation with its learnt scales: dynamic potential and affinity features -> panoptic logits."""

from math import log

import torch
from torch import Tensor, nn

from unipan.config import Propagation
from unipan.ops.propagation import propagate

START_SCALE = 10.0
"""Psi holds probabilities; without a scale no softmax over it could be confident."""


class UnifiedHead(nn.Module):
    """logits = scale * propagate(Psi, Q) + residual_scale * Psi. Both scales are learnt and positive."""

    def __init__(self, *, form: Propagation, residual: bool) -> None:
        super().__init__()
        self.form: Propagation = form
        self.log_scale = nn.Parameter(torch.tensor(log(START_SCALE)))
        self.log_residual_scale = nn.Parameter(torch.tensor(log(START_SCALE))) if residual and form != "none" else None

    @property
    def scale(self) -> Tensor:
        """Factor of the propagated evidence."""
        return self.log_scale.exp()

    @property
    def residual_scale(self) -> Tensor:
        """Factor of the potential itself; 0 without a residual."""
        return torch.zeros_like(self.log_scale) if self.log_residual_scale is None else self.log_residual_scale.exp()

    def forward(self, potentials: Tensor, affinity: Tensor) -> Tensor:
        """potentials: (K, h, w); affinity: (D, h, w), one image's true cells only -> (K, h, w) logits."""
        evidence = propagate(potentials.flatten(1), affinity.flatten(1).T, self.form).view_as(potentials)
        logits = self.scale * evidence
        return logits if self.log_residual_scale is None else logits + self.residual_scale * potentials
