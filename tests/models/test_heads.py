"""What the affinity says of regions, against the propagation of one region after the other."""

import numpy as np
import pytest
import torch

from unipan.choices import Propagation
from unipan.models.heads import claims_of
from unipan.models.panoptic_head import EXISTS, UnifiedHead
from unipan.ops.propagation import propagate
from unipan.types import Detections, Outputs

CELLS, SIZE, SEEN = (4, 6), (8, 12), (16, 24)
"""Cells of four pixels of what the network saw, which was twice the image."""


def predicted(existence: torch.Tensor) -> Outputs:
    """Two stuff channels and two things over noise."""
    random = torch.Generator().manual_seed(0)
    potentials = torch.rand(4, *CELLS, generator=random)
    affinity = torch.randn(5, *CELLS, generator=random)
    none = Detections(torch.zeros(2, 4), torch.ones(2), torch.zeros(2, dtype=torch.int64))
    return Outputs([], [none], [torch.arange(2)], [potentials], [affinity], [], {}, [existence])


@pytest.mark.parametrize("form", ["pooled", "normalised", "none"])
def test_claims_are_the_softmax_of_a_regions_mean_evidence(form: Propagation) -> None:
    head = UnifiedHead(form=form, residual=True, num_stuff=2, stuff_cells=0)
    outputs = predicted(torch.zeros(0))
    regions = np.random.default_rng(0).integers(0, 4, SIZE).repeat(1, 0)
    regions[:2, :2] = 3  # R: of none
    claims = claims_of(head, outputs, SEEN, regions, 3)
    assert claims.shape == (3, 4)
    evidence = propagate(outputs.potentials[0].flatten(1), outputs.affinity[0].flatten(1).T, form).view(4, *CELLS)
    for region in range(3):
        cells = [(y, x) for y in range(4) for x in range(6) if regions[2 * y + 1, 2 * x + 1] == region]  # a cell's middle
        mean = torch.stack([evidence[:, y, x] for y, x in cells]).mean(0)
        assert claims[region] == pytest.approx((head.scale * mean).softmax(0).detach().numpy(), rel=1e-5)
    if form == "none":
        assert claims == pytest.approx(0.25), "an affinity that is not used tells nothing"


def test_a_region_without_a_cell_is_a_part_of_nothing() -> None:
    head = UnifiedHead(form="pooled", residual=True, num_stuff=2, stuff_cells=0)
    regions = np.full(SIZE, 2)
    regions[0, 0] = 0
    regions[1, 1] = 1
    claims = claims_of(head, predicted(torch.zeros(0)), SEEN, regions, 2)
    assert claims[0].tolist() == [0] * 4
    assert claims[1].sum() == pytest.approx(1)


def test_a_thing_that_hardly_exists_claims_little() -> None:
    head = UnifiedHead(form="pooled", residual=True, num_stuff=2, stuff_cells=0)
    regions = np.zeros(SIZE, dtype=np.int64)
    claims = claims_of(head, predicted(torch.tensor([EXISTS + 5, EXISTS - 5])), SEEN, regions, 1)[0]
    assert claims[3] < 1e-6 < claims[2]


def test_a_region_that_looks_like_a_thing_is_claimed_by_it() -> None:
    """Two things whose features are orthogonal, and a region that lies where neither has potential."""
    potentials = torch.zeros(3, *CELLS)
    potentials[1, :, :2] = potentials[2, :, 2:4] = 1
    affinity = torch.zeros(2, *CELLS)
    affinity[0, :, :2] = affinity[1, :, 2:] = 3
    outputs = predicted(torch.zeros(0))._replace(potentials=[potentials], affinity=[affinity])
    regions = np.ones(SIZE, dtype=np.int64)
    regions[:, 8:] = 0
    claims = claims_of(UnifiedHead(form="pooled", residual=True, num_stuff=1, stuff_cells=0), outputs, SEEN, regions, 1)[0]
    assert claims[2] > 0.99
