"""Panoptic FPN's answer: finished instances and a finished semantic map, merged by rules. Nothing of it is learnt.

After Kirillov et al., Panoptic Feature Pyramid Networks (CVPR 2019), and Panoptic Segmentation (CVPR 2019).
C classes, S of them stuff; N detections of one image; H x W pixels.
"""

import torch
from torch import Tensor

from unipan.classes import ClassTable
from unipan.models.decode import class_inside_box, confident, map_of_channels, only
from unipan.ops.boxes import MASK_PROBABILITY, paste_masks
from unipan.types import Detections, PanopticMap

MAX_OVERLAP = 0.5
"""An instance is dropped when a larger share of its mask is taken by better ones (published)."""
MASK_FREE = "The heuristic merger has no masks here: an instance is the pixels of its class in its box."


def merge(
    semantic_logits: Tensor, detections: Detections, *, score_threshold: float, max_overlap: float, classes: ClassTable
) -> PanopticMap:
    """Instances of at least `score_threshold` go first, best first, each onto what is still free of its mask.

    An instance is dropped when more than `max_overlap` of its mask is taken. The pixels that are left go to their semantic class
    if it is stuff, else to nothing. Small stuff is not trimmed here, but where every decoder's is.

    semantic_logits: (C, H, W). detections: boxes in the same pixels; without masks, class and box stand for one.
    """
    found = confident(detections, score_threshold)
    best_class = semantic_logits.argmax(0)
    num_stuff, void = len(classes.stuff), len(classes.stuff) + len(found.scores)
    channel = torch.full_like(best_class, void)
    for position in range(len(found.scores)):  # a loop, because each instance takes what the ones before it left
        own = instance_pixels(only(found, position), best_class)
        free = channel == void
        kept = (own & ~free).sum() <= max_overlap * own.sum()
        channel = torch.where(own & free & kept, num_stuff + position, channel)
    channel_of_class = torch.full((len(classes),), void, device=channel.device)
    stuff = torch.tensor(classes.stuff, dtype=torch.int64, device=channel.device)
    channel_of_class[stuff] = torch.arange(num_stuff, device=channel.device)
    return map_of_channels(torch.where(channel == void, channel_of_class[best_class], channel), found, classes)


def instance_pixels(detection: Detections, best_class: Tensor) -> Tensor:
    """(H, W) bool: the mask of a single detection at full resolution, nothing outside its box."""
    if detection.mask_logits is None:
        return class_inside_box(detection, best_class)
    height, width = best_class.shape
    logits = detection.mask_logits.to(detection.boxes.dtype)
    return paste_masks(logits, detection.boxes, height, width, stride=1)[0] > MASK_PROBABILITY
