"""COCO's instance annotations with run lengths, which CVAT, FiftyOne and Datumaro read."""

from collections.abc import Iterable
from typing import Any

from unipan.data.coco_writer import Entry
from unipan.metrics.run_lengths import texts_of_segments


def to_coco_instances(entries: Iterable[Entry]) -> dict[str, Any]:
    """The JSON for images whose maps have one class table. Each segment, stuff too, is an annotation with a compressed RLE.

    An image whose id is a text gets its position, from 1, for one: the form knows numbers alone. Scores are a prediction's.
    """
    images, annotations, categories = [], list[dict[str, Any]](), list[dict[str, Any]]()
    for position, (image_id, name, panoptic) in enumerate(entries, start=1):
        number = image_id if isinstance(image_id, int) else position
        categories = categories or panoptic.classes.to_categories()
        height, width = panoptic.ids.shape
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        texts = texts_of_segments([(panoptic.ids.numpy(), [one.id for one in panoptic.segments])])[0]
        for one, text in zip(panoptic.segments, texts, strict=True):
            x1, y1, x2, y2 = one.box
            annotation = {
                "id": len(annotations) + 1,
                "image_id": number,
                "category_id": one.category_id,
                "segmentation": {"size": [height, width], "counts": text.decode()},
                "area": one.area,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "iscrowd": int(one.is_crowd),
                "score": one.score,
            }
            annotations.append(annotation)
    return {"images": images, "annotations": annotations, "categories": categories}
