"""What an evaluation keeps of an image, as JSON and back, digit for digit."""

from math import isnan, nan
from typing import Any

import numpy as np

from unipan.data.statistics import ImageStatistics
from unipan.errors import InputError
from unipan.metrics.average_precision import ImageInstances, Instances
from unipan.recipes.evaluation.image_scores import ImageRecord
from unipan.types import Size


def record_to_json(record: ImageRecord) -> dict[str, Any]:
    """Names as the record's; null for nan, and for instances where AP can't be measured."""
    instances = record.instances and {
        "size": [*record.instances.size],
        "true": _instances_to_json(record.instances.true),
        "found": _instances_to_json(record.instances.found),
    }
    pq = None if isnan(record.pq) else record.pq
    return record._asdict() | {"pq": pq, "instances": instances, "truth": record.truth._asdict()}


def record_from_json(value: Any) -> ImageRecord:
    """What `record_to_json` made. Raises: InputError for another form."""
    try:
        instances, truth, pq = value["instances"], value["truth"], value["pq"]
        return ImageRecord(
            name=value["name"],
            pq=nan if pq is None else float(pq),
            instances=instances
            and ImageInstances(
                _size(instances["size"]), _instances_from_json(instances["true"]), _instances_from_json(instances["found"])
            ),
            truth=ImageStatistics(
                size=_size(truth["size"]),
                thing_sides=tuple(truth["thing_sides"]),
                stuff_areas=tuple(truth["stuff_areas"]),
                thing_ratios=tuple(truth["thing_ratios"]),
            ),
            limits_reached=[*value["limits_reached"]],
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"the record of an image is damaged ({error!r}); count the part again.") from error


def _instances_to_json(instances: Instances) -> dict[str, Any]:
    masks = instances.masks and [text.decode("ascii") for text in instances.masks]
    return {**{name: getattr(instances, name).tolist() for name in Instances._fields[:4]}, "masks": masks}


def _instances_from_json(value: dict[str, Any]) -> Instances:
    return Instances(
        class_index=np.array(value["class_index"], dtype=np.int64),
        boxes=np.array(value["boxes"], dtype=np.float64).reshape(-1, 4),
        is_crowd=np.array(value["is_crowd"], dtype=bool),
        scores=np.array(value["scores"], dtype=np.float64),
        masks=value["masks"] and [text.encode("ascii") for text in value["masks"]],
    )


def _size(value: list[int]) -> Size:
    height, width = value
    return int(height), int(width)
