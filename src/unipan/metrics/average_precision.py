"""COCO's average precision of boxes and masks, by faster-coco-eval: the one file that knows this library (extra `coco`).

As COCO counts it: the mean over IoU thresholds from 0.5 to 0.95 and over the thing classes that occur in the truth, of at most
100 detections a class and image. A crowd forgives detections that lie in it and is never missed. Void is not forgiven: COCO's
truth knows none, so a detection on unlabelled pixels is a false positive.

H x W pixels of an image; C classes; N detections of an image, with masks of M x M points over their boxes.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from math import nan
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unipan.classes import ClassTable
from unipan.errors import InputError
from unipan.metrics.pasting import pasted_parts
from unipan.metrics.run_lengths import texts_of_masks, texts_of_segments
from unipan.types import Detections, PanopticMap, Segment, Size

MISSING = "AP is left out, as faster-coco-eval is not installed; add the extra: pip install 'unipan[coco]'."
MAX_DETECTIONS = 100
"""Of one class in one image (COCO's limit)."""


class Instances(NamedTuple):
    """The things of an image's truth, or its detections: n of them. Few objects, as an evaluation keeps those of all images."""

    class_index: NDArray[np.int64]  # (n,)
    boxes: NDArray[np.float64]  # (n, 4) x, y, width, height in the image's pixels
    is_crowd: NDArray[np.bool_]  # (n,)
    scores: NDArray[np.float64]  # (n,)
    masks: list[bytes] | None  # COCO's texts of run lengths; None in evaluations without masks


class ImageInstances(NamedTuple):
    """What AP needs to know of one image; an evaluation collects them in a list, and processes send them to each other."""

    size: Size
    true: Instances
    found: Instances


@dataclass(frozen=True, kw_only=True)
class AveragePrecision:
    """Fractions 0..1; nan where the truth holds no thing."""

    ap: float
    """Mean over IoU thresholds 0.5, 0.55, ..., 0.95 and over the thing classes that occur in the truth."""
    ap50: float
    """At an IoU of 0.5 alone."""
    ap75: float
    per_class: tuple[float, ...]
    """C entries, over all thresholds; nan for stuff and for things that the truth does not hold."""


@dataclass(frozen=True, kw_only=True)
class Precision:
    """COCO's average precision of the detections: all that the detector keeps, not only those that enter the answer."""

    box: AveragePrecision
    mask: AveragePrecision | None
    """None without masks."""


def is_available() -> bool:
    """Whether the library is installed."""
    return find_spec("faster_coco_eval") is not None


def instances_of(found: Sequence[Detections], true: Sequence[PanopticMap]) -> list[ImageInstances]:
    """Some images, with masks if the detections of all of them have some. They become run lengths at once: memory stays small.

    found: all detections of each, boxes in the image's pixels.
    """
    sizes = [(one.ids.shape[0], one.ids.shape[1]) for one in true]
    things = [[segment for segment in one.segments if segment.is_thing] for one in true]
    logits = [one.mask_logits for one in found if one.mask_logits is not None]
    true_masks: Sequence[list[bytes] | None] = [None] * len(found)
    found_masks = true_masks
    if found and len(logits) == len(found):
        true_masks = texts_of_segments([(one.ids.numpy(), [s.id for s in own]) for one, own in zip(true, things, strict=True)])
        found_masks = _texts_of_found(logits, [one.boxes for one in found], sizes)
    sides = zip(sizes, map(_true_instances, things, true_masks), map(_found_instances, found, found_masks), strict=True)
    return [ImageInstances(*side) for side in sides]


def average_precision(images: Sequence[ImageInstances], classes: ClassTable) -> Precision:
    """AP over all images, by the IoU of boxes and, where all images have them, by that of masks."""
    if not is_available():
        raise InputError(MISSING)
    masks = all(image.found.masks is not None for image in images)
    if not images or not classes.things:
        none = AveragePrecision(ap=nan, ap50=nan, ap75=nan, per_class=(nan,) * len(classes))
        return Precision(box=none, mask=none if masks else None)
    from faster_coco_eval.core.coco import COCO

    quiet = logging.getLogger(__name__).debug
    sizes = [{"id": image_id, "height": height, "width": width} for image_id, ((height, width), _, _) in enumerate(images, 1)]
    categories = [{"id": index + 1, "name": classes[index].name} for index in classes.things]
    annotations = _annotations([(image.size, image.true) for image in images])
    truth = COCO({"images": sizes, "categories": categories, "annotations": annotations}, print_function=quiet)
    found = truth.loadRes(_annotations([(image.size, image.found) for image in images]))
    return Precision(box=_of_kind(truth, found, classes, "bbox"), mask=_of_kind(truth, found, classes, "segm") if masks else None)


def _of_kind(truth: Any, found: Any, classes: ClassTable, kind: Literal["bbox", "segm"]) -> AveragePrecision:
    """The library's own evaluation of its own truth and detections, of all sizes."""
    from faster_coco_eval.core.faster_eval_api import COCOeval_faster

    evaluation = COCOeval_faster(truth, found, kind, print_function=logging.getLogger(__name__).debug)
    evaluation.params.maxDets = [MAX_DETECTIONS]
    # COCO counts a box of negative area in no size; a detection's area is always taken from its box, so masks allow such, too.
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0 if kind == "bbox" else -1e10, 1e10]], ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = np.asarray(evaluation.eval["precision"])[:, :, :, 0, 0]  # (thresholds, recalls, T); -1 for a class without truth
    by_class = dict(zip(classes.things, precision.mean((0, 1)).tolist(), strict=True))
    occurs = precision[0, 0] > -1

    def mean(values: NDArray[np.float64]) -> float:
        return float(values[..., occurs].mean()) if occurs.any() else nan

    return AveragePrecision(
        ap=mean(precision),
        ap50=mean(precision[0]),
        ap75=mean(precision[5]),
        per_class=tuple(by_class[index] if by_class.get(index, -1) >= 0 else nan for index in range(len(classes))),
    )


