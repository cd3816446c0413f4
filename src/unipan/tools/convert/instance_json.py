"""The COCO instance JSON: what a file must hold, read and checked once."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from unipan.data.coco_json import fault_of, read_json_as
from unipan.errors import InputError, about, noted
from unipan.json_values import read_as
from unipan.tools.convert.source import safe_name

ImageId = int | str


@dataclass(slots=True)
class InstanceEntry:
    """One annotation."""

    image_id: ImageId
    category_id: int
    id: int | str | None = None
    """Where a tool wrote none, `read_instance_json` says which of the list it is."""
    segmentation: Any = None
    """Whatever a tool wrote; see `segmentation_patch`."""
    iscrowd: int | None = 0


@dataclass(slots=True)
class ImageEntry:
    """One image."""

    id: ImageId
    file_name: str
    height: int | None = None
    width: int | None = None


_FIRST_THAT_FITS = Field(union_mode="left_to_right")


@dataclass(slots=True)
class _Content:
    """The file; an entry that is none stays as it stands there."""

    images: list[Annotated[ImageEntry | Any, _FIRST_THAT_FITS]]
    annotations: list[Annotated[InstanceEntry | Any, _FIRST_THAT_FITS]]
    categories: list[dict[str, Any]]


@dataclass
class InstanceJson:
    """What of a file can be used; ids are unique and known where they are used, and file names stay in their folder."""

    categories: list[dict[str, Any]]
    images: dict[ImageId, ImageEntry] = field(default_factory=dict)
    annotations: dict[ImageId, list[InstanceEntry]] = field(default_factory=lambda: defaultdict(list))
    """Of each image, in the file's order."""
    faults: list[str] = field(default_factory=list)
    """A sentence for each entry that can't be used; of an image that is left out, the annotations are not named."""


def read_instance_json(path: Path) -> InstanceJson:
    """Read a file. Raises: InputError where it is none, lists no images, or its ids are of two kinds."""
    raw = read_json_as(_Content, path, "a COCO instance JSON")
    content = InstanceJson(raw.categories)
    with about(path):
        if any(isinstance(entry, dict) and "segments_info" in entry for entry in raw.annotations):
            raise InputError("it is a panoptic JSON, which training reads as it is (--data.train); nothing is to be converted.")
        if not raw.images:
            raise InputError("it lists no images; expected at least one.")
        for position, entry in enumerate(raw.annotations, 1):
            if isinstance(entry, InstanceEntry) and entry.id is None:
                entry.id = f"{position} of the list"
        listed = _add_images(content, raw.images)
        _check_kinds(raw.annotations, listed)
        _add_annotations(content, raw.annotations, listed)
    content.faults = [f"{path}, {fault}" for fault in content.faults]
    return content


def _add_images(content: InstanceJson, entries: list[Any]) -> set[ImageId]:
    """Keep the usable images; returns all ids that are listed. Of an id that stands twice nobody knows whose annotations are."""
    listed: set[ImageId] = set()
    for position, entry in enumerate(entries, 1):
        if not isinstance(entry, ImageEntry):
            content.faults.append(f"entry {position} of images: {fault_of(ImageEntry, entry)}. Mend or remove it.")
            listed |= {entry["id"]} if isinstance(entry, dict) and isinstance(entry.get("id"), int | str) else set()
        elif entry.id in listed:
            first = content.images.pop(entry.id, None)
            names = f"{first.file_name} and {entry.file_name}" if first else f"also {entry.file_name}"
            content.faults.append(f"images: the id {entry.id} stands more than once ({names}); each image needs one of its own.")
        else:
            listed.add(entry.id)
            with noted(content.faults, f"image {entry.id}"):
                entry.file_name = safe_name(entry.file_name)
                content.images[entry.id] = entry
    return listed


def _check_kinds(entries: list[Any], listed: set[ImageId]) -> None:
    """Text never equals a number: where that parts annotations from their images, it is one fault and no reason to remove any."""
    strays = [entry for entry in entries if isinstance(entry, InstanceEntry) and entry.image_id not in listed]
    kinds, texts = {type(id) for id in listed}, {str(id) for id in listed}
    odd = [entry for entry in strays if type(entry.image_id) not in kinds or str(entry.image_id) in texts]
    if listed and odd:
        first = odd[0]
        here, there = ("text", "numbers") if isinstance(first.image_id, str) else ("numbers", "text")
        raise InputError(
            f"the image ids are {here} in {len(odd)} annotations (first annotation {first.id}: {first.image_id!r}) but {there} "
            "in images; write both alike."
        )


def _add_annotations(content: InstanceJson, entries: list[Any], listed: set[ImageId]) -> None:
    """Keep the usable annotations, each below its image."""
    known = {read_as(int, entry.get("id")) for entry in content.categories}  # of other ids the class table complains
    images_of: dict[str, str] = {}  # by the annotation's id: 1 and "1" are one
    for position, entry in enumerate(entries, 1):
        if not isinstance(entry, InstanceEntry):
            content.faults.append(f"{_where(entry, position, content)}: {fault_of(InstanceEntry, entry)}. Mend or remove it.")
            continue
        if entry.image_id in listed and entry.image_id not in content.images:
            continue
        where = content.images[entry.image_id].file_name if entry.image_id in content.images else ""
        with noted(content.faults, f"annotation {entry.id}" + f" ({where})" * bool(where)):
            if not where:
                raise InputError(f"its image_id {entry.image_id!r} is no image that the file lists; add the image, or remove it.")
            if entry.category_id not in known:
                raise InputError(f"its category {entry.category_id} is none that the file lists; add the category.")
            if str(entry.id) in images_of:
                raise InputError(f"its id stands before, too ({images_of[str(entry.id)]}); each annotation needs one of its own.")
            images_of[str(entry.id)] = where
            content.annotations[entry.image_id].append(entry)


def _where(entry: Any, position: int, content: InstanceJson) -> str:
    """A malformed annotation in words, as far as it can be told which it is."""
    fields = entry if isinstance(entry, dict) else {}
    id = fields.get("image_id")
    image = content.images.get(id) if isinstance(id, int | str) else None
    name = f"annotation {fields['id']}" if "id" in fields else f"entry {position} of annotations"
    return f"{name} ({image.file_name})" if image else name
