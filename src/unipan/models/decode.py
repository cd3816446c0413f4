"""From what the network predicts to the answer. Here the unified way: logits to pixels, arg max, and nothing after it.

And what it shares with the baselines (`heuristic.py`, `upsnet.py`), which decode the same outputs.

K channels: S stuff, N detections, and void if the network has it; h x w cells at stride 4; H x W pixels.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from unipan.classes import VOID_ID, ClassTable
from unipan.ops.argmax import resized_argmax, upsampled_argmax
from unipan.ops.boxes import coverage
from unipan.ops.convex_argmax import convex_argmax, resized_convex_argmax
from unipan.ops.precision import full_precision
from unipan.ops.segments import Label, panoptic_map
from unipan.ops.upsample import upsample_logits
from unipan.types import Detections, PanopticMap, Size


def decode(
    panoptic_logits: Tensor,
    admitted: Detections,
    upsampling: Tensor | None = None,
    *,
    network_size: Size,
    size: Size,
    classes: ClassTable,
) -> PanopticMap:
    """The answer at `size`, the image's own; `network_size` is what the network saw, before its padding.

    panoptic_logits: (K, h, w). admitted: the N detections of the thing channels, in order. A channel past them is void.
    upsampling: how the logits get to pixels, as in `Outputs`.
    """
    return map_of_channels(best_channel(panoptic_logits, network_size, size, upsampling), admitted, classes)


def map_of_channels(channel: Tensor, detections: Detections, classes: ClassTable) -> PanopticMap:
    """The answer in which each pixel belongs to its channel, (H, W) integers, by the ids of `ids_of_channels`."""
    labels = labels_of_channels(detections, classes)
    return panoptic_map(ids_of_channels(channel, len(labels)).cpu(), labels, classes)


def labels_of_channels(detections: Detections, classes: ClassTable) -> list[Label]:
    """What the S + N channels stand for, in their order."""
    scores, labels = detections.scores.tolist(), detections.labels.tolist()
    stuff = [Label(id=k + 1, class_index=index) for k, index in enumerate(classes.stuff)]
    things = [
        Label(id=len(stuff) + n + 1, class_index=label, score=score)
        for n, (label, score) in enumerate(zip(labels, scores, strict=True))
    ]
    return stuff + things


def ids_of_channels(channel: Tensor, num_channels: int) -> Tensor:
    """(H, W) int32 ids: channel k gets id k + 1, one past the S + N channels, `num_channels`, is void."""
    return torch.where(channel < num_channels, channel + 1, VOID_ID).to(torch.int32)


def channels_of(ids: NDArray[np.integer], *, void: int) -> NDArray[np.integer]:
    """From which channels `ids_of_channels` made ids. void: the channel past the others."""
    return np.where(ids == VOID_ID, void, ids - 1)


def best_channel(logits: Tensor, network_size: Size, size: Size, upsampling: Tensor | None = None) -> Tensor:
    """(H, W) int32: the first of the highest channels of `at_size`; K where nothing could be chosen."""
    if not len(logits):
        return torch.zeros(size, dtype=torch.int32, device=logits.device)
    logits = full_precision(logits)
    if upsampling is not None:
        weights = upsampling.to(logits.dtype)
        if network_size == size:
            return convex_argmax(logits, weights, size)
        return resized_convex_argmax(logits, weights, network_size, size)
    return upsampled_argmax(logits, size) if network_size == size else resized_argmax(logits, network_size, size)


def at_size(logits: Tensor, network_size: Size, size: Size, upsampling: Tensor | None = None) -> Tensor:
    """(K, h, w) -> (K, H, W): from cells to the network's pixels as in training, then bilinearly to the image's."""
    pixels = upsample_logits(logits, network_size, upsampling)
    if network_size == size:
        return pixels
    return F.interpolate(pixels[None], size, mode="bilinear", align_corners=False)[0]


def in_image(detections: Detections, network_size: Size, size: Size) -> Detections:
    """The same detections, with boxes in the image's pixels instead of the network's."""
    (from_height, from_width), (height, width) = network_size, size
    factors = [width / from_width, height / from_height] * 2
    return detections._replace(
        boxes=detections.boxes * detections.boxes.new_tensor(factors),
        image_size=torch.tensor(size, device=detections.boxes.device),
    )


def confident(detections: Detections, score_threshold: float) -> Detections:
    """Those with a score of at least the threshold, best first; of equal ones the earlier first."""
    scores, order = detections.scores.sort(descending=True, stable=True)
    return detections.take(order[scores >= score_threshold])


def only(detections: Detections, position: int) -> Detections:
    """The one detection at `position`, still as a list."""
    return detections.take(torch.tensor([position], device=detections.labels.device))


def class_inside_box(detection: Detections, best_class: Tensor) -> Tensor:
    """(H, W) bool, what stands for the mask of a single detection without one: the pixels of its class in its box.

    best_class: (H, W) arg max of the semantic map. A pixel is in the box that covers half of it or more.
    """
    height, width = best_class.shape
    return (coverage(detection.boxes, height, width, stride=1)[0] >= 0.5) & (best_class == detection.labels)