def _annotations(images: Sequence[tuple[Size, Instances]]) -> list[dict[str, Any]]:
    """The records as COCO's JSON has them, of one side of all images. Ids count from 1, as the library takes 0 for none."""
    entries: list[dict[str, Any]] = []
    for image_id, (size, instances) in enumerate(images, 1):
        plain = [values.tolist() for values in instances[:4]]
        for class_index, box, is_crowd, score, mask in zip(*plain, instances.masks or [None] * len(plain[0]), strict=True):
            entry = {
                "id": len(entries) + 1,
                "image_id": image_id,
                "category_id": class_index + 1,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": int(is_crowd),
                "score": score,
            }
            if mask is not None:
                entry["segmentation"] = {"size": size, "counts": mask}
            entries.append(entry)
    return entries


def _true_instances(things: Sequence[Segment], masks: list[bytes] | None) -> Instances:
    boxes = np.array([segment.box for segment in things], dtype=np.float64).reshape(-1, 4)
    return Instances(
        class_index=np.array([segment.class_index for segment in things], dtype=np.int64),
        boxes=_sides(boxes),
        is_crowd=np.array([segment.is_crowd for segment in things], dtype=bool),
        scores=np.ones(len(things)),
        masks=masks,
    )


def _texts_of_found(logits: Sequence[Tensor], boxes: Sequence[Tensor], sizes: Sequence[Size]) -> list[list[bytes]]:
    """The masks of some images' detections, all at once: what a call costs by itself, they share."""
    counts = [len(own) for own in boxes]
    all_logits, all_boxes = (torch.cat([own.detach().cpu().float() for own in of_images]) for of_images in (logits, boxes))
    own_sizes = np.repeat(np.array(sizes), counts, axis=0)
    texts: list[bytes] = [b""] * sum(counts)
    for positions, parts, first in pasted_parts(all_logits, all_boxes, own_sizes):
        for position, text in zip(positions.tolist(), texts_of_masks(parts, first, own_sizes[positions]), strict=True):
            texts[position] = text
    rest = iter(texts)
    return [list(islice(rest, count)) for count in counts]


def _found_instances(found: Detections, masks: list[bytes] | None) -> Instances:
    corners, scores, labels = (values.detach().cpu().numpy() for values in found[:3])
    return Instances(labels, _sides(corners.astype(np.float64)), np.zeros(len(corners), bool), scores.astype(np.float64), masks)


def _sides(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """x1, y1, x2, y2 to x, y, width, height: (n, 4)."""
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)
