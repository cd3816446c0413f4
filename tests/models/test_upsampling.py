"""Logits that reach pixels by learnt shares: what they start as, what they can learn, and that the answer uses them."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from unipan.classes import ClassTable
from unipan.config import ModelConfig
from unipan.models.build import build_upsampling
from unipan.models.decode import at_size, best_channel
from unipan.models.heads import answer_by
from unipan.models.network import PanopticNetwork
from unipan.models.upsampling import START, BilinearUpsampling, ConvexUpsampling, bilinear_shares
from unipan.ops.upsample import upsample_logits
from unipan.presets import as_panoptic_fpn, as_upsnet, demo
from unipan.types import Admission

Networks = Callable[..., PanopticNetwork]
EVERYTHING = Admission(0.0, 5)


def test_the_first_shares_are_nearly_bilinear(noise: Callable[..., Tensor]) -> None:
    images = noise(32, 64)[None]
    (weights,) = ConvexUpsampling(channels=16)(images, torch.randn(1, 16, 8, 16))
    assert weights.shape == (9, 16, 8, 16)
    bilinear = bilinear_shares()
    expected = (bilinear + START) / (1 + 9 * START)
    torch.testing.assert_close(weights, expected[:, :, None, None].expand_as(weights))
    cells = torch.randn(3, 8, 16)
    own = upsample_logits(cells, (32, 64), bilinear[:, :, None, None].expand_as(weights))
    torch.testing.assert_close(own, upsample_logits(cells, (32, 64)))


def test_an_outline_within_cells_is_learnt_from_the_image() -> None:
    """A slanting stripe of 3 px: cells that know no more than their share of it leave half of it out, and the image shows it."""
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    stripe = ((x - 0.6 * y - 10).abs() < 1.8) | ((y - 0.3 * x - 30).abs() < 1.8)
    share = F.avg_pool2d(stripe.float()[None, None], 4)[0, 0]
    logits = 4 * torch.stack([1 - share, share])
    upsampling = ConvexUpsampling(channels=16)
    images, finest = stripe.float().expand(1, 3, -1, -1), torch.zeros(1, 16, 16, 16)

    def overlap(pixels: Tensor) -> float:
        found = pixels.argmax(0) == 1
        return ((found & stripe).sum() / (found | stripe).sum()).item()

    bilinear = overlap(upsample_logits(logits, (64, 64)))
    optimizer = torch.optim.Adam(upsampling.parameters(), 0.01)
    for _ in range(60):
        pixels = upsample_logits(logits, (64, 64), upsampling(images, finest)[0])
        optimizer.zero_grad()
        F.cross_entropy(pixels[None], stripe.long()[None]).backward()
        optimizer.step()
    learnt = upsample_logits(logits, (64, 64), upsampling(images, finest)[0])
    assert overlap(learnt) > bilinear + 0.2


@pytest.mark.parametrize("size", [(64, 96), (90, 70), (45, 123)])
def test_the_answer_is_that_of_all_logits(small_network: Networks, noise: Callable[..., Tensor], size: tuple[int, int]) -> None:
    network = small_network(upsampling="convex", variant="B", void_channel=True)
    torch.nn.init.normal_(network.upsampling.shares.weight)  # pyright: ignore[reportAttributeAccessIssue]
    seen = (64, 96)
    with torch.no_grad():
        outputs = network(noise(*seen)[None], [seen], admission=EVERYTHING)
    logits, weights = outputs.panoptic[0].double(), outputs.upsampling[0]
    assert weights is not None
    expected = at_size(logits, seen, size, weights.double()).argmax(0).int()
    assert torch.equal(best_channel(logits, seen, size, weights.double()), expected)
    assert not torch.equal(expected, best_channel(logits, seen, size))


def test_the_merger_reads_the_semantic_map_as_the_answer_is_read(
    small_network: Networks, noise: Callable[..., Tensor], classes: ClassTable
) -> None:
    network, size = small_network(upsampling="convex"), (64, 96)
    torch.nn.init.normal_(network.upsampling.shares.weight)  # pyright: ignore[reportAttributeAccessIssue]
    nothing = Admission(1.1, 5)  # no detection: the merger's answer is the semantic map's, things' pixels void
    with torch.no_grad():
        outputs = network(noise(*size)[None], [size], admission=nothing)
    answer = answer_by("heuristic", outputs, nothing, network_size=size, size=size, classes=classes)
    stuff = torch.tensor(classes.stuff)
    for weights, same in ((outputs.upsampling[0], True), (None, False)):
        best = at_size(outputs.semantic[0], size, size, weights).argmax(0)
        drawn = [segment.id for segment in answer.segments]
        assert drawn
        expected = torch.isin(best, stuff)
        assert torch.equal(torch.isin(answer.ids, torch.tensor(drawn)), expected) == same


def test_the_published_baselines_are_bilinear(small_config: Callable[..., ModelConfig]) -> None:
    assert as_upsnet(demo()).model.upsampling == as_panoptic_fpn(demo()).model.upsampling == "bilinear"
    config = small_config(panoptic="heuristic", upsampling="convex", void_channel=False)
    assert isinstance(build_upsampling(config), BilinearUpsampling), "nothing would teach the shares"
    config = small_config(panoptic="upsnet", upsampling="convex", void_channel=True)
    assert isinstance(build_upsampling(config), ConvexUpsampling)


def test_a_run_without_it_gives_all_else(small_network: Networks, classes: ClassTable) -> None:
    given, network = small_network(), small_network(upsampling="convex")
    assert {name.partition(".")[0] for name in network.state_dict().keys() - given.state_dict().keys()} == {"upsampling"}
    assert given.state_dict().keys() <= network.state_dict().keys()
