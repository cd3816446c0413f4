"""The head's scales, and the claim that it stands for: affinity mends what a box gets wrong."""

from typing import get_args

import pytest
import torch
from torch import Tensor

from unipan.choices import Propagation
from unipan.models.panoptic_head import EXISTS, FLOOR, GATE, UnifiedHead, channel_bias
from unipan.models.potential import dynamic_potential
from unipan.ops.propagation import propagate
from unipan.types import Detections

FORMS: tuple[Propagation, ...] = get_args(Propagation)
LEARNT: tuple[Propagation, ...] = ("dot", "pooled", "normalised", "softmax")


NONE = torch.zeros(0)
"""Existence that is not learnt."""


def unified(*, form: Propagation, residual: bool) -> UnifiedHead:
    return UnifiedHead(form=form, residual=residual, num_stuff=1, stuff_cells=0)


def ball_on_grass() -> Tensor:
    """Psi (2, 1, 8): grass in cells 0..3 and a ball in cells 4..7, whose box ends one cell too early.

    In the last cell the semantic map still says ball, but no channel may say so: grass wins there with 0.2 against 0.
    """
    ball = torch.tensor([0.1] * 4 + [0.8] * 4)
    probs = torch.stack([1 - ball, ball])[:, None]
    found = Detections(torch.tensor([[16.0, 0.0, 28.0, 4.0]]), torch.tensor([0.9]), torch.tensor([1]), None)
    return dynamic_potential(
        probs, found, stuff=torch.tensor([0]), things=torch.tensor([1]), variant="A", score_factor=True, void_channel=False
    )


def two_groups(size: float) -> Tensor:
    """Q (2, 1, 8): cells of one segment agree, cells of two segments are opposite."""
    side = torch.tensor([1.0] * 4 + [-1.0] * 4)
    return size * torch.stack([side, -side])[:, None]


def winners(logits: Tensor) -> str:
    return "".join("gb"[channel] for channel in logits.argmax(0)[0].tolist())


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("form", LEARNT)
def test_affinity_brings_a_pixel_outside_its_box_home(form: Propagation, residual: bool) -> None:
    psi, head = ball_on_grass(), unified(form=form, residual=residual)
    assert winners(psi) == "ggggbbbg"
    with torch.no_grad():
        assert head.log_scale is not None
        head.log_scale.fill_(30.0).log_()  # means of rows stay below 1 and have the floor's logarithm to overcome
    assert winners(head(psi, two_groups(4.0), NONE)) == "ggggbbbb"


@pytest.mark.parametrize("residual", [False, True])
def test_without_propagation_the_pixel_stays_wrong(residual: bool) -> None:
    assert winners(unified(form="none", residual=residual)(ball_on_grass(), two_groups(2.0), NONE)) == "ggggbbbg"


@pytest.mark.parametrize("form", LEARNT)
def test_affinity_that_knows_nothing_tells_no_cell_from_another(form: Propagation) -> None:
    psi = ball_on_grass()
    added = unified(form=form, residual=True)(psi, two_groups(0.0), NONE) - (psi + FLOOR).log()
    torch.testing.assert_close(added, added[..., :1].expand_as(added))


@pytest.mark.parametrize("form", FORMS)
def test_scales_start_at_ten_and_one(form: Propagation) -> None:
    head = unified(form=form, residual=True)
    torch.testing.assert_close(head.scale, torch.tensor(0.0 if form == "none" else 10.0))
    torch.testing.assert_close(head.unary_scale, torch.tensor(1.0))
    bare = unified(form=form, residual=False)
    assert [name for name, _ in bare.named_parameters()] == ["log_unary_scale" if form == "none" else "log_scale"]


def test_without_propagation_the_logits_are_the_logarithm_of_the_potential() -> None:
    """So their softmax is the potential's own share of all channels, but for the floor."""
    psi = ball_on_grass()
    shares = (psi + FLOOR) / (psi + FLOOR).sum(0)
    logits = unified(form="none", residual=True)(psi, two_groups(1.0), NONE)
    torch.testing.assert_close(logits.softmax(0), shares)


@pytest.mark.parametrize("form", LEARNT)
def test_each_part_has_its_own_scale(form: Propagation) -> None:
    psi, q = ball_on_grass(), two_groups(1.0)
    bare, head = unified(form=form, residual=False), unified(form=form, residual=True)
    evidence = bare(psi, q, NONE) / 10
    with torch.no_grad():
        for parameter, value in ((head.log_scale, 3.0), (head.log_unary_scale, 0.5)):
            assert parameter is not None
            parameter.fill_(value).log_()
    torch.testing.assert_close(head(psi, q, NONE), 3 * evidence + 0.5 * (psi + FLOOR).log())


