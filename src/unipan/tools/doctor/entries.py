"""Read a COCO panoptic JSON whatever is wrong with it, and collect the faults of its entries. Nothing here opens an image."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from unipan.classes import VOID, ClassInfo, category_fault, class_of, color_fault
from unipan.data.coco_json import AnnotationEntry, ImageEntry, fault_of, leads_out, listing, twin
from unipan.data.json_files import json_bytes
from unipan.errors import InputError, plural
from unipan.json_values import read_as, read_id
from unipan.tools.doctor.faults import Kind
from unipan.tools.doctor.findings import Fault
from unipan.tools.doctor.segments import Entry, ListedSegment, Refused, part, short, usable_segments
from unipan.tools.doctor.severity import Severity
from unipan.types import Size

Id = int | str


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image with its annotation: what there is to look at."""

    image_id: Id
    file_name: str
    png_name: str
    segments: tuple[ListedSegment, ...]
    size: Size | None
    """As the JSON has it."""
    refused: Refused = field(default_factory=Refused)
    """Ids of its segments that can't be used."""


@dataclass(frozen=True)
class Listed:
    """The usable rest of a JSON, and what is wrong with all else."""

    categories: dict[int, ClassInfo]
    labelled: list[LabelledImage]
    raw_categories: list[Entry]
    """Of the usable categories, every key that stands there."""
    faults: list[Fault]
    annotated: int
    """Images that annotations name, usable or not."""


def read_listed(path: Path) -> Listed:
    """Read a JSON and keep what is usable. Only a file that is no panoptic JSON at all is an InputError."""
    from pydantic_core import from_json

    parts = ("images", "annotations", "categories")
    try:
        text = json_bytes(path, parts)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}. Expected a JSON file in the COCO panoptic format.") from error
    try:
        content = from_json(text)  # training's own parser
    except ValueError as error:
        raise InputError(f"{path} is no JSON: {error}. It may be cut off; write it again.") from error
    lacking = [part for part in parts if not isinstance(content, dict) or not isinstance(content.get(part), list)]
    if lacking:
        raise InputError(f"{path} has no list {', '.join(lacking)}; expected a JSON in the COCO panoptic format.")
    if content["annotations"] and all(isinstance(a, dict) and "segmentation" in a for a in content["annotations"]):
        raise InputError(f"{path} is an instance JSON, not a panoptic one; make that of it with: unipan convert instances.")
    return listed(content)


def listed(content: Entry) -> Listed:
    """The usable rest of a JSON's content, joined by image_id, in the order of `images`."""
    faults: list[Fault] = []
    categories, raw, refused_categories = _categories(content["categories"], faults)
    of_categories = len(faults)
    images, refused_images = _images(content["images"], faults)
    annotations, refused_annotations = _annotations(content["annotations"], images, refused_images, faults)
    labelled, unlabelled = [], []
    for image_id, (image, size) in images.items():
        annotation = annotations.get(image_id)
        if annotation is None:
            if not refused_annotations.explains(image_id):
                unlabelled.append(Fault(Kind.IMAGE_WITHOUT_ANNOTATION, f"{image.file_name} (id {image_id})"))
            continue
        png_name = annotation["file_name"]
        segments, refused = usable_segments(annotation["segments_info"], png_name, categories, refused_categories, faults)
        if not leads_out(image.file_name) and not leads_out(png_name):
            labelled.append(LabelledImage(image_id, image.file_name, png_name, segments, size, refused))
    if labelled or any(fault.kind.severity is Severity.ERROR for fault in faults[of_categories:]):
        faults += unlabelled
    else:
        faults.append(Fault(Kind.NOTHING_LABELLED, f"{plural(len(images), 'image')}, no annotation"))
    annotated = {str(part(entry, "image_id")) for entry in content["annotations"]}
    return Listed(categories, labelled, raw, faults, len(annotated))


