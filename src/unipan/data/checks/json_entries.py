"""Read a COCO panoptic JSON whatever is wrong with it, and collect the faults of its entries. Nothing here opens a picture."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unipan.classes import VOID, category_fault
from unipan.data.checks.findings import Fault
from unipan.data.checks.kinds import Kind
from unipan.data.checks.rows import Category, Entry, Row, rows_of, short
from unipan.data.coco_json import leads_out
from unipan.errors import InputError
from unipan.types import Size


@dataclass(frozen=True, slots=True)
class Picture:
    """An image with its annotation: what there is to look at."""

    image_id: int | str
    file_name: str
    png_name: str
    rows: tuple[Row, ...]
    size: Size | None
    """As the JSON has it."""


@dataclass(frozen=True)
class Listed:
    """The usable rest of a JSON, and what is wrong with all else."""

    categories: dict[int, Category]
    pictures: list[Picture]
    raw_categories: list[Entry]
    """Of the usable categories, every key that stands there."""
    faults: list[Fault]


def read_listed(path: Path) -> Listed:
    """Read a JSON and keep what is usable. Only a file that is no panoptic JSON at all is an InputError."""
    from pydantic_core import from_json

    try:
        content = from_json(path.read_bytes())  # training's own parser
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}. Expected a JSON file in the COCO panoptic format.") from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON: {error}. It may be cut off; write it again.") from error
    parts = ("images", "annotations", "categories")
    lacking = [part for part in parts if not isinstance(content, dict) or not isinstance(content.get(part), list)]
    if lacking:
        raise InputError(f"{path} has no list {', '.join(lacking)}; expected a JSON in the COCO panoptic format.")
    if content["annotations"] and all(isinstance(a, dict) and "segmentation" in a for a in content["annotations"]):
        raise InputError(f"{path} is an instance JSON, not a panoptic one; make that of it with: unipan convert instances.")
    return listed(content)


def listed(content: Entry) -> Listed:
    """The usable rest of a JSON's content, joined by image_id, in the order of `images`."""
    faults: list[Fault] = []
    categories, raw = _categories(content["categories"], faults)
    images = _images(content["images"], faults)
    annotations = _annotations(content["annotations"], set(images), faults)
    pictures = []
    for image_id, image in images.items():
        annotation = annotations.get(image_id)
        if annotation is None:
            faults.append(Fault(Kind.NO_ANNOTATION, f"{image['file_name']} (id {image_id})"))
        elif _safe(image["file_name"], faults) and _safe(annotation["file_name"], faults):
            rows = rows_of(annotation, categories, faults)
            pictures.append(Picture(image_id, image["file_name"], annotation["file_name"], rows, _size(image)))
    return Listed(categories, pictures, raw, faults)


def _categories(entries: list[Any], faults: list[Fault]) -> tuple[dict[int, Category], list[Entry]]:
    kept: dict[int, Category] = {}
    raw: list[Entry] = []
    if not 0 < len(entries) < VOID:
        faults.append(Fault(Kind.CATEGORY_COUNT, f"{len(entries)} categories"))
    names: set[str] = set()
    for entry in entries:
        fault = category_fault(entry) if isinstance(entry, dict) else "is no class"
        if fault:
            faults.append(Fault(Kind.CATEGORY_MALFORMED, f"{short(entry)} {fault}"))
            continue
        id, name = entry["id"], entry["name"]
        if id in kept:
            faults.append(Fault(Kind.CATEGORY_REPEATED, f"id {id} ({kept[id].name}, {name})"))
            continue
        if name in names:
            faults.append(Fault(Kind.CATEGORY_REPEATED, f"name {name} (id {id})"))
            name = f"{name} {id}"
        names.add(name)
        kept[id] = Category(id, name, bool(entry["isthing"]))
        raw.append({**entry, "name": name})
    return kept, raw


def _images(entries: list[Any], faults: list[Fault]) -> dict[int | str, Entry]:
    kept: dict[int | str, Entry] = {}
    for entry in entries:
        if not _has(entry, "id", "file_name"):
            faults.append(Fault(Kind.ENTRY_MALFORMED, f"images: {short(entry)}"))
        elif entry["id"] in kept:
            faults.append(Fault(Kind.IMAGE_REPEATED, f"{entry['id']} ({kept[entry['id']]['file_name']}, {entry['file_name']})"))
        else:
            kept[entry["id"]] = entry
    return kept


def _annotations(entries: list[Any], images: set[int | str], faults: list[Fault]) -> dict[int | str, Entry]:
    kept: dict[int | str, Entry] = {}
    for entry in entries:
        if not _has(entry, "image_id", "file_name") or not isinstance(entry.get("segments_info"), list):
            faults.append(Fault(Kind.ENTRY_MALFORMED, f"annotations: {short(entry)}"))
        elif entry["image_id"] not in images:
            faults.append(Fault(Kind.NO_IMAGE, f"{entry['file_name']} (image_id {entry['image_id']})"))
        elif entry["image_id"] in kept:
            faults.append(Fault(Kind.ANNOTATION_REPEATED, f"{entry['file_name']} (image_id {entry['image_id']})"))
        else:
            kept[entry["image_id"]] = entry
    return kept


def _safe(name: str, faults: list[Fault]) -> bool:
    """Whether a file name stays below its folder."""
    if leads_out(name):
        faults.append(Fault(Kind.UNSAFE_NAME, name))
    return not leads_out(name)


def _size(image: Entry) -> Size | None:
    height, width = image.get("height"), image.get("width")
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _has(entry: Any, id_key: str, name_key: str) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get(id_key), int | str) and isinstance(entry.get(name_key), str)
