"""The panoptic head's losses, at image resolution.

S stuff classes, N admitted detections, G true things of one image; K = S + N channels, + 1 with the void channel, the last.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from unipan.classes import VOID
from unipan.losses.detection_matching import match_detections
from unipan.losses.pixels import IGNORE, pixel_cross_entropy, pixel_lovasz
from unipan.ops.upsample import upsample_logits
from unipan.terms import Term, add_terms
from unipan.types import Outputs, Target


def panoptic_truth(target: Target, boxes: Tensor, labels: Tensor, *, stuff: Sequence[int], void_channel: bool) -> Tensor:
    """The channel that each pixel should choose, (H, W) int64, or IGNORE.

    boxes (N, 4), labels (N,): the admitted detections. stuff: the class indices of the first S channels.
    A stuff pixel goes to its class, a thing's pixel to the detection that is matched to it; things without one go to the void
    channel or, where there is no such channel, are ignored. Crowds and void are ignored.
    """
    num_stuff, num_detections, num_true = len(stuff), len(boxes), len(target.boxes)
    device = target.semantic.device
    channel_of_class = torch.full((VOID + 1,), IGNORE, device=device)
    channel_of_class[torch.tensor(stuff, dtype=torch.int64, device=device)] = torch.arange(num_stuff, device=device)

    unmatched = num_stuff + num_detections if void_channel else IGNORE
    channel_of_thing = torch.full((num_true + 1,), unmatched, device=device)  # the last entry takes what matched nothing
    true_index = match_detections(boxes, labels, target)
    true_index = true_index.where(true_index >= 0, num_true)
    channel_of_thing[true_index] = num_stuff + torch.arange(num_detections, device=device)

    instances = target.instances.long()
    return torch.where(instances >= 0, channel_of_thing[instances], channel_of_class[target.semantic.long()])


def panoptic_terms(
    outputs: Outputs, targets: Sequence[Target], *, stuff: Sequence[int], void_channel: bool, cross_entropy: bool, lovasz: bool
) -> dict[str, Term]:
    """The terms that are switched on: "panoptic" (over pixels) and "panoptic_lovasz" (over images, whose channels differ)."""
    if not (cross_entropy or lovasz):
        return {}
    parts: list[dict[str, Term]] = []
    images = zip(outputs.panoptic, outputs.detections, outputs.admitted, outputs.upsampling, targets, strict=True)
    for cells, detections, admitted, weights, target in images:
        boxes, labels = detections.boxes[admitted], detections.labels[admitted]
        num_channels = len(stuff) + len(boxes) + void_channel
        assert len(cells) == num_channels, f"{len(cells)} panoptic channels came, but the detections make {num_channels}"
        channels = panoptic_truth(target, boxes, labels, stuff=stuff, void_channel=void_channel)
        logits = upsample_logits(cells, channels.shape, weights)
        if cross_entropy:
            parts.append({"panoptic": pixel_cross_entropy(logits, channels)})
        if lovasz:
            parts.append({"panoptic_lovasz": pixel_lovasz([logits], [channels])})
    return add_terms(parts)
