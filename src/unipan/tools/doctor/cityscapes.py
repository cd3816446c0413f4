"""What is wrong with Cityscapes as it is downloaded: no JSON, so what can be wrong are files, sizes, values and balance."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch

from unipan.classes import VOID_ID
from unipan.data.cityscapes import INSTANCES_OF_A_LABEL, is_train_id, may_be_train_ids, read_instance_ids
from unipan.data.cityscapes_labels import CITYSCAPES, LABEL_IDS
from unipan.data.cityscapes_layout import IMAGE_END, IMAGES, TRUTH, TRUTH_END, frames_below
from unipan.data.coco_json import listing
from unipan.errors import InputError
from unipan.ops.id_lookup import indices_of
from unipan.tools.doctor.entries import LabelledImage
from unipan.tools.doctor.faults import Kind
from unipan.tools.doctor.findings import Fault
from unipan.tools.doctor.images import ImageCheck, check_ids, check_image_file, check_sizes
from unipan.tools.doctor.segments import ListedSegment

CATEGORIES = {info.dataset_id: info for info in CITYSCAPES.classes}


def frames(root: Path, split: str) -> list[str]:
    """CITY/CITY_SEQUENCE_FRAME of a split, whether image and truth are both there or only one."""
    return sorted(frames_below(root / IMAGES / split, IMAGE_END) | frames_below(root / TRUTH / split, TRUTH_END))


def label_faults(labels: Collection[int]) -> list[Fault]:
    """What the evaluated labels of a whole split show."""
    if not may_be_train_ids(labels):
        return []
    return [Fault(Kind.PERHAPS_TRAIN_IDS, f"labels {listing(sorted(labels))}; no sky, no vegetation, no vehicle")]


def check_frame(root: Path, split: str, frame: str) -> ImageCheck:
    """Every fault of one frame."""
    image = LabelledImage(frame, f"{frame}{IMAGE_END}", f"{frame}{TRUTH_END}", (), None)
    check = ImageCheck(image.file_name)
    image_size = check_image_file(check, root / IMAGES / split, image.file_name)
    path = root / TRUTH / split / image.png_name
    if not path.is_file():
        check.complain(Kind.PNG_MISSING, str(path), usable=False)
        return check
    try:
        values = read_instance_ids(path)
    except InputError as error:
        check.complain(Kind.PNG_UNREADABLE, str(error).split(". Unpack")[0], usable=False)
        return check
    check_sizes(check, image, image_size, (values.shape[0], values.shape[1]))
    listed = _listed_segments(check, np.unique(values.numpy()), image.png_name)
    known = [segment.id for segment in listed]
    evaluated = torch.from_numpy(indices_of(values.numpy().ravel(), known) < len(known)).view(values.shape)
    image = LabelledImage(frame, image.file_name, image.png_name, listed, None)
    check_ids(check, image, torch.where(evaluated, values, VOID_ID), CATEGORIES)
    return check


def _listed_segments(check: ImageCheck, values: np.ndarray, png_name: str) -> tuple[ListedSegment, ...]:
    """What the values stand for; labels that are not evaluated are void, and those that don't exist a fault."""
    listed = []
    for value in values.tolist():
        label = value // INSTANCES_OF_A_LABEL or value
        if is_train_id(value):
            check.complain(Kind.TRAIN_IDS, f"{png_name}: value {value}, which no label id is")
        elif label not in LABEL_IDS:
            check.complain(Kind.UNKNOWN_CATEGORY, f"{png_name}: value {value}, label {label}")
        elif label in CATEGORIES:
            listed.append(ListedSegment(value, label, CATEGORIES[label].is_thing and value < INSTANCES_OF_A_LABEL, None, None))
    return tuple(listed)
