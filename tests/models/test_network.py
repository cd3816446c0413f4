"""What the network promises of its one forward pass, on random weights. B images, K = S + N channels, h x w cells."""

from collections.abc import Callable
from math import ceil

import pytest
import torch
from torch import Tensor

from unipan.choices import Variant
from unipan.errors import InputError
from unipan.models.network import PanopticNetwork
from unipan.types import Admission, Outputs, Target

EVERYTHING = Admission(0.0, 8)
NOTHING = Admission(2.0, 8)
SIZES = [(61, 75), (64, 96), (61, 75), (33, 34)]

Images = Callable[..., Tensor]
Scenes = Callable[..., Target]
Networks = Callable[..., PanopticNetwork]


def tensors(outputs: Outputs) -> list[Tensor]:
    """Everything but the losses, flat, in a fixed order."""
    lists = [*outputs[:1], *outputs[2:6], *([d[k] for d in outputs.detections] for k in range(4))]
    return [entry for entries in lists for entry in entries if entry is not None]


def truths(scene: Scenes) -> list[Target]:
    """Many things, one thing, none, and one of a single pixel."""
    many = [(1, (5, 5, 30, 25)), (3, (20, 10, 50, 60)), (1, (55, 40, 75, 61))]
    return [
        scene(SIZES[0], 0, many),
        scene(SIZES[1], 2, [(3, (40, 10, 90, 40))]),
        scene(SIZES[2], 4),
        scene(SIZES[3], 0, [(1, (7, 9, 8, 10))]),
    ]


def batch(noise: Images) -> Tensor:
    """One image of each of SIZES; what lies beyond them is noise, which nobody may look at."""
    images = noise(64, 96, seed=9).repeat(len(SIZES), 1, 1, 1)
    for position, (height, width) in enumerate(SIZES):
        images[position, :, :height, :width] = noise(height, width, seed=position)
    return images


@pytest.mark.parametrize(("masks", "variant"), [(False, "A"), (True, "A"), (True, "B"), (True, "C")])
def test_truth_and_mode_change_nothing_but_the_losses(
    small_network: Networks, noise: Images, scene: Scenes, masks: bool, variant: Variant
) -> None:
    network, images, targets = small_network(masks=masks, variant=variant), batch(noise), truths(scene)
    plain = network.eval()(images, SIZES, admission=EVERYTHING)
    assert all(len(detections.boxes) for detections in plain.detections)
    assert plain.detector_losses == {}
    for training in (False, True):
        network.train(training)
        assert network(images, SIZES, admission=EVERYTHING).detector_losses == {}
        taught = network(images, SIZES, targets, admission=EVERYTHING)
        assert ("mask" in taught.detector_losses) == masks
        assert all(torch.equal(a, b) for a, b in zip(tensors(taught), tensors(plain), strict=True))


@pytest.mark.parametrize("limit", [0, 3])
def test_masks_of_the_admitted_alone_give_the_same_answer(small_network: Networks, noise: Images, limit: int) -> None:
    """And the same gradients."""
    network, images = small_network(masks=True, variant="C").eval().double(), batch(noise).double()
    every = network(images, SIZES, admission=Admission(0.0, limit))
    few = network(images, SIZES, admission=Admission(0.0, limit, every_mask=False))
    assert all(found.mask_logits is None and len(found.boxes) > limit for found in few.detections)
    for one, other in zip(few.panoptic, every.panoptic, strict=True):
        torch.testing.assert_close(one, other)
    weights = [weight for name, weight in network.named_parameters() if "mask" in name] + list(network.fpn.parameters())
    totals = [torch.stack([x.square().sum() for x in found.panoptic]).sum() for found in (few, every)]
    gradients = [torch.autograd.grad(total, weights, allow_unused=True) for total in totals]
    assert any(one is not None and one.any() for one in gradients[0][:4]) == bool(limit), "masks are a part of the answer"
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(*(weights[0].new_zeros(1) if x is None else x for x in (one, other)))


