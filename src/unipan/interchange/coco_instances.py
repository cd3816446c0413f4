"""COCO's instance annotations with run lengths, which CVAT, FiftyOne and Datumaro read."""

from collections.abc import Iterable, Sequence
from itertools import count, filterfalse
from typing import Any

from unipan.data.coco_writer import Entry
from unipan.metrics.run_lengths import texts_of_segments


def to_coco_instances(entries: Iterable[Entry]) -> dict[str, Any]:
    """The JSON for images whose maps have one class table. Each segment, stuff too, is an annotation with a compressed RLE.

    The form knows ids that are numbers alone: images whose id is a text get, in their order, the first from 1 that no
    other bears. Scores are a prediction's.
    """
    images, annotations, categories = list[dict[str, Any]](), list[dict[str, Any]](), list[dict[str, Any]]()
    for image_id, name, panoptic in entries:
        categories = categories or panoptic.classes.to_categories()
        height, width = panoptic.ids.shape
        images.append({"id": image_id, "file_name": name, "height": height, "width": width})
        texts = texts_of_segments([(panoptic.ids.numpy(), [one.id for one in panoptic.segments])])[0]
        for one, text in zip(panoptic.segments, texts, strict=True):
            x1, y1, x2, y2 = one.box
            annotation = {
                "id": len(annotations) + 1,
                "image_id": image_id,
                "category_id": one.category_id,
                "segmentation": {"size": [height, width], "counts": text.decode()},
                "area": one.area,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "iscrowd": int(one.is_crowd),
                "score": one.score,
            }
            annotations.append(annotation)
    numbers = _numbers([image["id"] for image in images])
    for image in images:
        image["id"] = numbers[image["id"]]
    for annotation in annotations:
        annotation["image_id"] = numbers[annotation["image_id"]]
    return {"images": images, "annotations": annotations, "categories": categories}


def _numbers(ids: Sequence[int | str]) -> dict[int | str, int]:
    free = filterfalse({*ids}.__contains__, count(1))
    return {id: id if isinstance(id, int) else next(free) for id in ids}
