"""What `unipan convert` tells at its end: what became of the images, what was left out, what comes next."""

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from unipan.classes import VOID_ID, ClassTable
from unipan.console import Table
from unipan.data.coco_json import SHOWN, listing
from unipan.errors import plural
from unipan.tools.convert.source import Converted, Source

SHOWN_CLASSES = 24
"""Of things, and of stuff, so many are named."""


class Part(NamedTuple):
    """Images that become one split."""

    split: str
    source: Source
    indices: Sequence[int]
    """Which of the source's images."""


@dataclass
class SplitCounts:
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
    faults: list[str] = field(default_factory=list)
    """What is left out, because it can't be used; each a sentence."""
    crowds_of: Counter[str] = field(default_factory=Counter)
    """Of each class of things by its name, as the next."""
    instances_of: Counter[str] = field(default_factory=Counter)

    def add(self, converted: Converted) -> None:
        panoptic = converted.panoptic
        self.images += 1
        self.segments += len(panoptic.segments)
        self.crowds += sum(segment.is_crowd for segment in panoptic.segments)
        self.crowds_of.update(segment.name for segment in panoptic.segments if segment.is_crowd)
        self.instances_of.update(segment.name for segment in panoptic.segments if segment.is_instance)
        self.pixels += panoptic.ids.numel()
        self.contested_px += converted.contested_px
        self.void_px += int((panoptic.ids == VOID_ID).sum())
        self.empty += not panoptic.segments
        self.vanished += converted.vanished
        self.faults += converted.faults


def summary(counts: Iterable[SplitCounts]) -> Table:
    """A row for each split."""
    table = Table("Converted", "split", "images", "segments", "crowds", "overlapping px", "vanished", "void")
    for count in counts:
        numbers = (count.images, count.segments, count.crowds, count.contested_px, len(count.vanished))
        void = f"{count.void_px / max(count.pixels, 1):.1%}"
        table.add_row(count.split, *(f"{number:,}" for number in numbers), void)
    return table


def sentences(counts: Sequence[SplitCounts], parts: Sequence[Part], out: Path) -> list[str]:
    """What the table can't say, and the command that comes next."""
    sentences = []
    if any(count.contested_px for count in counts):
        sentences.append(f"Overlapping pixels went to {parts[0].source.overlap_rule}.")
    vanished = [name for count in counts for name in count.vanished]
    if vanished:
        or_cut = ", or --clip cut them away" if any(part.source.clip for part in parts) else ""
        sentences.append(f"Vanished, because others cover them or they hold no pixel's centre{or_cut}: {listing(vanished)}.")
    empty = sum(count.empty for count in counts)
    if empty:
        sentences.append(f"{plural(empty, 'image')} without any segment: all is void, and nothing is learnt from it.")
    if lost := _only_crowds([count for count in counts if count.split != "val"]):  # which is not learnt from
        sentences.append(
            f"No instance of {listing(lost)} will be learnt: every segment is a crowd, a region of many that are not told apart. "
            "For single things write iscrowd 0, set no flag is_crowd (labelme), or give each a number of its own (pairs)."
        )
    faults = all_faults(parts, counts)
    if faults:
        sentences.append(f"Left out: {counted_faults(faults)}")
    sentences += {remark: None for part in parts for remark in part.source.remarks}
    return [*sentences, _classes(parts[0].source.classes), next_step(parts, out)]


def _classes(classes: ClassTable) -> str:
    """What was written, so that a class is seen that nobody meant."""
    things, stuff = (
        listing((classes[i].name for i in kind), SHOWN_CLASSES) or "none" for kind in (classes.things, classes.stuff)
    )
    return f"Classes: things: {things}; stuff: {stuff}."


def _only_crowds(counts: Sequence[SplitCounts]) -> list[str]:
    """The classes of things that have crowds and nothing else, each with its crowds' number."""
    crowds = sum((count.crowds_of for count in counts), Counter[str]())
    instances = sum((count.instances_of for count in counts), Counter[str]())
    return [f"{name} ({plural(number, 'crowd')})" for name, number in crowds.items() if not instances[name]]


def next_step(parts: Sequence[Part], out: Path) -> str:
    """The commands that look for faults and that train, as far as the splits for them are there."""
    folders = {part.split: part.source.images_dir for part in parts}
    jsons = {split: json_path(out / "annotations", split) for split in ("train", "val")}
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
    look = ["unipan", "doctor", str(out), "--images", train_images]
    if val_images != train_images:
        words += ["--data.val-images", val_images]
        look += [val_images]
    train = shlex.join([*words, "--out", "runs/mine"])
    return f"Next: {shlex.join(look)}\nThen, with finetune_small in place of finetune where there is no GPU: {train}"


def all_faults(parts: Sequence[Part], counts: Sequence[SplitCounts]) -> list[str]:
    """Those of the sources, which parts may share, and of their images."""
    sources = {id(part.source): part.source for part in parts}.values()
    return [fault for holder in (*sources, *counts) for fault in holder.faults]


def counted_faults(faults: Sequence[str]) -> str:
    """One fault in its own words; of several their number and the first few, a line each."""
    if len(faults) == 1:
        return faults[0]
    first = f", the first {SHOWN}" if len(faults) > SHOWN else ""
    return "\n  ".join([f"{plural(len(faults), 'fault')}{first}:", *faults[:SHOWN]])


def json_path(folder: Path, split: str) -> Path:
    """Where a split's annotations are written."""
    return folder / f"panoptic_{split}.json"
