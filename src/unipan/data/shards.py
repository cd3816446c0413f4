"""Tar shards with an index, as WebDataset's readers take them: any sample by one range read, from a folder or a bucket.

A sample is three members, one behind the other: KEY.jpg (or as the image's file ends, byte for byte), KEY.png, its ids as in the
COCO panoptic format, and KEY.json, its annotation. The index SPLIT.json beside the tars says where each lies, so that any order
costs the same.
"""

import hashlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from tarfile import BLOCKSIZE
from typing import Any

from unipan.addresses import Location, below, is_file, named, read_range
from unipan.choices import Merge
from unipan.classes import ClassTable
from unipan.data.coco import size_text
from unipan.data.coco_files import agreeing_map
from unipan.data.coco_json import AnnotationEntry, ImageEntry, PanopticJson, check_consistency, leads_out, listing, parsed_as
from unipan.data.id_maps import id_map_of
from unipan.errors import InputError, about
from unipan.ops.images import read_image
from unipan.ops.segments import Label, joined_stuff
from unipan.types import PanopticMap, Sample

VERSION = 1
"""Of the index."""

Span = tuple[int, int]
"""A member's content in its tar: offset and size in bytes."""


@dataclass(slots=True, kw_only=True)
class SampleEntry:
    """Where a sample lies."""

    shard: str
    """The tar, in the index's folder."""
    key: str
    image: Span
    png: Span
    json: Span


@dataclass(slots=True, kw_only=True)
class ShardIndex:
    """The content of SPLIT.json."""

    version: int
    categories: list[dict[str, Any]]
    samples: list[SampleEntry]
    truth_sha256: str = ""
    """Of all PNGs and annotations, in the samples' order; "" where an earlier version wrote the index."""


class Shards:
    """A split in shards, in the index's order; in memory are the places of its samples alone, 52 bytes each."""

    def __init__(self, folder: Location, split: str, *, merge: Merge) -> None:
        """merge: as in `CocoPanoptic`."""
        index = _read_index(folder, split)
        with about(below(folder, f"{split}.json")):
            self._own_classes = ClassTable.from_categories(index.categories)
        self._folder, self._merge, self._index_path = folder, merge, below(folder, f"{split}.json")
        self._shards: Sequence[str] = list(dict.fromkeys(entry.shard for entry in index.samples))
        number = {shard: position for position, shard in enumerate(self._shards)}
        self._shard_of = array("I", (number[entry.shard] for entry in index.samples))
        self._spans = array("q", (part for entry in index.samples for span in _spans(entry) for part in span))
        self.own_classes: int = len(self._own_classes)
        self.classes: ClassTable = self._own_classes
        self._class_of: Sequence[int] = range(self.own_classes)
        if merge == "supercategory":
            self.classes, self._class_of = self._own_classes.merged_by_supercategory()

    def __len__(self) -> int:
        return len(self._shard_of)

    def __getitem__(self, index: int, /) -> Sample:
        position, shard, source = self._located(index)
        image_bytes, png, annotation = self._members(position, shard)
        entry = self._annotation(annotation, source)
        with about(source):
            image = read_image(image_bytes)
        truth = self._truth(png, entry, source)
        if image.shape[-2:] != truth.ids.shape:
            raise InputError(
                f"{source}: {entry.file_name} is {size_text(image)} but its PNG is {size_text(truth.ids)} (width x height); "
                "both must be of one size. Write the shards again."
            )
        return Sample(image=image, truth=truth, image_id=entry.image_id, file_name=entry.file_name)

    def classes_of(self, index: int, /) -> set[int]:
        """The classes of a sample's segments, but for crowds. Of the tar its annotation is read alone."""
        return {label.class_index for label in self._labels(self._entry(index)) if not label.is_crowd}

    def id_of(self, index: int, /) -> int | str:
        """What a sample's annotation calls its image. Of the tar it is read alone."""
        return self._entry(index).image_id

    def truth_of(self, index: int, /) -> PanopticMap:
        """What PNG and JSON of a sample say. Of the tar they are read alone."""
        position, shard, source = self._located(index)
        png, annotation = self._members(position, shard, first=1)
        return self._truth(png, self._annotation(annotation, source), source)

    def truth_facts(self) -> dict[str, Any]:
        """The index by name and content, which has the hash of the truth; no tar is read for it."""
        content = read_range(self._index_path, 0, None)
        return {"name": named(self._index_path).name, "sha256": hashlib.sha256(content).hexdigest()}

    def _located(self, index: int) -> tuple[int, Location, str]:
        """A sample's position from 0 on, its tar, and what messages call it."""
        position = range(len(self))[index]
        shard = below(self._folder, self._shards[self._shard_of[position]])
        return position, shard, f"{shard}, sample {position}"

    def _entry(self, index: int) -> AnnotationEntry:
        position, shard, source = self._located(index)
        return self._annotation(self._members(position, shard, first=2)[0], source)

    def _truth(self, png: bytes, entry: AnnotationEntry, source: str) -> PanopticMap:
        truth = agreeing_map(id_map_of(png, source), self._labels(entry), self.classes, f"PNG and JSON of {source}")
        return joined_stuff(truth, self.classes) if self._merge == "supercategory" else truth

    def _annotation(self, content: bytes, source: str) -> AnnotationEntry:
        """A sample's JSON, consistent in itself and with the classes."""
        entry = parsed_as(AnnotationEntry, content, source, "an annotation of the COCO panoptic format")
        check_consistency(PanopticJson([ImageEntry(entry.image_id, entry.file_name)], [entry], []), self._own_classes, source)
        return entry

    def _labels(self, entry: AnnotationEntry) -> list[Label]:
        indices = self._own_classes.index_of_dataset_id
        return [Label(s.id, self._class_of[indices[s.category_id]], bool(s.iscrowd)) for s in entry.segments_info]

    def _members(self, position: int, shard: Location, first: int = 0) -> list[bytes]:
        """Image, PNG and JSON of a sample, from the `first` of them on, in one read with the tar's headers between them."""
        numbers = self._spans[6 * position + 2 * first : 6 * position + 6]
        spans = list(zip(numbers[::2], numbers[1::2], strict=True))
        start, end = spans[0][0], sum(spans[-1])
        content = read_range(shard, start, end)
        if len(content) != end - start:
            raise InputError(
                f"{shard} is cut off: of sample {position}, bytes {start} to {end}, {len(content)} came. Copy the tar again."
            )
        return [content[offset - start : offset - start + size] for offset, size in spans]


