"""Cityscapes' download, image by image, in the COCO panoptic format."""

from collections.abc import Sequence
from pathlib import Path

from unipan.data.cityscapes import Cityscapes
from unipan.data.cityscapes_layout import IMAGES, TRUTH
from unipan.errors import InputError
from unipan.tools.convert.source import Converted


class CityscapesSource:
    """A split, with the numbers that the official createPanopticImgs writes.

    A segment's id is its value in *_instanceIds.png, an image's CITY_SEQUENCE_FRAME, a category's its label id; groups of things
    are crowds.
    """

    remarks: Sequence[str] = ()
    overlap_rule = "nobody: maps of one number a pixel can't overlap"
    clip = False

    def __init__(self, root: Path, split: str) -> None:
        self.samples = Cityscapes(root, split, merge="none", whole=False)
        self.classes, self.faults = self.samples.classes, self.samples.faults
        self.images_dir = root / IMAGES
        self.file_names = [f"{split}/{name}" for name in self.samples.file_names]

    def __getitem__(self, index: int, /) -> Converted:
        sample = self.samples[index]
        return Converted(
            image_id=sample.image_id,
            file_name=self.file_names[index],
            panoptic=sample.truth,
        )


def splits_with_truth(root: Path) -> list[str]:
    """Those of train and val that are unpacked."""
    found = [split for split in ("train", "val") if (root / IMAGES / split).is_dir() and (root / TRUTH / split).is_dir()]
    if not found:
        raise InputError(
            f"{root} has neither train nor val in both {IMAGES}/ and {TRUTH}/; name the folder into which "
            f"leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip were unpacked."
        )
    return found
