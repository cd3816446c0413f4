"""Two decoders that have their first blocks in common are two decoders with equal first blocks, for less work."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from unipan.config import ModelConfig
from unipan.errors import InputError
from unipan.models.network import PanopticNetwork
from unipan.types import Admission, Target

HEADS = ("semantic_head", "affinity_head")


def apart(weights: dict[str, Tensor], shared: int) -> dict[str, Tensor]:
    """The weights of a network that shares blocks, as those of one with two whole decoders."""
    found = {}
    for name, tensor in weights.items():
        part, _, rest = name.partition(".")
        if part == "shared_decoder":
            found |= {f"{head}.decoder.{rest}": tensor for head in HEADS}
        elif part in HEADS and rest.startswith("decoder.blocks."):
            number, _, of_block = rest.removeprefix("decoder.blocks.").partition(".")
            found[f"{part}.decoder.blocks.{int(number) + shared}.{of_block}"] = tensor
        else:
            found[name] = tensor
    return found


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
    two.load_state_dict(apart(one.state_dict(), shared))
    loss, gradients = loss_and_gradients(one, image, target)
    expected, of_two = loss_and_gradients(two, image, target)
    torch.testing.assert_close(loss, expected)
    for name, gradient in gradients.items():
        sources = [f"{head}.decoder.{name.removeprefix('shared_decoder.')}" for head in HEADS]
        total = sum(of_two[source] for source in sources) if name.startswith("shared_decoder.") else None
        renamed = next(iter(apart({name: gradient}, shared)))
        torch.testing.assert_close(gradient, of_two[renamed] if total is None else total, rtol=1e-4, atol=1e-6, msg=name)


def test_there_are_no_more_blocks_to_share_than_there_are() -> None:
    with pytest.raises(InputError, match=r"model.shared_blocks is 3, but a decoder has 2 blocks"):
        ModelConfig(shared_blocks=3)
