"""`supervision.Detections`: for its annotators, trackers and metrics."""

from typing import TYPE_CHECKING

import numpy as np

from unipan.errors import InputError
from unipan.types import PanopticMap

if TYPE_CHECKING:
    from supervision import Detections


def to_supervision(panoptic: PanopticMap) -> "Detections":
    """All n segments, stuff too: masks (n, H, W), boxes, scores, class indices; `data` has class names and segment ids.

    Things alone are `found[found.data["is_thing"]]`. Boxes end with the last pixel, as supervision's own of masks do.
    Needs the package supervision.
    """
    try:
        from supervision import Detections
    except ModuleNotFoundError as error:
        raise InputError("this needs the package supervision: pip install 'unipan[interchange]'.") from error
    segments, ids = panoptic.segments, np.array([one.id for one in panoptic.segments], dtype=np.int64)
    return Detections(
        xyxy=panoptic.boxes.numpy().astype(np.float32) - np.array([0, 0, 1, 1], dtype=np.float32),
        mask=panoptic.ids.numpy() == ids[:, None, None],
        confidence=np.array([one.score for one in segments], dtype=np.float32),
        class_id=np.array([one.class_index for one in segments], dtype=np.int64),
        data={
            "class_name": np.array([one.name for one in segments], dtype=np.str_),
            "segment_id": ids,
            "is_thing": np.array([one.is_thing for one in segments], dtype=bool),
            "is_crowd": np.array([one.is_crowd for one in segments], dtype=bool),
        },
    )