@pytest.mark.parametrize("form", FORMS)
def test_scales_are_learnt(form: Propagation) -> None:
    head = unified(form=form, residual=True)
    head(ball_on_grass(), two_groups(1.0), NONE).square().sum().backward()
    assert all(p.grad is not None and p.grad != 0 for p in head.parameters())


@pytest.mark.parametrize("form", FORMS)
def test_no_channels(form: Propagation) -> None:
    head = UnifiedHead(form=form, residual=True, num_stuff=0, stuff_cells=0)
    assert head(torch.zeros(0, 3, 5), torch.ones(4, 3, 5), NONE).shape == (0, 3, 5)


@pytest.mark.parametrize("form", FORMS)
def test_existence_speaks_for_its_own_channel_alone(form: Propagation) -> None:
    """Grass, the ball, and a void channel, which no existence speaks of."""
    psi, q, existence = torch.cat([ball_on_grass(), torch.full((1, 1, 8), 0.1)]), two_groups(1.0), torch.tensor([-0.5])
    head = unified(form=form, residual=True)
    added = head(psi, q, existence) - head(psi, q, NONE)
    expected = torch.tensor([0.0, (GATE * (existence - EXISTS)).sigmoid().log().item(), 0.0])[:, None, None].expand_as(psi)
    torch.testing.assert_close(added, expected)


def test_a_gate_leaves_what_exists_and_takes_what_does_not() -> None:
    existence = torch.tensor([3.0, 0.5, -1.5], requires_grad=True)
    bias = channel_bias(existence, 1, 5)
    assert bias[[0, 4], 0, 0].tolist() == [0, 0]
    assert bias[1:3].min() > -1e-3
    assert bias[3] < -10
    assert not bias.requires_grad  # the existence learns from its own loss


def test_a_bias_of_channels_without_detections() -> None:
    assert torch.equal(channel_bias(NONE, 2, 3), torch.zeros(3, 1, 1))


def test_cells_are_together_as_far_as_affinity_gives_them_one_channel() -> None:
    psi, head = ball_on_grass(), unified(form="pooled", residual=True)
    with torch.no_grad():
        assert head.log_scale is not None
        head.log_scale.fill_(30.0).log_()
        together = head.together(psi, two_groups(4.0), NONE, torch.arange(8))
    assert torch.equal(together, together.T)
    of_one = torch.arange(8)[:, None] // 4 == torch.arange(8) // 4
    assert together[of_one].min() > 0.99, "also the ball's last cell, outside its box"
    assert together[~of_one].max() < 0.01


@pytest.mark.parametrize("form", LEARNT)
def test_together_by_hand(form: Propagation) -> None:
    """The sum over channels of both cells' shares; what is gated away takes no share."""
    generator = torch.Generator().manual_seed(0)
    psi, features = torch.rand(4, 3, 5, generator=generator), torch.randn(6, 3, 5, generator=generator)
    head, existence = unified(form=form, residual=True), torch.tensor([3.0, -9.0, 3.0])
    with torch.no_grad():
        together = head.together(psi, features, existence, torch.tensor([2, 14]))
        logits = 10 * propagate(psi.flatten(1), features.flatten(1).T, form)
    shares = logits[[0, 1, 3]].softmax(0)  # the second detection is gated by exp(-86)
    for row, cell in zip(together, (2, 14), strict=True):
        for other in range(15):
            assert row[other] == pytest.approx(float((shares[:, cell] * shares[:, other]).sum()), abs=1e-5)


def fading(stuff_cells: float) -> UnifiedHead:
    return UnifiedHead(form="pooled", residual=False, num_stuff=2, stuff_cells=stuff_cells)


def test_stuff_that_is_hardly_there_has_little_say() -> None:
    """Grass holds 6 cells, water a tenth of one, a ball 2: water keeps a fortieth of its evidence, the others all."""
    psi = torch.tensor([[0.75] * 8, [0.0125] * 8, [0.25] * 8])[:, None]
    features = torch.randn(5, 1, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole, faded = (fading(cells)(psi, features, NONE) for cells in (0.0, 4.0))
    assert torch.equal(whole[0], faded[0])
    assert torch.equal(whole[2], faded[2]), "things are small and still there"
    torch.testing.assert_close(faded[1], whole[1] / 40)


def test_a_class_that_is_absent_no_longer_takes_pixels() -> None:
    """Cells of one feature: means make a trace of water the equal of a field of grass; by what they hold grass is ahead."""
    psi = torch.tensor([[0.98] * 8, [0.02] * 8])[:, None]
    features = torch.ones(4, 1, 8)
    with torch.no_grad():
        even, ahead = (fading(cells)(psi, features, NONE) for cells in (0.0, 4.0))
    torch.testing.assert_close(even[0], even[1])
    assert (ahead[0] > ahead[1] + 10).all()
