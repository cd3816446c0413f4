"""Two decoders that have their first blocks in common are two decoders with equal first blocks, for less work."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from unipan.classes import ClassTable
from unipan.config import ModelConfig
from unipan.errors import InputError
from unipan.models.inherit import inherit
from unipan.models.network import PanopticNetwork
from unipan.types import Admission, Target

HEADS = ("semantic_head", "affinity_head")


def apart(name: str) -> list[str]:
    """What a tensor of a network that shares blocks is called in one with two whole decoders."""
    part, _, rest = name.partition(".")
    return [f"{head}.decoder.{rest}" for head in HEADS] if part == "shared_decoder" else [name]


def loss_and_gradients(network: PanopticNetwork, image: Tensor, target: Target) -> tuple[Tensor, dict[str, Tensor]]:
    size = (image.shape[-2], image.shape[-1])
    outputs = network(image[None], [size], [target], admission=Admission(0.0, 5))
    loss = outputs.panoptic[0].square().mean() + outputs.semantic[0].square().mean()
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("shared", [1, 2])
def test_the_answer_and_the_gradients_are_those_of_equal_decoders(
    small_network: Callable[..., PanopticNetwork],
    noise: Callable[..., Tensor],
    scene: Callable[..., Target],
    shared: int,
    checkpointing: bool,
) -> None:
    image, target = noise(64, 96), scene((64, 96), 0, [(1, (8, 8, 40, 40)), (3, (50, 20, 90, 60))])
    widths = {"decoder_channels": (16, 8)}
    one, two = small_network(shared_blocks=shared, checkpointing=checkpointing, **widths), small_network(**widths)
    two.load_state_dict({other: tensor for name, tensor in one.state_dict().items() for other in apart(name)})
    loss, gradients = loss_and_gradients(one, image, target)
    expected, of_two = loss_and_gradients(two, image, target)
    torch.testing.assert_close(loss, expected)
    for name, gradient in gradients.items():
        total = torch.stack([of_two[other] for other in apart(name)]).sum(0)
        torch.testing.assert_close(gradient, total, rtol=1e-4, atol=1e-6, msg=name)


def test_a_run_with_two_whole_decoders_gives_its_own_blocks(
    small_network: Callable[..., PanopticNetwork], classes: ClassTable
) -> None:
    """Only the shared block starts anew: a block has one name, whether those before it are shared or not."""
    widths = {"decoder_channels": (16, 16)}
    given, network = small_network(**widths), small_network(shared_blocks=1, **widths)
    found = inherit(network, given.state_dict(), classes=classes, given_classes=classes, same_anchors=True)
    assert {layer.partition(".")[0] for layer in found.left} == {"shared_decoder"}
    for head in HEADS:
        name = f"{head}.decoder.blocks.1.weight"
        assert torch.equal(network.state_dict()[name], given.state_dict()[name])


def test_there_are_no_more_blocks_to_share_than_there_are() -> None:
    with pytest.raises(InputError, match=r"model.shared_blocks is 3, but a decoder has 2 blocks"):
        ModelConfig(shared_blocks=3)
