"""Which splits the doctor is to look at: below a folder in COCO's or Cityscapes' layout, or JSONs anywhere."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from unipan.data.cityscapes_layout import IMAGES, TRUTH
from unipan.data.coco_json import listing, refuse_instances
from unipan.data.image_paths import locate_images
from unipan.data.nearby import spelled
from unipan.errors import InputError
from unipan.tools.doctor.cityscapes import CATEGORIES, check_frame, frames
from unipan.tools.doctor.entries import LabelledImage, Listed, read_listed
from unipan.tools.doctor.faults import Kind
from unipan.tools.doctor.findings import Fault
from unipan.tools.doctor.images import ImageCheck, check_image
from unipan.tools.doctor.segments import Categories

UNREADABLE_SPLITS = ("test", "train_extra")
"""Cityscapes' splits without fine truth."""


@dataclass(frozen=True)
class CocoSplit:
    """A panoptic JSON with its folders."""

    name: str
    json_path: Path
    images_dir: Path
    png_dir: Path

    def read(self) -> Listed:
        """What the JSON lists, with the file names by which the files are found."""
        listed = read_listed(self.json_path)
        labelled, faults = list[LabelledImage](), list[Fault]()
        for image in listed.labelled:
            name, png = spelled(self.images_dir, image.file_name), spelled(self.png_dir, image.png_name)
            changed = [old for old, new in ((image.file_name, name), (image.png_name, png)) if old != new and "\\" in old]
            faults += [Fault(Kind.BACKSLASHES, listing(changed))] if changed else []
            labelled.append(replace(image, file_name=name, png_name=png))
        return replace(listed, labelled=labelled, faults=listed.faults + faults)


@dataclass(frozen=True)
class CityscapesSplit:
    """A split of Cityscapes' download."""

    name: str
    root: Path


Split = CocoSplit | CityscapesSplit


@dataclass(frozen=True)
class Opened:
    """A split, ready to be looked at image by image."""

    categories: Categories
    faults: list[Fault]
    """Of the JSON's entries."""
    checks: Sequence[Callable[[], ImageCheck]]


def find_splits(data: Sequence[Path], *, images: Sequence[Path], masks: Sequence[Path], names: Sequence[str]) -> list[Split]:
    """The splits of folders and JSONs, in the order given.

    images, masks: the folder of the images and of the PNGs, one for all JSONs or one each; none to find them by COCO's layout.
    names: of the splits found, those to keep; none keeps all.
    """
    if not data:
        raise InputError("name what the doctor is to look at: a data set's folder, or panoptic JSONs.")
    jsons = [path for given in data for path in (_below(given) if given.is_dir() else [given])]
    for option, folders in (("--images", images), ("--masks", masks)):
        if len(folders) not in (0, 1, len(jsons)):
            raise InputError(f"{option} names {len(folders)} folders for {len(jsons)} splits; give one for all, or one each.")
    found: list[Split] = []
    for index, path in enumerate(jsons):
        if path.is_dir():
            found += [CityscapesSplit(name, path) for name in _cityscapes_splits(path)]
        else:
            own_images, own_masks = (folders[min(index, len(folders) - 1)] if folders else None for folders in (images, masks))
            found.append(_coco_split(path, own_images, own_masks))
    known = [split.name for split in found]
    missing = [name for name in names if name not in known]
    if missing:
        raise InputError(f"there is no split {listing(missing)}; found: {listing(known)}.")
    kept = [split for split in found if not names or split.name in names]
    return _with_unique_names(kept)


def _below(folder: Path) -> list[Path]:
    """The JSONs of a folder in COCO's layout, train first; or the folder itself, where it is Cityscapes'."""
    if (folder / IMAGES).is_dir() and (folder / TRUTH).is_dir():
        return [folder]
    jsons = sorted((folder / "annotations").glob("panoptic_*.json"), key=lambda path: ("train" not in path.stem, path.stem))
    if not jsons:
        raise InputError(
            f"{folder.absolute()} holds neither annotations/panoptic_SPLIT.json (COCO's layout) nor {IMAGES}/ and {TRUTH}/ "
            "(Cityscapes'); name such a folder, or a panoptic JSON with --images."
        )
    return jsons


def _cityscapes_splits(root: Path) -> list[str]:
    names = sorted(path.name for path in (root / TRUTH).iterdir() if path.is_dir() and path.name not in UNREADABLE_SPLITS)
    if not names:
        raise InputError(f"{root / TRUTH} has no folder train or val; unpack gtFine_trainvaltest.zip in {root}.")
    return names


def _coco_split(json_path: Path, images: Path | None, masks: Path | None) -> CocoSplit:
    if not json_path.is_file():
        raise InputError(f"there is no file or folder {json_path.absolute()}; name a data set's folder or a panoptic JSON.")
    if json_path.suffix.lower() != ".json":
        raise InputError(f"{json_path} is no .json file; name a data set's folder or a panoptic JSON.")
    name = json_path.stem.removeprefix("panoptic_")
    masks = masks or json_path.with_suffix("")
    if not masks.is_dir():
        refuse_instances(json_path)
    derived = json_path.parents[json_path.parent.name == "annotations"] / name
    if images is None and derived == masks:
        raise InputError(f"name the folder with the images of {json_path} with --images.")
    images = images or derived
    for folder, what, option in ((images, "images", "--images"), (masks, "panoptic PNGs", "--masks")):
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder} with the {what} of {json_path.name}; name it with {option}.")
    return CocoSplit(name, json_path, images, masks)


def _with_unique_names(splits: list[Split]) -> list[Split]:
    """JSONs of one name in different folders are told apart by their paths."""
    names = [split.name for split in splits]
    return [
        CocoSplit(str(split.json_path), split.json_path, split.images_dir, split.png_dir)
        if isinstance(split, CocoSplit) and names.count(split.name) > 1
        else split
        for split in splits
    ]


def open_split(split: Split) -> Opened:
    """Read what a split lists; the images are opened later, one by one."""
    if isinstance(split, CityscapesSplit):
        checks = [partial(check_frame, split.root, split.name, frame) for frame in frames(split.root, split.name)]
        return Opened(CATEGORIES, [] if checks else [Fault(Kind.NOTHING_LABELLED, split.name)], checks)
    listed = split.read()
    paths = locate_images(split.images_dir, [image.file_name for image in listed.labelled])
    checks = [
        partial(
            check_image,
            image,
            listed.categories,
            images_dir=split.images_dir,
            paths=own_paths,
            png_dir=split.png_dir,
        )
        for image, own_paths in zip(listed.labelled, paths, strict=True)
    ]
    return Opened(listed.categories, listed.faults + _shared_pngs(listed.labelled), checks)


def _shared_pngs(images: Sequence[LabelledImage]) -> list[Fault]:
    """Images that name one PNG, which holds the labels of one of them at most."""
    first: dict[str, str] = {}
    pairs = [(image, first.setdefault(image.png_name, image.file_name)) for image in images]
    return [
        Fault(Kind.PNG_SHARED, f"{image.png_name} of {other} and {image.file_name}")
        for image, other in pairs
        if other != image.file_name  # one image listed twice is another fault
    ]