def _categories(entries: list[Any], faults: list[Fault]) -> tuple[dict[int, ClassInfo], list[Entry], Refused]:
    kept: dict[int, ClassInfo] = {}
    raw: dict[int, Entry] = {}
    refused = Refused()
    if not 0 < len(entries) <= VOID:
        faults.append(Fault(Kind.CATEGORY_COUNT, plural(len(entries), "category", "categories")))
        refused.add(None)
    names: set[str] = set()
    for entry in entries:
        fault = category_fault({**entry, "color": None}) if isinstance(entry, dict) else "is no class"
        if fault:
            faults.append(Fault(Kind.CATEGORY_MALFORMED, f"{short(entry)} {fault}"))
            refused.add(read_as(int, part(entry, "id")))
            continue
        if color_fault(entry):
            faults.append(Fault(Kind.CATEGORY_COLOR, f"{entry['name']}: {short(entry['color'])}"))
            entry = {key: value for key, value in entry.items() if key != "color"}
        info = class_of(entry, len(kept))
        id, first = info.dataset_id, kept.get(info.dataset_id)
        if first is not None:
            kind = Kind.CATEGORY_REPEATED if first.described == info.described else Kind.CATEGORY_AMBIGUOUS
            faults.append(Fault(kind, f"id {id} is {first.described} and {info.described}"))
            continue
        if info.name in names:
            faults.append(Fault(Kind.CATEGORY_REPEATED, f"name {info.name} (id {id})"))
            info = replace(info, name=f"{info.name} {id}")
        names.add(info.name)
        kept[id] = info
        raw[id] = {**entry, "id": id, "name": info.name, "isthing": int(info.is_thing)}
    return kept, list(raw.values()), refused


def _images(entries: list[Any], faults: list[Fault]) -> tuple[dict[Id, tuple[ImageEntry, Size | None]], Refused]:
    """By id. Of an id that stands for several files nobody knows which its annotation means."""
    by_id, refused = defaultdict[Id, list[tuple[ImageEntry, Size | None]]](list), Refused()
    for entry in entries:
        image = read_as(ImageEntry, entry)
        if image is None:
            faults.append(Fault(Kind.ENTRY_MALFORMED, f"images: {short(entry)}, {fault_of(ImageEntry, entry)}"))
            refused.add(read_id(part(entry, "id")))
            continue
        _check_name(image.file_name, faults)
        height, width = read_as(int, entry.get("height")), read_as(int, entry.get("width"))
        by_id[image.id].append((image, None if height is None or width is None else (height, width)))
    kept = {}
    for id, several in by_id.items():
        names = [image.file_name for image, _ in several]
        if len(names) > 1:
            faults.append(Fault(Kind.IMAGE_REPEATED, f"{id} is {' and '.join(names)}"))
        if len(set(names)) == 1:
            kept[id] = several[0]
        else:
            refused.add(id)
    return kept, refused


def _annotations(
    entries: list[Any], images: dict[Id, Any], refused_images: Refused, faults: list[Fault]
) -> tuple[dict[Id, Entry], Refused]:
    """By image id. Of several annotations that disagree nobody knows which is right."""
    by_id, refused, kept = defaultdict[Id, list[Entry]](list), Refused(), dict[Id, Entry]()
    for entry in entries:
        shell = {**entry, "segments_info": []} if isinstance(entry, dict) else entry
        annotation = read_as(AnnotationEntry, shell)
        if annotation is None or not isinstance(part(entry, "segments_info"), list):
            faults.append(Fault(Kind.ENTRY_MALFORMED, f"annotations: {short(entry)}, {fault_of(AnnotationEntry, entry)}"))
            refused.add(read_id(part(entry, "image_id")))
            continue
        _check_name(annotation.file_name, faults)
        image_id, where = annotation.image_id, f"{annotation.file_name} (image_id {annotation.image_id!r})"
        if image_id not in images and twin(image_id) in images:
            faults.append(Fault(Kind.IMAGE_ID_FORM, where))
            image_id = twin(image_id)
        if image_id in images:
            by_id[image_id].append(entry)
        elif not refused_images.explains(image_id):
            faults.append(Fault(Kind.ANNOTATION_WITHOUT_IMAGE, where))
    for id, several in by_id.items():
        if len(several) > 1:
            faults.append(Fault(Kind.ANNOTATION_REPEATED, f"image_id {id}: {_names(several)}"))
        if all(
            (one["file_name"], one["segments_info"]) == (several[0]["file_name"], several[0]["segments_info"]) for one in several
        ):
            kept[id] = several[0]
        else:
            refused.add(id)
    return kept, refused


def _names(annotations: Sequence[Entry]) -> str:
    """Each annotation's PNG and what it says of it, so that two meanings are seen."""
    return " and ".join(f"{one['file_name']} (segments of the categories {_categories_of(one)})" for one in annotations)


def _categories_of(annotation: Entry) -> str:
    segments = [segment for segment in annotation["segments_info"] if isinstance(segment, dict)]
    return listing([str(segment.get("category_id", "?")) for segment in segments]) or "none"


def _check_name(name: str, faults: list[Fault]) -> None:
    """A file name must stay below its folder."""
    if leads_out(name):
        faults.append(Fault(Kind.UNSAFE_FILE_NAME, name))
