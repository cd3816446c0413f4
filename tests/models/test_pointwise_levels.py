"""`model.deformable_from`: the finest pyramid levels go through a 1x1 convolution, the others through the blocks as before."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from unipan.classes import ClassTable
from unipan.config import ModelConfig
from unipan.errors import InputError
from unipan.models.feature_decoder import FeatureDecoder
from unipan.models.inherit import inherit
from unipan.models.network import PanopticNetwork
from unipan.presets import PRESETS
from unipan.types import Admission


def decoder_of(pointwise_levels: int = 0) -> FeatureDecoder:
    return FeatureDecoder(in_channels=8, channels=(64, 64), checkpointing=False, pointwise_levels=pointwise_levels)


def pyramid() -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(1, 8, 16 >> level, 24 >> level) for level in range(4)]


@pytest.mark.parametrize("finest", [1, 2, 3])
def test_coarse_levels_are_as_before_and_fine_ones_convolved_norm_relu(finest: int) -> None:
    torch.manual_seed(0)
    decoder, whole = decoder_of(finest), decoder_of()
    whole.load_state_dict({name: value for name, value in decoder.state_dict().items() if name.startswith("blocks.")})
    assert decoder.pointwise is not None
    convolution, norm = decoder.pointwise.convolution, decoder.pointwise.norm
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    levels = pyramid()
    found, expected = decoder(levels), whole(levels)
    assert all(torch.equal(one, other) for one, other in zip(found[finest:], expected[finest:], strict=True))
    for level, own in zip(levels[:finest], found[:finest], strict=True):
        product = torch.einsum("oi,bihw->bohw", convolution.weight[:, :, 0, 0], level)
        torch.testing.assert_close(own, F.group_norm(product, 32, norm.weight, norm.bias).relu(), rtol=1e-4, atol=1e-5)


def test_published_decoders_have_no_such_convolution() -> None:
    assert ModelConfig().deformable_from == 2
    assert not any("pointwise" in name for name in decoder_of().state_dict())


def test_a_decoder_without_blocks_leaves_fine_levels_too() -> None:
    """All blocks may be shared: the heads' own decoders then have none."""
    decoder, levels = FeatureDecoder(in_channels=8, channels=(), checkpointing=False, pointwise_levels=1), pyramid()
    assert list(decoder.parameters()) == []
    assert all(torch.equal(one, other) for one, other in zip(decoder(levels), levels, strict=True))


@pytest.mark.parametrize("shared", [0, 1])
def test_every_weight_learns_and_checkpointing_changes_nothing(
    small_network: Callable[..., PanopticNetwork], noise: Callable[..., Tensor], shared: int
) -> None:
    gradients = []
    for checkpointing in (False, True):
        settings = {"deformable_from": 3, "shared_blocks": shared, "decoder_channels": (16, 8)}
        network = small_network(checkpointing=checkpointing, **settings)
        outputs = network(noise(64, 96)[None], [(64, 96)], admission=Admission(0.0, 5))
        (outputs.panoptic[0].square().mean() + outputs.semantic[0].square().mean()).backward()
        named = network.named_parameters()
        gradients.append({name: own.grad for name, own in named if "decoder" in name and "offsets" not in name})
    without, with_it = gradients
    assert sum("pointwise" in name for name in without) == 3 * (2 + shared)
    for name, gradient in without.items():
        assert gradient is not None, name
        assert gradient.abs().sum() > 0, name
        torch.testing.assert_close(with_it[name], gradient, msg=name)


def test_a_run_with_whole_decoders_gives_its_blocks(small_network: Callable[..., PanopticNetwork], classes: ClassTable) -> None:
    given, network = small_network(), small_network(deformable_from=3)
    found = inherit(network, given.state_dict(), classes=classes, given_classes=classes, same_anchors=True)
    assert {layer.rpartition(".pointwise.")[0] for layer in found.left} == {"semantic_head.decoder", "affinity_head.decoder"}
    name = "affinity_head.decoder.blocks.0.weight"
    assert torch.equal(network.state_dict()[name], given.state_dict()[name])


@pytest.mark.parametrize("level", [1, 6])
def test_a_level_that_no_decoder_sees_is_refused(level: int) -> None:
    with pytest.raises(InputError, match=f"model.deformable_from is {level}; it takes a pyramid level, 2 to 5"):
        ModelConfig(deformable_from=level)


@pytest.mark.parametrize("published", ["cityscapes_r50", "coco_r50"])
def test_fast_presets_differ_by_three_settings(published: str) -> None:
    base = PRESETS[published]()
    detector = replace(base.model.detector, proposals=512)
    model = replace(base.model, deformable_from=3, shared_blocks=1, detector=detector)
    assert PRESETS[f"{published}_fast"]() == replace(base, model=model)