@pytest.mark.parametrize("fpn_norm", [False, True])
def test_a_neighbour_changes_no_answer(small_network: Networks, noise: Images, fpn_norm: bool) -> None:
    network = small_network(variant="B", fpn_norm=fpn_norm)
    together = network(batch(noise), SIZES, admission=EVERYTHING)
    for position, size in enumerate(SIZES):
        alone = network(noise(*size, seed=position)[None], [size], admission=EVERYTHING)
        own = Outputs(*([entries[position]] for entries in together[:6]), {})  # type: ignore[call-arg]
        for mine, theirs in zip(tensors(own), tensors(alone), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_images_are_padded_with_what_the_backbone_takes_for_zero(small_network: Networks, noise: Images) -> None:
    """Its mean color: an image that brings such a border along gets the same features."""
    network = small_network()
    framed = network.backbone.mean.repeat(1, 64, 96)
    framed[:, :61, :75] = noise(61, 75)
    padded = network(noise(61, 75)[None], [(61, 75)], admission=NOTHING)
    brought = network(framed[None], [(64, 96)], admission=NOTHING)
    torch.testing.assert_close(padded.semantic[0], brought.semantic[0][:, :16, :19], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(padded.affinity[0], brought.affinity[0][:, :16, :19], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("void_channel", [False, True])
@pytest.mark.parametrize("admission", [EVERYTHING, NOTHING])
def test_shapes(small_network: Networks, noise: Images, admission: Admission, void_channel: bool) -> None:
    outputs = small_network(void_channel=void_channel)(batch(noise), SIZES, admission=admission)
    admitted = 0 if admission == NOTHING else 8
    for position, (height, width) in enumerate(SIZES):
        cells = (ceil(height / 4), ceil(width / 4))
        assert outputs.semantic[position].shape == (5, *cells)
        assert outputs.affinity[position].shape == (8, *cells)
        assert outputs.admitted[position].tolist() == list(range(admitted))
        assert outputs.potentials[position].shape == outputs.panoptic[position].shape == (3 + admitted + void_channel, *cells)
        found = outputs.detections[position]
        assert found.boxes.shape == (len(found.scores), 4)
        assert found.mask_logits is not None
        assert found.mask_logits.shape == (len(found.scores), 28, 28)
        assert set(found.labels.tolist()) <= {1, 3}
        assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
        assert found.boxes.min() >= 0
        assert (found.boxes <= torch.tensor([width, height, width, height])).all()


def test_only_the_best_over_the_threshold_are_admitted(small_network: Networks, noise: Images) -> None:
    network, image = small_network(), noise(64, 64)[None]
    scores = network(image, [(64, 64)], admission=NOTHING).detections[0].scores
    for threshold, limit, expected in [(scores[2].item(), 8, 3), (scores[2].item(), 2, 2), (0.0, 1, 1), (1.0, 8, 0)]:
        outputs = network(image, [(64, 64)], admission=Admission(threshold, limit))
        assert outputs.admitted[0].tolist() == list(range(expected))


@pytest.mark.parametrize("void_channel", [False, True])
@pytest.mark.parametrize("variant", ["A", "B", "C"])
def test_reordered_detections_reorder_their_channels(
    small_network: Networks, noise: Images, variant: Variant, void_channel: bool
) -> None:
    network = small_network(variant=variant, void_channel=void_channel)
    outputs = network(noise(61, 75)[None], [(61, 75)], admission=EVERYTHING)
    order = torch.tensor([3, 1, 7, 0, 2, 6, 5, 4])
    potentials = network.potential(outputs.semantic[0], outputs.detections[0].take(outputs.admitted[0][order]))
    channels = torch.cat([torch.arange(3), 3 + order, torch.arange(11, 11 + void_channel)])
    assert outputs.potentials[0][3:11].flatten(1).unique(dim=0).shape[0] == 8  # or the order could not be seen
    torch.testing.assert_close(potentials, outputs.potentials[0][channels])
    torch.testing.assert_close(
        network.panoptic_head(potentials, outputs.affinity[0], torch.zeros(0)), outputs.panoptic[0][channels]
    )


@pytest.mark.parametrize("fresh", [False, True])
def test_training_leaves_batch_norm_statistics_alone(small_network: Networks, noise: Images, scene: Scenes, fresh: bool) -> None:
    network = small_network() if fresh else small_network().train()
    assert network.training
    before = {name: value.clone() for name, value in network.named_buffers()}
    assert any(name.endswith("running_mean") for name in before)
    network(batch(noise), SIZES, truths(scene), admission=EVERYTHING)
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())


def test_images_smaller_than_stated_are_refused(small_network: Networks, noise: Images) -> None:
    for stated in [(65, 64), (64, 65)]:
        with pytest.raises(InputError, match="64x64"):
            small_network()(noise(64, 64)[None], [stated], admission=EVERYTHING)
