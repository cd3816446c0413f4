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
from math import nan
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unipan.classes import ClassTable
from unipan.errors import InputError
from unipan.metrics.pasting import pasted_parts
from unipan.metrics.run_lengths import run_lengths
from unipan.types import Detections, PanopticMap, Size

MISSING = "AP is left out, as faster-coco-eval is not installed; add the extra: pip install 'unipan[coco]'."
MAX_DETECTIONS = 100
"""Of one class in one image (COCO's limit)."""


class Instance(NamedTuple):
    """A thing of the truth, or a detection, in the image's pixels. A plain record: processes send each other lists of them."""

    class_index: int
    box: tuple[float, float, float, float]  # x, y, width, height
    area: int  # pixels of a true thing; 0 for a detection
    mask: bytes | None  # COCO's compressed run lengths; None in evaluations without masks
    is_crowd: bool
    score: float


class ImageInstances(NamedTuple):
    """What AP needs to know of one image; an evaluation collects them in a list."""

    size: Size
    true: list[Instance]
    found: list[Instance]


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


def is_available() -> bool:
    """Whether the library is installed."""
    return find_spec("faster_coco_eval") is not None


def instances_of(found: Detections, true: PanopticMap) -> ImageInstances:
    """One image. found: all detections, boxes in the image's pixels. Masks become run lengths at once, so memory stays small."""
    height, width = true.ids.shape
    with_masks = found.mask_logits is not None
    return ImageInstances((height, width), _true_instances(true, with_masks), _found_instances(found, (height, width)))


def average_precision(images: Sequence[ImageInstances], classes: ClassTable, kind: Literal["box", "mask"]) -> AveragePrecision:
    """AP over all images. kind: by the IoU of boxes or of masks."""
    precision = _precision(images, classes, kind)  # (thresholds, recalls, T); -1 for a class without truth
    if precision is None:
        return AveragePrecision(ap=nan, ap50=nan, ap75=nan, per_class=(nan,) * len(classes))
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


def _precision(images: Sequence[ImageInstances], classes: ClassTable, kind: Literal["box", "mask"]) -> NDArray[np.float64] | None:
    """The library's own evaluation; None where there is nothing to evaluate. Ids count from 1, as it takes 0 for none."""
    if not is_available():
        raise InputError(MISSING)
    if not images or not classes.things:
        return None
    from faster_coco_eval.core.coco import COCO
    from faster_coco_eval.core.faster_eval_api import COCOeval_faster

    quiet = logging.getLogger(__name__).debug
    sizes = [{"id": number, "height": height, "width": width} for number, ((height, width), _, _) in enumerate(images, 1)]
    categories = [{"id": index + 1, "name": classes[index].name} for index in classes.things]
    truth = COCO(
        {"images": sizes, "categories": categories, "annotations": _annotations(images, "true", kind)}, print_function=quiet
    )
    evaluation = COCOeval_faster(
        truth, truth.loadRes(_annotations(images, "found", kind)), "bbox" if kind == "box" else "segm", print_function=quiet
    )
    evaluation.params.maxDets = [MAX_DETECTIONS]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    return np.asarray(evaluation.eval["precision"])[:, :, :, 0, 0]


def _annotations(
    images: Sequence[ImageInstances], side: Literal["true", "found"], kind: Literal["box", "mask"]
) -> list[dict[str, Any]]:
    """The records as COCO's JSON has them. By masks, no box is told: the library would take a detection's area from it."""
    entries: list[dict[str, Any]] = []
    for number, image in enumerate(images, 1):
        for instance in getattr(image, side):
            entry = {
                "id": len(entries) + 1,
                "image_id": number,
                "category_id": instance.class_index + 1,
                "area": instance.area,
                "iscrowd": int(instance.is_crowd),
                "score": instance.score,
            }
            if kind == "box":
                entry["bbox"] = list(instance.box)
            else:
                entry["segmentation"] = {"size": list(image.size), "counts": instance.mask}
            entries.append(entry)
    return entries


def _true_instances(true: PanopticMap, with_masks: bool) -> list[Instance]:
    ids, size = true.ids.numpy(), (true.ids.shape[0], true.ids.shape[1])
    instances = []
    for segment in true.segments:
        if segment.is_thing:
            x1, y1, x2, y2 = segment.box
            inside = ids[y1:y2, x1:x2] == segment.id
            area = int(inside.sum())  # never the stated one
            mask = _compressed(run_lengths(inside, (y1, x1), size), size) if with_masks else None
            box = (float(x1), float(y1), float(x2 - x1), float(y2 - y1))
            instances.append(Instance(segment.class_index, box, area, mask, segment.is_crowd, 1.0))
    return instances


def _found_instances(found: Detections, size: Size) -> list[Instance]:
    boxes, scores, labels = (values.detach().cpu() for values in found[:3])
    corners = boxes.double().tolist()
    masks: list[bytes | None] = [None] * len(corners)
    if found.mask_logits is not None:
        for place, part, corner in pasted_parts(found.mask_logits, boxes, size):
            masks[place] = _compressed(run_lengths(part, corner, size), size)
    return [
        Instance(label, (x1, y1, x2 - x1, y2 - y1), 0, mask, False, score)
        for (x1, y1, x2, y2), score, label, mask in zip(corners, scores.tolist(), labels.tolist(), masks, strict=True)
    ]


def _compressed(lengths: NDArray[np.int64], size: Size) -> bytes:
    """COCO's text of run lengths."""
    from faster_coco_eval.core.mask import frPyObjects

    height, width = size
    made = frPyObjects({"size": [height, width], "counts": lengths.tolist()}, height, width)
    assert isinstance(made, dict)
    return made["counts"]
