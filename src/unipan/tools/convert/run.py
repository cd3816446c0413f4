"""`unipan convert`: other formats to the COCO panoptic layout that `unipan train` reads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import Any

from unipan.choices import Faulty
from unipan.classes import ClassTable
from unipan.console import counted
from unipan.data.coco_json import listing, read_json_as
from unipan.data.coco_writer import Entry, check_name, write_panoptic
from unipan.errors import InputError, noted
from unipan.files import make_folder
from unipan.tools.convert.report import Part, SplitCounts, all_faults, counted_faults, json_path
from unipan.tools.convert.source import Source


@dataclass(slots=True)
class _Categories:
    """What of a split that is there already is read."""

    categories: list[dict[str, Any]]


def convert(parts: Sequence[Part], out: Path, *, faulty: Faulty) -> list[SplitCounts]:
    """Write out/annotations/panoptic_SPLIT.json and its PNG folder for each part. Splits that are there are not touched.

    faulty: what becomes of images and annotations that can't be used: stop, when all are counted; or skip, leave them out.
    A JSON is written when all its PNGs are; if anything fails, none of this call's files stays.
    Raises: InputError with the first faults; or where a split would have no image.
    """
    folder = out / "annotations"
    counts = [SplitCounts(part.split, json_path(folder, part.split)) for part in parts]
    _check_target(folder, parts)
    make_folder(folder)
    begun: list[SplitCounts] = []
    try:
        for part, count in zip(parts, counts, strict=True):
            _check_target(folder, [part])  # what another call has written since stays
            begun.append(count)
            entries = _entries(part, count, faulty)
            classes, name = part.source.classes, count.json
            write_panoptic(folder, entries, classes, json_name=name.name, png_folder=name.stem, scores=False)
        _refuse(counts, all_faults(parts, counts), faulty)
    except BaseException:
        for count in begun:
            count.json.unlink(missing_ok=True)
            rmtree(count.json.with_suffix(""), ignore_errors=True)
        raise
    return counts


def _refuse(counts: Sequence[SplitCounts], faults: Sequence[str], faulty: Faulty) -> None:
    """Refuse faults that are to stop the conversion, or leave nothing of a split."""
    empty = [count.split for count in counts if not count.images]
    if faults and faulty == "stop":
        raise InputError(f"nothing is converted; mend this, or leave it out with --faulty skip: {counted_faults(faults)}")
    if faults and empty:
        raise InputError(f"no image is left for {listing(empty)}: {counted_faults(faults)}")


def parts_of(source: Source, *, split: str, val_share: float, seed: int) -> list[Part]:
    """The whole source as `split`, or its images divided into train and val.

    Which images are held out depends on the seed and on their names alone, so hardly changes when images are added.
    """
    if not 0 <= val_share < 1:
        raise InputError(f"--val-share is {val_share:g}; it must be from 0 (no division) to less than 1.")
    if not val_share:
        if not split.isidentifier():
            raise InputError(f"--split {split!r} came; a split's name is letters, digits and underscores, as in train or val.")
        return [Part(split, source, range(len(source.file_names)))]
    if split != "train":
        raise InputError(f"--val-share makes both train and val, so --split {split} can't hold as well; name one of them.")
    names = source.file_names
    if len(names) < 2:
        raise InputError("there is one image only, which can't be divided; leave out --val-share.")
    drawn = [sha256(f"{seed} {name}".encode(errors="surrogatepass")).digest() for name in names]
    ranked = sorted(range(len(names)), key=drawn.__getitem__)
    held_out = set(ranked[: min(max(round(val_share * len(names)), 1), len(names) - 1)])
    train = [index for index in range(len(names)) if index not in held_out]
    return [Part("train", source, train), Part("val", source, sorted(held_out))]


def _entries(part: Part, count: SplitCounts, faulty: Faulty) -> Iterator[Entry]:
    """The images that can be used. After a fault that is to stop all, further ones are only looked at."""
    for index in counted(part.indices, f"converting {part.split}", len(part.indices)):
        converted = None
        with noted(count.faults):
            read = part.source[index]
            check_name(read.file_name)  # once it is there
            converted = read
            count.add(converted)
        if converted and (faulty == "skip" or not count.faults):
            yield Entry(converted.image_id, converted.file_name, converted.panoptic)


def _check_target(folder: Path, parts: Sequence[Part]) -> None:
    """Nothing is overwritten, and splits below one folder have one class table."""
    for part in parts:
        path = json_path(folder, part.split)
        pngs = path.with_suffix("")
        if path.exists():
            raise InputError(f"{path} is there already; name another --out or --split, or remove it and {pngs}.")
        if pngs.is_dir() and any(pngs.iterdir()):
            raise InputError(f"{pngs} holds files already; name another --out or --split, or remove it.")
    for path in sorted(folder.glob("panoptic_*.json")):
        theirs = ClassTable.from_categories(read_json_as(_Categories, path, "a COCO panoptic JSON").categories)
        difference = parts[0].source.classes.difference(theirs)
        if difference:
            raise InputError(
                f"{path} was written with other classes: {difference}; give both splits the same list of classes, "
                "or name another --out."
            )
