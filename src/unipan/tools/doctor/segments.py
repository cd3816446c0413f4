"""The segments of a JSON, as far as they are usable, and the faults of the rest."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from unipan.classes import VOID_ID, ClassInfo
from unipan.data.coco_json import SegmentEntry, fault_of
from unipan.data.id_maps import MAX_ID
from unipan.json_values import read_as
from unipan.tools.doctor.faults import Kind
from unipan.tools.doctor.findings import Fault

Entry = dict[str, Any]
Categories = Mapping[int, ClassInfo]
"""By the data set's own ids."""


class ListedSegment(NamedTuple):
    """One usable entry of `segments_info`."""

    id: int
    category_id: int
    is_crowd: bool
    area: float | None
    box: tuple[float, ...] | None
    """x, y, width, height."""


class Refused:
    """Ids of entries with a fault of their own: what is missing for want of them only follows from it, and is not named."""

    def __init__(self) -> None:
        self._ids: set[int | str | None] = set()

    def add(self, id: int | str | None) -> None:
        """None: it can't be read, and so may be any."""
        self._ids.add(id)

    def explains(self, id: int | str) -> bool:
        """Whether that id may be missing because an entry was refused."""
        return id in self._ids or None in self._ids

    def __bool__(self) -> bool:
        return bool(self._ids)


def usable_segments(
    segments: Sequence[Any], png_name: str, categories: Categories, refused_categories: Refused, faults: list[Fault]
) -> tuple[tuple[ListedSegment, ...], Refused]:
    """The usable entries of a `segments_info`, and the ids of the others.

    Those of an unknown category are kept, for their pixels are to be known as such, and so is an id 0: see `repair.renumbered`.
    """
    by_id, refused = defaultdict[int, list[ListedSegment]](list), Refused()
    for entry in segments:
        segment = read_as(SegmentEntry, entry)
        if segment is None:
            faults.append(Fault(Kind.ENTRY_MALFORMED, f"{png_name}: {short(entry)}, {fault_of(SegmentEntry, entry)}"))
            refused.add(read_as(int, part(entry, "id")))
            continue
        if not VOID_ID < segment.id <= MAX_ID:
            faults.append(Fault(Kind.SEGMENT_ID_RANGE, f"{png_name}: {segment.id}"))
        if VOID_ID <= segment.id <= MAX_ID:
            by_id[segment.id].append(_listed_segment(entry, segment))
    usable: list[ListedSegment] = []
    for id, several in by_id.items():
        meanings = [_meaning(segment, categories) for segment in several]
        if len(several) > 1:
            faults.append(Fault(Kind.SEGMENT_REPEATED, f"{png_name}: {id} is {' and '.join(meanings)}"))
        if len(set(meanings)) == 1:
            usable.append(several[0])
        else:
            refused.add(id)
    _check_categories(usable, png_name, categories, refused_categories, faults)
    return tuple(usable), refused


def _check_categories(
    usable: Sequence[ListedSegment], png_name: str, categories: Categories, refused_categories: Refused, faults: list[Fault]
) -> None:
    stuff: set[int] = set()
    for segment in usable:
        category = categories.get(segment.category_id)
        if category is None:
            if not refused_categories.explains(segment.category_id):
                faults.append(Fault(Kind.UNKNOWN_CATEGORY, f"{png_name}: segment {segment.id}, category {segment.category_id}"))
        elif not category.is_thing and not segment.is_crowd:
            if segment.category_id in stuff and has_things(categories):
                faults.append(Fault(Kind.SEVERAL_STUFF_SEGMENTS, f"{png_name}: {category.name}"))
            stuff.add(segment.category_id)


def has_things(categories: Categories) -> bool:
    """Where no class is a thing, the exporter did not know the flag: several segments of a class may be what is to be counted."""
    return any(category.is_thing for category in categories.values())


def _meaning(segment: ListedSegment, categories: Categories) -> str:
    category = categories.get(segment.category_id)
    name = f"category {segment.category_id}" if category is None else category.name
    return f"a crowd of {name}" if segment.is_crowd else name


def _listed_segment(entry: Entry, segment: SegmentEntry) -> ListedSegment:
    """Areas and boxes are not read by training, so what is no number is no fault."""
    area, box = entry.get("area"), entry.get("bbox")
    return ListedSegment(
        id=segment.id,
        category_id=segment.category_id,
        is_crowd=bool(segment.iscrowd),
        area=read_as(float, area),
        box=read_as(tuple[float, float, float, float], box),
    )


def part(entry: Any, key: str) -> Any:
    """What stands at `key`, if the entry has any."""
    return entry.get(key) if isinstance(entry, dict) else None


def short(entry: Any) -> str:
    """An entry for a message."""
    text = json.dumps(entry)
    return text if len(text) < 100 else text[:97] + "..."
