"""The COCO instance JSON: what a file must hold, read and checked once."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unipan.classes import ClassTable, category_fault
from unipan.data.coco_json import listing, read_json_as
from unipan.data.convert.form import about, safe_name
from unipan.errors import InputError


@dataclass(slots=True)
class Rle:
    counts: str | list[int]
    size: tuple[int, int]


@dataclass(slots=True)
class InstanceEntry:
    id: int | str
    image_id: int | str
    category_id: int
    segmentation: Rle | list[list[float]] | None = None
    iscrowd: int = 0


@dataclass(slots=True)
class PictureEntry:
    id: int | str
    file_name: str
    height: int
    width: int


@dataclass(slots=True)
class InstanceJson:
    images: list[PictureEntry]
    annotations: list[InstanceEntry]
    categories: list[dict[str, Any]]


def read_instance_json(path: Path) -> InstanceJson:
    """Read a file; its ids are unique, known where they are used, and its file names stay in their folder."""
    content = read_json_as(InstanceJson, path, "a COCO instance JSON")
    with about(path):
        _check(content)
        for picture in content.images:
            picture.file_name = safe_name(picture.file_name)
    return content


def class_table(categories: list[dict[str, Any]], stuff: list[dict[str, Any]], background: str | None) -> ClassTable:
    """The JSON's categories, of which those in `stuff` are stuff and the rest things; then further stuff; the background last.

    Entries of `stuff` that call themselves things (isthing) are passed over, so that it may be a list of all classes.
    """
    stuff = [entry for entry in stuff if not entry.get("isthing")]
    for entry in (*categories, *stuff):
        if "id" not in entry or "name" not in entry:
            raise InputError(f"the class {entry} lacks id or name; each needs both.")
        fault = category_fault(entry | {"isthing": 0})
        if fault:
            raise InputError(f"the class {entry} {fault}.")
    stuff_names = {entry["id"]: entry["name"] for entry in stuff}
    for entry in categories:
        if stuff_names.get(entry["id"], entry["name"]) != entry["name"]:
            raise InputError(
                f"the id {entry['id']} is {entry['name']!r} in the categories but {stuff_names[entry['id']]!r} in --stuff; "
                "give the two classes ids of their own."
            )
    known = {entry["id"] for entry in categories}
    entries = [entry | {"isthing": int(entry["id"] not in stuff_names)} for entry in categories]
    entries += [entry | {"isthing": 0} for entry in stuff if entry["id"] not in known]
    if background:
        entries.append({"id": max((entry["id"] for entry in entries), default=0) + 1, "name": background, "isthing": 0})
    return ClassTable.from_categories(entries)


def by_image(content: InstanceJson) -> dict[int | str, list[InstanceEntry]]:
    """The annotations of each image, in the JSON's order."""
    grouped: dict[int | str, list[InstanceEntry]] = defaultdict(list)
    for entry in content.annotations:
        grouped[entry.image_id].append(entry)
    return dict(grouped)


def _check(content: InstanceJson) -> None:
    """Refuse what does not fit together."""
    if not content.images:
        raise InputError("it lists no images; expected at least one.")
    pictures = {picture.id for picture in content.images}
    if len(pictures) < len(content.images):
        raise InputError("an id stands more than once in images; each image needs one of its own.")
    if len({entry.id for entry in content.annotations}) < len(content.annotations):
        raise InputError("an id stands more than once in annotations; each annotation needs one of its own.")
    stray = [entry.id for entry in content.annotations if entry.image_id not in pictures]
    if stray:
        raise InputError(f"annotations {listing(stray)} belong to images that the file does not list; remove them.")
    categories = [entry.get("id") for entry in content.categories]
    unknown = [entry.id for entry in content.annotations if entry.category_id not in categories]
    if unknown:
        raise InputError(f"annotations {listing(unknown)} are of categories that the file does not list; add the categories.")
