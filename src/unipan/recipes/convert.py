"""`unipan convert`: other formats to the COCO panoptic layout that `unipan train` reads."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from unipan.checkpoint import make_folder
from unipan.classes import ClassTable
from unipan.console import Table, counted
from unipan.data.coco_json import listing
from unipan.data.coco_writer import Entry, write_panoptic
from unipan.data.convert.form import Converted, Form, read_panoptic_categories, void_px
from unipan.errors import InputError


class Part(NamedTuple):
    """Images that become one split."""

    split: str
    form: Form
    places: Sequence[int]
    """Which of the form's images."""


@dataclass
class Tally:
    """What became of a split's images."""

    split: str
    json: Path
    images: int = 0
    segments: int = 0
    crowds: int = 0
    pixels: int = 0
    contested_px: int = 0
    """Claimed by several segments."""
    void_px: int = 0
    empty: int = 0
    """Images without a segment."""
    vanished: list[str] = field(default_factory=list)

    def add(self, converted: Converted) -> None:
        panoptic = converted.panoptic
        self.images += 1
        self.segments += len(panoptic.segments)
        self.crowds += sum(segment.is_crowd for segment in panoptic.segments)
        self.pixels += panoptic.ids.numel()
        self.contested_px += converted.contested_px
        self.void_px += void_px(panoptic)
        self.empty += not panoptic.segments
        self.vanished += converted.vanished


def convert(parts: Sequence[Part], out: Path) -> list[Tally]:
    """Write out/annotations/panoptic_SPLIT.json and its PNG folder for each part. Splits that are there are not touched.

    A JSON is written when all its PNGs are; if anything fails, none of this call's JSONs stays.
    """
    folder = out / "annotations"
    tallies = [Tally(part.split, _json_path(folder, part.split)) for part in parts]
    _check_target(folder, parts)
    make_folder(folder)
    try:
        for part, tally in zip(parts, tallies, strict=True):
            entries = _entries(part, tally)
            classes, name = part.form.classes, tally.json
            write_panoptic(folder, entries, classes, json_name=name.name, png_folder=name.stem, scores=False)
    except BaseException:
        for tally in tallies:
            tally.json.unlink(missing_ok=True)
        raise
    return tallies


def parts_of(form: Form, file_names: Sequence[str], *, split: str, val_share: float, seed: int) -> list[Part]:
    """The whole form as `split`, or its images divided into train and val.

    Which images are held out depends on the seed and on their names alone, so hardly changes when images are added.
    """
    if not 0 <= val_share < 1:
        raise InputError(f"--val-share is {val_share:g}; it must be from 0 (no division) to less than 1.")
    if not val_share:
        if not split.isidentifier():
            raise InputError(f"--split {split!r} came; a split's name is letters, digits and underscores, as in train or val.")
        return [Part(split, form, range(len(form)))]
    if split != "train":
        raise InputError(f"--val-share makes both train and val, so --split {split} can't hold as well; name one of them.")
    if len(form) < 2:
        raise InputError("there is one image only, which can't be divided; leave out --val-share.")
    ranked = sorted(range(len(form)), key=lambda place: sha256(f"{seed} {file_names[place]}".encode()).digest())
    held_out = set(ranked[: min(max(round(val_share * len(form)), 1), len(form) - 1)])
    train = [place for place in range(len(form)) if place not in held_out]
    return [Part("train", form, train), Part("val", form, sorted(held_out))]


def summary(tallies: Iterable[Tally]) -> Table:
    """A row for each split."""
    table = Table("Converted")
    columns: dict[str, Callable[[Tally], str]] = {
        "split": lambda tally: tally.split,
        "images": lambda tally: f"{tally.images:,}",
        "segments": lambda tally: f"{tally.segments:,}",
        "crowds": lambda tally: f"{tally.crowds:,}",
        "overlapping px": lambda tally: f"{tally.contested_px:,}",
        "vanished": lambda tally: f"{len(tally.vanished):,}",
        "void": lambda tally: f"{tally.void_px / max(tally.pixels, 1):.1%}",
    }
    for name in columns:
        table.add_column(name, justify="left" if name == "split" else "right")
    for tally in tallies:
        table.add_row(*(cell(tally) for cell in columns.values()))
    return table


def sentences(tallies: Sequence[Tally], parts: Sequence[Part], out: Path) -> list[str]:
    """What the table can't say, and the command that comes next."""
    said = []
    if any(tally.contested_px for tally in tallies):
        said.append(f"Overlapping pixels went to {parts[0].form.overlap_rule}.")
    vanished = [name for tally in tallies for name in tally.vanished]
    if vanished:
        said.append(f"Vanished, because others cover them or they hold no pixel's centre: {listing(vanished)}.")
    empty = sum(tally.empty for tally in tallies)
    if empty:
        said.append(f"{empty} images have no segment at all; they are void, and nothing is learnt from them.")
    return [*said, next_step(parts, out)]


def next_step(parts: Sequence[Part], out: Path) -> str:
    """The training command, as far as the splits for it are there."""
    folders = {part.split: part.form.images_dir for part in parts}
    jsons = {split: _json_path(out / "annotations", split) for split in ("train", "val")}
    missing = [split for split, path in jsons.items() if not path.is_file()]
    if missing:
        return (
            f"Written to {out}. For training, convert {' and '.join(missing)} too, with --split and the same --out; or convert "
            "all anew with --val-share 0.2."
        )
    # Of a split that an earlier call wrote, the folder of its images is not known.
    train_images, val_images = (str(folders.get(split, f"IMAGES_OF_{split.upper()}")) for split in ("train", "val"))
    words = ["unipan", "train", "finetune", "--data.train", str(jsons["train"]), "--data.val", str(jsons["val"])]
    words += ["--data.images", train_images]
    if val_images != train_images:
        words += ["--data.val-images", val_images]
    return f"Next: {shlex.join([*words, '--out', 'runs/mine'])}"


def _entries(part: Part, tally: Tally) -> Iterator[Entry]:
    for place in counted(part.places, f"converting {part.split}", len(part.places)):
        converted = part.form[place]
        tally.add(converted)
        yield Entry(converted.image_id, converted.file_name, converted.panoptic)


def _json_path(folder: Path, split: str) -> Path:
    return folder / f"panoptic_{split}.json"


def _check_target(folder: Path, parts: Sequence[Part]) -> None:
    """Nothing is overwritten, and splits below one folder have one class table."""
    for part in parts:
        path = _json_path(folder, part.split)
        if path.exists():
            raise InputError(f"{path} is there already; name another --out or --split, or remove it and {path.with_suffix('')}.")
    for path in sorted(folder.glob("panoptic_*.json")):
        theirs = ClassTable.from_categories(read_panoptic_categories(path))
        difference = parts[0].form.classes.difference(theirs)
        if difference:
            raise InputError(
                f"{path} was written with other classes: {difference}; give both splits the same list of classes, "
                "or name another --out."
            )