def _spans(entry: SampleEntry) -> tuple[Span, Span, Span]:
    return entry.image, entry.png, entry.json


def _read_index(folder: Location, split: str) -> ShardIndex:
    """Raises: InputError for a missing or damaged index, and for one that leads out of its folder."""
    path = below(folder, f"{split}.json")
    if not is_file(path):
        raise InputError(
            f"there is no {path}. Expected data.root to be a folder or an address with {split}.json, the index of its tars; "
            "write it by unipan convert shards, or name another split."
        )
    index = parsed_as(ShardIndex, read_range(path, 0, None), path, "an index of shards")
    if index.version != VERSION:
        raise InputError(f"{path} is an index of version {index.version}, and {VERSION} is read here; write the shards again.")
    if not index.samples:
        raise InputError(f"{path} has no samples; there is nothing to learn from or to compare with.")
    out = [entry.shard for entry in index.samples if leads_out(entry.shard)]
    if out:
        raise InputError(f"{path} names tars outside its folder: {listing(out)}. Put them beside it, and write the shards again.")
    apart = [entry.key for entry in index.samples if not _follow(_spans(entry))]
    if apart:
        raise InputError(
            f"{path} is damaged: image, PNG and JSON don't lie one behind the other in samples {listing(apart)}. "
            "Write the shards again."
        )
    return index


def _follow(spans: Sequence[Span]) -> bool:
    """Whether members lie one behind the other, with a header before each: no more is read than belongs to them."""
    sizes_fit = spans[0][0] >= BLOCKSIZE and min(size for _, size in spans) > 0
    ends = (offset + -(-size // BLOCKSIZE) * BLOCKSIZE for offset, size in spans)  # a tar fills up its blocks
    return sizes_fit and all(following == end + BLOCKSIZE for end, (following, _) in zip(ends, spans[1:], strict=False))
