"""Cityscapes straight from its download: the images in leftImg8bit, the truth in gtFine. H x W pixels.

Of gtFine only the *_instanceIds.png are read. They hold all that a segment needs: a value of 1000 or more is an instance of the
label value // 1000; a smaller one is the label itself, stuff or, for a label that has instances, a group of them. *_labelIds.png
repeat these labels without the instances, so reading them too would cost a second decoding and could only disagree.
"""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unipan.choices import Merge
from unipan.classes import ClassTable
from unipan.data.cityscapes_labels import CITYSCAPES, LABEL_IDS
from unipan.data.cityscapes_layout import IMAGE_END, IMAGES, TRUTH, TRUTH_END, annotated_frames, check_layout
from unipan.data.coco import size_text
from unipan.errors import InputError
from unipan.files import file_facts
from unipan.ops.images import UNREADABLE, open_image, read_image
from unipan.ops.segments import Label, joined_stuff, panoptic_map, runs_of
from unipan.types import PanopticMap, Sample

INSTANCES_OF_A_LABEL = 1000
"""Instance n of a label is stored as label * 1000 + n."""
FIRST_WITH_INSTANCES = 24
"""Labels below have none."""
UNLABELLED_TRAIN_ID = 255
TRAIN_IDS = range(20)
"""19 classes from 0, or from 1 with 0 for unlabelled. They collide with label ids: a car, 13, would be taken for a fence."""
TRAIN_IDS_REMEDY = (
    "In train ids a car is 13 (14 where 0 is unlabelled), in label ids 26. Take the *_gtFine_instanceIds.png of "
    "gtFine_trainvaltest.zip, or say what each number stands for: unipan convert pairs."
)


class Cityscapes:
    """A split of the download, cities and frames in order. Image ids are CITY_SEQUENCE_FRAME, as the official tools write them.

    Segments bear the ids of the *_instanceIds.png. Groups of things are crowds; labels that are not evaluated are void.
    """

    def __init__(self, root: Path, split: str, *, merge: Merge, whole: bool = True) -> None:
        """merge: as in `CocoPanoptic`. whole: refuse a split where an image or a truth is alone, instead of leaving it out."""
        check_layout(root, split)
        self._images, self._truths, self._merge = root / IMAGES / split, root / TRUTH / split, merge
        self._frames, self.faults = annotated_frames(self._images, self._truths)
        if self.faults and (whole or not self._frames):
            raise InputError(self.faults[0])
        self.file_names = [f"{frame}{IMAGE_END}" for frame in self._frames]
        self._class_of = tuple(range(len(CITYSCAPES)))
        self.own_classes: int = len(CITYSCAPES)
        self.classes: ClassTable = CITYSCAPES
        if merge == "supercategory":
            self.classes, self._class_of = CITYSCAPES.merged_by_supercategory()

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int, /) -> Sample:
        image, truth = read_image(self._images / self.file_names[index]), self.truth_of(index)
        if image.shape[-2:] != truth.ids.shape:
            raise InputError(
                f"{self.file_names[index]} is {size_text(image)} but {self._truth_path(index).name} is {size_text(truth.ids)} "
                "(width x height); unpack both again from the download."
            )
        return Sample(image=image, truth=truth, image_id=self.id_of(index), file_name=self.file_names[index])

    def id_of(self, index: int, /) -> str:
        """A frame without its city."""
        return Path(self._frames[index]).name

    def truth_of(self, index: int, /) -> PanopticMap:
        """What the values of a frame's *_instanceIds.png stand for."""
        path = self._truth_path(index)
        ids = read_instance_ids(path)
        labels = [
            Label(label.id, self._class_of[label.class_index], label.is_crowd)
            for label in _labels(np.unique(runs_of(ids).ids), path)
        ]
        panoptic = panoptic_map(ids, labels, self.classes)
        return joined_stuff(panoptic, self.classes) if self._merge == "supercategory" else panoptic

    def labels(self, index: int) -> set[int]:
        """Every label of a frame, evaluated or not; none where its truth can't be read."""
        try:
            values = np.unique(read_instance_ids(self._truth_path(index)).numpy())
        except InputError:
            return set()
        return {value // INSTANCES_OF_A_LABEL or value for value in values.tolist()}

    def classes_of(self, index: int, /) -> set[int]:
        """The classes of a frame's segments, but for groups."""
        path = self._truth_path(index)
        labels = _labels(np.unique(runs_of(read_instance_ids(path)).ids), path)
        return {self._class_of[label.class_index] for label in labels if not label.is_crowd}

    def truth_facts(self) -> dict[str, Any]:
        """The split's truth files, in their order, by names and content."""
        total = hashlib.sha256()
        for index in range(len(self)):
            path, content = self._truth_path(index), ""
            with suppress(InputError):  # a file that can't be read has no content to tell; training and evaluation say so
                content = file_facts(path)["sha256"]
            total.update(f"{path.name} {content}\n".encode())
        return {"name": self._truths.name, "frames": len(self), "sha256": total.hexdigest()}

    def _truth_path(self, index: int) -> Path:
        return self._truths / f"{self._frames[index]}{TRUTH_END}"


def read_instance_ids(path: Path) -> Tensor:
    """The values of an *_instanceIds.png, (H, W) int32."""
    try:
        with open_image(path) as file:
            kind, mode = file.format, file.mode
            values = np.asarray(file)
    except UNREADABLE as error:
        raise InputError(f"cannot read {path}: {error}. Unpack it again from gtFine_trainvaltest.zip.") from error
    if kind != "PNG" or not mode.startswith("I"):
        raise InputError(
            f"{path} is a {kind} file of mode {mode}; Cityscapes' instance ids are PNG files with 16-bit gray values. "
            "Unpack it again from gtFine_trainvaltest.zip."
        )
    return torch.from_numpy(values.astype(np.int32))


def _labels(values: np.ndarray, path: Path) -> list[Label]:
    """What the values that occur stand for; those of labels that are not evaluated are left out, which makes them void."""
    labels = []
    for value in values.tolist():
        label_id = value // INSTANCES_OF_A_LABEL or value
        if is_train_id(value):
            raise InputError(f"{path} has the value {value}, which no label id is but a train id may be. {TRAIN_IDS_REMEDY}")
        if label_id not in LABEL_IDS:
            raise InputError(
                f"{path} has the value {value}, which stands for the label {label_id}; Cityscapes has {LABEL_IDS[0]} to "
                f"{LABEL_IDS[-1]}. Unpack it again from gtFine_trainvaltest.zip."
            )
        class_index = CITYSCAPES.index_of_dataset_id.get(label_id)
        if class_index is not None:
            is_group = CITYSCAPES[class_index].is_thing and value < INSTANCES_OF_A_LABEL
            labels.append(Label(value, class_index, is_group))
    return labels


def is_train_id(value: int) -> bool:
    """Whether a value must have been written in train ids: their 255 for unlabelled, or an instance of a label that has none."""
    return value == UNLABELLED_TRAIN_ID or INSTANCES_OF_A_LABEL <= value < FIRST_WITH_INSTANCES * INSTANCES_OF_A_LABEL


def may_be_train_ids(labels: Iterable[int]) -> bool:
    """Whether the labels of several frames may be train ids: no sky, no vegetation and no vehicle is among label ids so small."""
    return max(labels, default=TRAIN_IDS.stop) in TRAIN_IDS
