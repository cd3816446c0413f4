"""The panoptic dictionary of transformers: what its image processors' `post_process_panoptic_segmentation` gives for an image."""

from typing import Any

import torch

from unipan.classes import VOID_ID, ClassTable
from unipan.errors import InputError
from unipan.ops.segments import Label, panoptic_map
from unipan.types import PanopticMap


def to_transformers(panoptic: PanopticMap) -> dict[str, Any]:
    """`segmentation`, (H, W) int32 ids with 0 for void, and `segments_info`, whose `label_id` is the class index.

    Stuff is what transformers calls fused: all of a class is one segment. `is_crowd` stands in the entries of crowds alone, since
    transformers knows none.
    """
    info = [
        {"id": one.id, "label_id": one.class_index, "was_fused": not one.is_thing, "score": one.score}
        | ({"is_crowd": True} if one.is_crowd else {})
        for one in panoptic.segments
    ]
    return {"segmentation": panoptic.ids.clone(), "segments_info": info}


def from_transformers(result: dict[str, Any], classes: ClassTable) -> PanopticMap:
    """The map of such a dictionary. classes: the model's, in the order of its label ids.

    Void are ids below 1, or below 0 where a segment has the id 0, as EoMT counts; all ids are greater by 1 then.

    Raises: InputError where its parts are missing, or a label id is not among the classes.
    """
    missing = [name for name in ("segmentation", "segments_info") if name not in result]
    if missing:
        raise InputError(
            f"the dictionary has no {' and no '.join(missing)}; give what post_process_panoptic_segmentation returns."
        )
    strange = [one["label_id"] for one in result["segments_info"] if not 0 <= one["label_id"] < len(classes)]
    if strange:
        raise InputError(f"label id {strange[0]} is none of {len(classes)} classes, counted from 0; give the model's classes.")
    shift = int(any(one["id"] == VOID_ID for one in result["segments_info"]))
    ids = (torch.as_tensor(result["segmentation"]).to("cpu", torch.int32) + shift).clamp(min=VOID_ID)
    found = {one["id"] + shift: one for one in result["segments_info"]}
    labels = [Label(id, one["label_id"], bool(one.get("is_crowd", False)), one.get("score", 1.0)) for id, one in found.items()]
    return panoptic_map(ids, labels, classes)
