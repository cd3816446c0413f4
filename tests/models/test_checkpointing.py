"""Recomputing activations changes memory and time alone; fine-tuned batch norms do what they say."""

from collections.abc import Callable

import torch
from torch import Tensor

from unipan.models.network import PanopticNetwork
from unipan.types import Admission, Target


def losses_and_gradients(network: PanopticNetwork, image: Tensor, target: Target) -> tuple[Tensor, dict[str, Tensor]]:
    torch.manual_seed(1)
    size = (image.shape[-2], image.shape[-1])
    outputs = network.train()(image[None], [size], [target], admission=Admission(0.0, 5))
    total = outputs.panoptic[0].square().mean() + outputs.semantic[0].square().mean()
    total = total + sum(term.mean for term in outputs.detector_losses.values())
    total.backward()
    return total.detach(), {name: p.grad for name, p in network.named_parameters() if p.grad is not None}


def test_losses_and_gradients_are_the_same(
    small_network: Callable[..., PanopticNetwork], noise: Callable[..., Tensor], scene: Callable[..., Target]
) -> None:
    target = scene((64, 96), 0, [(1, (8, 8, 40, 40)), (3, (50, 20, 90, 60))])
    plain, recomputing = small_network(), small_network(checkpointing=True)
    calls = {"stage": 0, "decoder": 0}
    for network in (plain, recomputing):
        for name, module in (("stage", network.backbone.body.layer2), ("decoder", network.semantic_head.decoder.blocks)):
            module.register_forward_pre_hook(lambda *_, name=name: calls.update({name: calls[name] + 1}))  # type: ignore[union-attr]
    loss, gradients = losses_and_gradients(plain, noise(64, 96), target)
    assert calls == {"stage": 1, "decoder": 4}
    again, recomputed = losses_and_gradients(recomputing, noise(64, 96), target)
    assert calls == {"stage": 1 + 2, "decoder": 4 + 8}, "each runs a second time in the backward pass"
    assert torch.equal(loss, again)
    assert gradients.keys() == recomputed.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(recomputed[name], gradient, msg=name)


def test_prediction_recomputes_nothing(small_network: Callable[..., PanopticNetwork], noise: Callable[..., Tensor]) -> None:
    with torch.no_grad():
        one, other = (
            small_network(checkpointing=flag).eval()(noise(64, 64)[None], [(64, 64)], admission=Admission(0.0, 5))
            for flag in (False, True)
        )
    assert torch.equal(one.panoptic[0], other.panoptic[0])


def test_fine_tuned_statistics_move_in_training_mode_only(
    small_network: Callable[..., PanopticNetwork], noise: Callable[..., Tensor]
) -> None:
    for frozen in (True, False):
        backbone = small_network(freeze_batchnorm=frozen).backbone
        before = {name: tensor.clone() for name, tensor in backbone.state_dict().items() if "running_mean" in name}
        images = torch.stack([noise(64, 64, seed) for seed in range(2)])
        backbone.eval()(images)
        assert all(torch.equal(backbone.state_dict()[name], tensor) for name, tensor in before.items())
        backbone.train()(images)
        moved = [name for name, tensor in before.items() if not torch.equal(backbone.state_dict()[name], tensor)]
        assert len(moved) == (0 if frozen else len(before))
