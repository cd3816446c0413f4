"""Where Cityscapes' download has its images and truths, and what is wrong with a folder that is none."""

from pathlib import Path

from unipan.data.coco_json import listing
from unipan.data.image_paths import is_hidden
from unipan.errors import InputError

IMAGES, TRUTH = "leftImg8bit", "gtFine"
IMAGE_END, TRUTH_END = "_leftImg8bit.png", "_gtFine_instanceIds.png"


def frames_below(folder: Path, end: str) -> set[str]:
    """CITY/CITY_SEQUENCE_FRAME of each file CITY/*END in a split's folder that is data."""
    files = (path.relative_to(folder) for path in folder.glob(f"*/*{end}"))
    return {file.as_posix().removesuffix(end) for file in files if not any(map(is_hidden, file.parts))}


def annotated_frames(images: Path, truths: Path) -> tuple[list[str], list[str]]:
    """The split's frames with image and truth, by city and name; and a sentence for each folder that lacks some."""
    found, known = frames_below(images, IMAGE_END), frames_below(truths, TRUTH_END)
    if not found:
        raise InputError(f"{images} holds no CITY/*{IMAGE_END}; unpack leftImg8bit_trainvaltest.zip in {images.parents[1]}.")
    faults = []
    for folder, end, missing, archive in (
        (truths, TRUTH_END, found - known, "gtFine_trainvaltest.zip"),
        (images, IMAGE_END, known - found, "leftImg8bit_trainvaltest.zip"),
    ):
        if missing:
            first = listing(f"{frame}{end}" for frame in sorted(missing))
            faults.append(
                f"{folder} lacks {len(missing)} of the {len(found | known)} files that belong there: {first}. Unpack {archive} "
                "completely, or remove the files that have no partner."
            )
    return sorted(found & known), faults


def check_layout(root: Path, split: str) -> None:
    """A sentence for each way in which a root is commonly wrong."""
    root = root.absolute()  # the current folder where none is given: messages should say which
    wanted = f"data.root must be the folder that holds {IMAGES}/ and {TRUTH}/, each with train/ and val/"
    if split in ("test", "train_extra"):
        why = "the test images' truth is not public" if split == "test" else "train_extra has no fine truth, only coarse"
        raise InputError(f"Cityscapes' split {split} cannot be read: {why}. Choose train or val.")
    for above in root.parents[:2]:
        if not (root / IMAGES).is_dir() and (above / IMAGES).is_dir() and (above / TRUTH).is_dir():
            raise InputError(f"data.root is {root}, which lies inside Cityscapes; {wanted}: give {above}.")
    for name in (IMAGES, TRUTH):
        if not (root / name).is_dir():
            archives = sorted(path.name for path in root.glob(f"{name}*.zip"))
            remedy = (
                f"unpack {archives[0]} there" if archives else f"unpack {name}_trainvaltest.zip there, or name another folder"
            )
            raise InputError(f"there is no folder {root / name}; {wanted}: {remedy}.")
        if not (root / name / split).is_dir():
            splits = sorted(path.name for path in (root / name).iterdir() if path.is_dir())
            raise InputError(
                f"{root / name} has no split {split}; found: {listing(splits) or 'none'}. Unpack it, or choose another."
            )
