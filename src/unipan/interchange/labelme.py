"""labelme's JSON, one for each image, to be opened beside it and corrected."""

from base64 import b64encode
from io import BytesIO
from typing import Any

from PIL import Image

from unipan.types import PanopticMap, Segment

VERSION = "5.5.0"
"""Of labelme, whose files have these fields; masks came with 5.2."""


def to_labelme(panoptic: PanopticMap, file_name: str) -> dict[str, Any]:
    """The JSON's content. file_name: the image's, from the JSON's folder. Shapes are masks: labelme's polygons have no holes."""
    height, width = panoptic.ids.shape
    return {
        "version": VERSION,
        "flags": {},
        "shapes": [_shape(panoptic, one) for one in panoptic.segments],
        "imagePath": file_name,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def _shape(panoptic: PanopticMap, segment: Segment) -> dict[str, Any]:
    """A mask as large as the box between its two points, of which the second is that of the last pixel."""
    x1, y1, x2, y2 = segment.box
    file = BytesIO()
    Image.fromarray((panoptic.ids[y1:y2, x1:x2] == segment.id).numpy()).save(file, "PNG")
    return {
        "label": segment.name,
        "shape_type": "mask",
        "points": [[x1, y1], [x2 - 1, y2 - 1]],
        "mask": b64encode(file.getvalue()).decode(),
        "group_id": None,
        "description": "",
        "flags": {"is_crowd": True} if segment.is_crowd else {},
    }
