"""The doctor's look at Cityscapes as it is downloaded: no JSON, so what can be wrong are files, sizes, values and balance."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch

from unipan.classes import VOID_ID
from unipan.data.cityscapes import (
    IMAGE_END,
    IMAGES,
    INSTANCES_OF_A_LABEL,
    TRUTH,
    TRUTH_END,
    frames_below,
    is_train_id,
    may_be_train_ids,
    read_instance_ids,
)
from unipan.data.cityscapes_labels import CITYSCAPES, LABEL_IDS
from unipan.data.coco_json import listing
from unipan.errors import InputError
from unipan.ops.segments import places_of
from unipan.tools.doctor.entries import Picture
from unipan.tools.doctor.faults import Kind
from unipan.tools.doctor.findings import Fault
from unipan.tools.doctor.images import Look, check_ids, check_sizes, look_at_image
from unipan.tools.doctor.segments import Row

CATEGORIES = {info.dataset_id: info for info in CITYSCAPES.classes}


def frames(root: Path, split: str) -> list[str]:
    """CITY/CITY_SEQUENCE_FRAME of a split, whether picture and truth are both there or only one."""
    return sorted(frames_below(root / IMAGES / split, IMAGE_END) | frames_below(root / TRUTH / split, TRUTH_END))


def label_faults(labels: Collection[int]) -> list[Fault]:
    """What the evaluated labels of a whole split show."""
    if not may_be_train_ids(labels):
        return []
    return [Fault(Kind.PERHAPS_TRAIN_IDS, f"labels {listing(sorted(labels))}; no sky, no vegetation, no vehicle")]


def look_at_frame(root: Path, split: str, frame: str) -> Look:
    """Every fault of one frame."""
    picture = Picture(frame, f"{frame}{IMAGE_END}", f"{frame}{TRUTH_END}", (), None)
    look = Look(picture.file_name)
    image_size = look_at_image(look, root / IMAGES / split / picture.file_name)
    path = root / TRUTH / split / picture.png_name
    if not path.is_file():
        look.complain(Kind.PNG_MISSING, str(path), usable=False)
        return look
    try:
        values = read_instance_ids(path)
    except InputError as error:
        look.complain(Kind.PNG_UNREADABLE, str(error).split(". Unpack")[0], usable=False)
        return look
    check_sizes(look, picture, image_size, (values.shape[0], values.shape[1]))
    rows = _rows(look, np.unique(values.numpy()), picture.png_name)
    known = [row.id for row in rows]
    evaluated = torch.from_numpy(places_of(values.numpy().ravel(), known) < len(known)).view(values.shape)
    picture = Picture(frame, picture.file_name, picture.png_name, rows, None)
    check_ids(look, picture, torch.where(evaluated, values, VOID_ID), CATEGORIES)
    return look


def _rows(look: Look, values: np.ndarray, png_name: str) -> tuple[Row, ...]:
    """What the values stand for; labels that are not evaluated are void, and those that don't exist a fault."""
    rows = []
    for value in values.tolist():
        label = value // INSTANCES_OF_A_LABEL or value
        if label not in LABEL_IDS:
            look.complain(Kind.UNKNOWN_CATEGORY, f"{png_name}: value {value}, label {label}")
        elif is_train_id(value):
            look.complain(Kind.TRAIN_IDS, f"{png_name}: value {value}, an instance of label {label}, which has none")
        elif label in CATEGORIES:
            rows.append(Row(value, label, CATEGORIES[label].is_thing and value < INSTANCES_OF_A_LABEL, None, None))
    return tuple(rows)
