"""The class table: the only home of dataset ids, names and colors. Everywhere else a class is an index 0..C-1."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from re import fullmatch
from typing import Any

from unipan.class_colors import default_color
from unipan.errors import InputError
from unipan.json_values import read_as

VOID = 32_767
"""Unlabelled, in every class map (H, W): the largest value of int16, which class maps are."""

VOID_ID = 0
"""Unlabelled, in every id map (H, W)."""


@dataclass(frozen=True, kw_only=True)
class ClassInfo:
    """One class of a data set."""

    name: str
    is_thing: bool
    dataset_id: int
    """The id that the data set's own files use."""
    color: tuple[int, int, int]
    """RGB, 0..255."""
    supercategory: str

    @property
    def described(self) -> str:
        """Name and kind, for messages."""
        return f"{self.name} ({'thing' if self.is_thing else 'stuff'})"


@dataclass(frozen=True)
class ClassTable:
    """C classes, things and stuff in the data set's own order. A class's index is its position in `classes`."""

    classes: tuple[ClassInfo, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.classes) <= VOID:
            raise InputError(f"a class table holds 1 to {VOID} classes, but {len(self.classes)} came.")
        for field in ("dataset_id", "name"):
            counts = Counter(getattr(info, field) for info in self.classes)
            repeated = sorted(str(value) for value, count in counts.items() if count > 1)
            if repeated:
                raise InputError(f"class table: {field} {', '.join(repeated)} stands more than once; each must be unique.")

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, index: int) -> ClassInfo:
        return self.classes[index]

    @cached_property
    def is_thing(self) -> tuple[bool, ...]:
        """C flags."""
        return tuple(info.is_thing for info in self.classes)

    @cached_property
    def stuff(self) -> tuple[int, ...]:
        """Class indices of the S stuff classes: the order of the first S panoptic channels."""
        return tuple(index for index, info in enumerate(self.classes) if not info.is_thing)

    @cached_property
    def things(self) -> tuple[int, ...]:
        """Class indices of the T thing classes: the order of the detector's foreground labels."""
        return tuple(index for index, info in enumerate(self.classes) if info.is_thing)

    @cached_property
    def index_of_dataset_id(self) -> dict[int, int]:
        """Data set's category id -> class index."""
        return {info.dataset_id: index for index, info in enumerate(self.classes)}

    def difference(self, other: "ClassTable") -> str:
        """See `difference` below."""
        return difference(self.classes, other.classes)

    def merged_by_supercategory(self) -> "tuple[ClassTable, tuple[int, ...]]":
        """Merge the classes of one super-category (things and stuff apart) into one class.

        Returns the merged table and, for each class here, its index there. Merged dataset ids count from 1. A merged class has
        its first one's color, where that is no default.
        """
        groups = list(dict.fromkeys((info.supercategory, info.is_thing) for info in self.classes))
        shared = {name for name, is_thing in groups if (name, not is_thing) in groups}
        first = {group: next(i for i, c in enumerate(self.classes) if (c.supercategory, c.is_thing) == group) for group in groups}
        own = {group: self[index].color for group, index in first.items() if self[index].color != default_color(index)}
        merged = tuple(
            ClassInfo(
                name=f"{name} ({'things' if is_thing else 'stuff'})" if name in shared else name,
                is_thing=is_thing,
                dataset_id=number,
                color=own.get((name, is_thing), default_color(number - 1)),
                supercategory=name,
            )
            for number, (name, is_thing) in enumerate(groups, start=1)
        )
        return ClassTable(merged), tuple(groups.index((c.supercategory, c.is_thing)) for c in self.classes)

    def to_categories(self) -> list[dict[str, Any]]:
        """The `categories` list of the COCO panoptic format."""
        return [
            {
                "id": info.dataset_id,
                "name": info.name,
                "supercategory": info.supercategory,
                "isthing": int(info.is_thing),
                "color": list(info.color),
            }
            for info in self.classes
        ]

    @staticmethod
    def from_categories(categories: list[dict[str, Any]]) -> "ClassTable":
        """Read a COCO panoptic `categories` list; colors and super-categories may be missing.

        Raises: InputError for an entry that is no class, and for ids or names that stand twice.
        """
        if not isinstance(categories, list):
            raise InputError(f"categories are a {type(categories).__name__}; give a list of them.")
        for entry in categories:
            fault = category_fault(entry)
            if fault:
                raise InputError(f"category {entry} {fault}.")
        return ClassTable(tuple(class_of(entry, index) for index, entry in enumerate(categories)))


def difference(classes: Sequence[ClassInfo], others: Sequence[ClassInfo]) -> str:
    """The first difference that matters to a network: names, kinds and order; empty where there is none.

    Dataset ids, colors and super-categories may differ: they stay at the edge.
    """
    for position, (own, its) in enumerate(zip(classes, others, strict=False), start=1):
        if (own.name, own.is_thing) != (its.name, its.is_thing):
            return f"class {position} is {own.described} in the one, {its.described} in the other"
    return "" if len(classes) == len(others) else f"there are {len(classes)} classes in the one, {len(others)} in the other"


def merge_remark(own: int, merged: int) -> str:
    """What a person should know of so many classes that became so many by their super-categories; empty where all were kept."""
    return f"{own} classes were merged into {merged} by their super-categories; --data.merge none keeps them when training." * (
        own > merged
    )


def category_fault(entry: dict[str, Any]) -> str:
    """What keeps an entry of `categories` from being a class, to be said after its name; empty where nothing does."""
    missing = [key for key in ("id", "name", "isthing") if key not in entry]
    if missing:
        return f"lacks {', '.join(missing)}; each needs id, name and isthing (0 or 1)"
    if read_as(int, entry["id"]) is None:
        return "has an id that is no whole number"
    if not isinstance(entry["name"], str) or not entry["name"]:
        return "has a name that is no text"
    if read_as(int, entry["isthing"]) not in (0, 1):
        return "has an isthing that is neither 0 (stuff) nor 1 (thing)"
    if not isinstance(entry.get("supercategory"), str | None):
        return "has a supercategory that is no text"
    return color_fault(entry)


def color_fault(entry: dict[str, Any]) -> str:
    """The same of its color alone, which may be missing."""
    color = entry.get("color")
    if color is None or _read_color(color) is not None:
        return ""
    return "has a color that is not [red, green, blue], each a whole number from 0 to 255; mend it, or leave it out"


def class_of(entry: dict[str, Any], index: int) -> ClassInfo:
    """An entry of `categories` without a fault as the class at `index`."""
    return ClassInfo(
        name=entry["name"],
        is_thing=bool(read_as(int, entry["isthing"])),
        dataset_id=read_as(int, entry["id"]) or 0,
        color=_read_color(entry.get("color")) or default_color(index),
        supercategory=entry.get("supercategory") or entry["name"],
    )


def _read_color(value: Any) -> tuple[int, int, int] | None:
    """Of [red, green, blue], with or without an opacity behind, or of #rrggbb; None for anything else."""
    if isinstance(value, str) and fullmatch("#[0-9a-fA-F]{6}", value):
        value = list(bytes.fromhex(value[1:]))
    elif isinstance(value, list) and len(value) == 4:
        value = value[:3]
    color = read_as(tuple[int, int, int], value)
    return color if color is not None and all(0 <= part <= 255 for part in color) else None
