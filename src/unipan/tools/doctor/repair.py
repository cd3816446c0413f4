"""`unipan doctor --fix`: a mended copy of the labels, never in place. Images are not copied: the copy names the same ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any

from unipan.console import counted
from unipan.data.coco_json import listing
from unipan.data.coco_writer import Entry, write_entry
from unipan.errors import InputError, plural
from unipan.files import check_here, remove_if_empty, write_json
from unipan.tools.doctor.entries import LabelledImage
from unipan.tools.doctor.examine import Diagnosis, in_threads
from unipan.tools.doctor.id_forms import read_ids
from unipan.tools.doctor.relabel import relabelled
from unipan.tools.doctor.segments import Categories
from unipan.tools.doctor.severity import Severity
from unipan.tools.doctor.splits import CityscapesSplit, CocoSplit, Split


@dataclass(frozen=True)
class Copy:
    """One split's copy."""

    split: CocoSplit
    """Where it is."""
    kept: int
    """Images."""
    left_out: int
    """Images that have a label, but can't be trained on."""


def check_target(splits: Sequence[Split], out: Path) -> None:
    """Refuse, before anything long begins, what could not be mended or would overwrite something."""
    check_here(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out} exists and is not empty; the mended copy needs a folder of its own.")
    if reason := _of_splits(splits):
        raise InputError(reason)


def why_no_copy(diagnosis: Diagnosis) -> str:
    """What keeps `fix` from writing a copy, and what to do about it; empty where nothing does."""
    if reason := _of_splits(diagnosis.splits):
        return reason
    stuck = [f for f in diagnosis.findings if f.kind.severity is Severity.ERROR and not f.kind.fix]
    if stuck:
        what = "; ".join(f"{finding.kind.title}, first {finding.first[0]}" for finding in stuck)
        return f"--fix can't guess how to mend this: {what}. {stuck[0].kind.remedy}"
    empty = [b.name for b in diagnosis.balances if b.listed == len(diagnosis.unusable[b.name])]
    if empty:
        return f"no image of {listing(empty)} can be used, so a copy would be empty; mend the errors that the report names first."
    return ""


def _of_splits(splits: Sequence[Split]) -> str:
    """`why_no_copy`, as far as it is known before an image is read."""
    if of_cityscapes(splits):
        return "--fix mends the COCO panoptic format; bring Cityscapes into it first: unipan convert cityscapes."
    targets = [_target(split) for split in splits if isinstance(split, CocoSplit)]
    twice = [target for target in targets if targets.count(target) > 1]
    return f"two splits would both become {twice[0]}; mend them one after the other, each with its own --out." if twice else ""


def of_cityscapes(splits: Sequence[Split]) -> bool:
    """Whether any is of Cityscapes, whose files `--fix` does not write."""
    return any(isinstance(split, CityscapesSplit) for split in splits)


def fix(diagnosis: Diagnosis, out: Path) -> list[Copy]:
    """Write OUT/annotations/panoptic_SPLIT.json and its PNGs for each split, the JSON last. What needs judgement is refused.

    If anything fails, nothing of it stays.
    """
    if reason := why_no_copy(diagnosis):
        raise InputError(f"{reason} Nothing was written.")
    splits = [split for split in diagnosis.splits if isinstance(split, CocoSplit)]
    folder, anew = out / "annotations", not out.exists()
    if folder.exists():
        raise InputError(f"{folder} is there already; the mended copy needs a folder of its own.")
    try:
        return [_fix_split(split, diagnosis.unusable[split.name], out) for split in splits]
    except BaseException:  # an interruption too: of several splits all are written, or none
        rmtree(folder, ignore_errors=True)
        if anew:
            remove_if_empty(out)
        raise


def _target(split: CocoSplit) -> Path:
    """Below the copy's folder."""
    name = Path(split.name).stem.removeprefix("panoptic_") if split.name == str(split.json_path) else split.name
    return Path("annotations", f"panoptic_{name}.json")


def _fix_split(split: CocoSplit, unusable: set[int], out: Path) -> Copy:
    listed = split.read()
    labelled = [image for index, image in enumerate(listed.labelled) if index not in unusable]
    target = out / _target(split)
    folder = target.with_suffix("")
    jobs = [
        partial(_copy_image, image, png_name, split.png_dir, folder, listed.categories)
        for image, png_name in zip(labelled, _png_names(labelled), strict=True)
    ]
    entries = list(counted(in_threads(jobs), f"mending {split.name}", len(jobs)))
    content = {
        "images": [image for image, _ in entries],
        "annotations": [annotation for _, annotation in entries],
        "categories": listed.raw_categories,
    }
    write_json(target, content)
    return Copy(CocoSplit(split.name, target, split.images_dir, folder), len(labelled), listed.annotated - len(labelled))


def _copy_image(
    image: LabelledImage, png_name: str, source: Path, target: Path, categories: Categories
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write one PNG; returns the entries of `images` and `annotations`."""
    ids = read_ids(image, source)[0]
    if ids is None:
        raise InputError(f"{source / image.png_name} could be read a moment ago, but not now; start again.")
    panoptic = relabelled(ids, image.segments, categories)
    entry = Entry(image.image_id, image.file_name, panoptic)
    return write_entry(target, entry, panoptic.classes, scores=False, png=png_name)


def _png_names(labelled: Sequence[LabelledImage]) -> list[str]:
    """A flat, unique name for each PNG: its own where it can keep it."""
    taken: set[str] = set()
    names = []
    for image in labelled:
        stem = str(Path(image.png_name.replace("\\", "/")).with_suffix("")).replace("/", "_")
        number, name = 1, f"{stem}.png"
        while name in taken:
            number += 1
            name = f"{stem}_{number}.png"
        taken.add(name)
        names.append(name)
    return names


def outcome(copies: Sequence[Copy]) -> list[str]:
    """What was written, and how to train on it."""
    lines = []
    for copy in copies:
        left_out = f", {copy.left_out} left out" if copy.left_out else ""
        lines.append(
            f"{copy.split.json_path}: {plural(copy.kept, 'image')}{left_out}; the images stay in {copy.split.images_dir}."
        )
    if len(copies) == 2:
        train, val = (copy.split for copy in copies)
        own = f" --data.val-images {val.images_dir}" if val.images_dir != train.images_dir else ""
        lines.append(
            f"Next: unipan train PRESET --data.train {train.json_path} --data.val {val.json_path} "
            f"--data.images {train.images_dir}{own} --out RUN"
        )
    return lines
