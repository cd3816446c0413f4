"""The categories and segments of a JSON, as far as they are usable, and the faults of the rest."""

import json
from typing import Any, NamedTuple

from unipan.classes import VOID_ID
from unipan.data.checks.findings import Fault
from unipan.data.checks.kinds import Kind
from unipan.data.id_maps import MAX_ID

Entry = dict[str, Any]


class Category(NamedTuple):
    """One usable entry of `categories`."""

    id: int
    name: str
    is_thing: bool


class Row(NamedTuple):
    """One usable entry of `segments_info`."""

    id: int
    category_id: int
    is_crowd: bool
    area: float | None
    box: tuple[float, ...] | None
    """x, y, width, height."""


_NUMBERS = (("id", None), ("category_id", None), ("iscrowd", 0))
"""What of a segment must be a whole number, and what stands for it where it is missing."""


def rows_of(annotation: Entry, categories: dict[int, Category], faults: list[Fault]) -> tuple[Row, ...]:
    """The usable segments of one annotation; of an unknown category too, for its pixels are to be known as such."""
    kept: dict[int, Row] = {}
    name = annotation["file_name"]
    stuff: set[int] = set()
    for entry in annotation["segments_info"]:
        if not isinstance(entry, dict) or not all(is_int(entry.get(key, default)) for key, default in _NUMBERS):
            faults.append(Fault(Kind.ENTRY_MALFORMED, f"{name}: {short(entry)}"))
            continue
        row = _row(entry)
        if not VOID_ID < row.id <= MAX_ID:
            faults.append(Fault(Kind.SEGMENT_ID_RANGE, f"{name}: {row.id}"))
            continue
        if row.id in kept:
            faults.append(Fault(Kind.SEGMENT_REPEATED, f"{name}: {row.id}"))
            continue
        kept[row.id] = row
        category = categories.get(row.category_id)
        if category is None:
            faults.append(Fault(Kind.UNKNOWN_CATEGORY, f"{name}: segment {row.id}, category {row.category_id}"))
        elif not category.is_thing and not row.is_crowd:
            if category.id in stuff:
                faults.append(Fault(Kind.SEVERAL_STUFF, f"{name}: {category.name}"))
            stuff.add(category.id)
    return tuple(kept.values())


def _row(entry: Entry) -> Row:
    area, box = entry.get("area"), entry.get("bbox")
    is_box = isinstance(box, list) and len(box) == 4 and all(isinstance(side, int | float) for side in box)
    return Row(
        id=entry["id"],
        category_id=entry["category_id"],
        is_crowd=bool(entry.get("iscrowd", False)),
        area=area if isinstance(area, int | float) else None,
        box=tuple(box) if is_box and box is not None else None,
    )


def is_int(value: Any) -> bool:
    """Whether a JSON value is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def short(entry: Any) -> str:
    """An entry for a message."""
    text = json.dumps(entry)
    return text if len(text) < 100 else text[:97] + "..."
