"""The COCO panoptic JSON: what a file must hold, read and checked once."""

import json
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, TypeVar

from unipan.classes import VOID_ID, ClassTable
from unipan.data.id_maps import MAX_ID
from unipan.data.json_files import json_bytes
from unipan.errors import InputError
from unipan.json_values import adapter

if TYPE_CHECKING:
    from pydantic import ValidationError

Form = TypeVar("Form")

RENUMBER = "Renumber these segments, in the JSON and in the PNG: 0 is void, and three bytes hold no more."
SHOWN = 5
"""How many of the faulty entries a message lists."""


@dataclass(slots=True)
class SegmentEntry:
    """One of an annotation's `segments_info`; its area and box are not read, because they are counted from the PNG."""

    id: int
    category_id: int
    iscrowd: int | None = 0
    score: Any = None
    """Of predictions; only whether it is there is looked at."""


@dataclass(slots=True)
class AnnotationEntry:
    """The labels of one image."""

    image_id: int | str
    file_name: str
    """The PNG, below the PNG folder."""
    segments_info: list[SegmentEntry]


@dataclass(slots=True)
class ImageEntry:
    """One image."""

    id: int | str
    file_name: str
    """The image, below the images folder."""


@dataclass(slots=True)
class PanopticJson:
    """A file's content; what else stands in the file is passed over."""

    images: list[ImageEntry]
    annotations: list[AnnotationEntry]
    categories: list[dict[str, Any]]


PANOPTIC = "a JSON file in the COCO panoptic format"


def read_json_as(form: type[Form], path: Path, what: str = PANOPTIC) -> Form:
    """Read a file and check that it has the form, in words `what`; whether its parts agree is not looked at."""
    try:
        once = [field.name for field in fields(form)] if is_dataclass(form) else []
        return parsed_as(form, json_bytes(path, once), path, what)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}. Expected {what}.") from error
    except InputError:
        if what == PANOPTIC:
            refuse_instances(path)
        raise


def parsed_as(form: type[Form], content: bytes, source: object, what: str) -> Form:
    """A JSON's content in the form, which is `what` in words. Raises: InputError about its `source` where it has another."""
    from pydantic import ValidationError

    try:
        return adapter(form).validate_json(content)
    except ValidationError as error:
        raise InputError(f"{source} is not {what}: {_first_fault(error, 'the file')}. Export it again in that form.") from error


@dataclass(slots=True)
class _Annotations:
    annotations: list[dict[str, Any]]


def refuse_instances(path: Path) -> None:
    """Name an instance JSON that came in a panoptic one's place. Raises: InputError where its annotations have segmentations."""
    try:
        annotations = read_json_as(_Annotations, path, "a JSON with annotations").annotations
    except InputError:
        return
    if any("segmentation" in entry for entry in annotations[:SHOWN]):
        raise InputError(
            f"{path} is an instance JSON, not a panoptic one; make that of it with: "
            f"unipan convert instances {path} --images IMAGES --out OUT."
        )


def fault_of(form: type[Any], value: Any) -> str:
    """What keeps a JSON value from being of the form; empty where nothing does."""
    from pydantic import ValidationError

    try:
        adapter(form).validate_python(value)
    except ValidationError as error:
        return _first_fault(error, "the entry")
    return ""


def _first_fault(error: "ValidationError", whole: str) -> str:
    first, *others = error.errors()
    where, what = first["loc"], first["msg"]
    if first["type"] == "dataclass_type":  # whose message names a class of ours
        what = "it is no JSON object"
    elif where and others and others[0]["loc"] == (*where[:-1], "str"):  # pydantic's name for what an id may be, too
        where, what = where[:-1], f"expected a whole number or a text, but it is {json.dumps(first['input'])[:40]}"
    return f"at {'.'.join(map(str, where)) or whole}: {what}"


def leads_out(name: str) -> bool:
    """Whether a file name out of a JSON is empty, absolute on any system, or climbs; C:a.png leads out only where drives are."""
    path = PureWindowsPath(name)
    return bool(not path.name or path.root or Path(name).drive) or ".." in path.parts


def twin(id: int | str) -> int | str:
    """An image id's other form, as text or as a number; one that has none as it is."""
    return str(id) if isinstance(id, int) else int(id) if id.isdecimal() and str(int(id)) == id else id


def stem_below(name: str) -> str:
    """A file name without its suffix, but with its folders: what an image and its PNG share."""
    path = PurePosixPath(name.replace("\\", "/"))
    return str(path.parent / path.stem)


def check_consistency(content: PanopticJson, classes: ClassTable, path: object) -> None:
    """Every annotation has an image, no image two; ids are unique, in range, of known categories; files stay in their folders.

    Images without an annotation are no fault: COCO has a few.
    """
    names = [entry.file_name for entry in (*content.images, *content.annotations)]
    _complain(path, "file names that lead out of their folder", [name for name in names if leads_out(name)])
    images = [image.id for image in content.images]
    annotated = [annotation.image_id for annotation in content.annotations]
    _complain(path, "image ids that stand more than once in images", _repeated(images))
    _complain(path, "image ids with more than one annotation", _repeated(annotated))
    with_image = set(images)
    strange = [i for i in annotated if i not in with_image]
    twins = [repr(i) for i in strange if twin(i) in with_image]
    _complain(
        path, "image_ids of annotations that are a text where images has a number, or the reverse", twins, "Write both alike."
    )
    _complain(path, "annotations whose image_id is not in images", strange)
    known = classes.index_of_dataset_id
    for annotation in content.annotations:
        segments, where = annotation.segments_info, f", annotation {annotation.file_name}"
        _complain(path, "segment ids that stand more than once" + where, _repeated(segment.id for segment in segments))
        outside = [segment.id for segment in segments if not VOID_ID < segment.id <= MAX_ID]
        _complain(path, f"segment ids outside 1..{MAX_ID}" + where, outside, RENUMBER)
        unknown = [s.category_id for s in segments if s.category_id not in known]
        _complain(path, "category_ids that are not in categories" + where, unknown)


def listing(values: Iterable[object], most: int = SHOWN) -> str:
    """The first few values for a message."""
    texts = [str(value) for value in values]
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def _repeated(values: Iterable[Hashable]) -> list[Hashable]:
    return [value for value, times in Counter(values).items() if times > 1]


def _complain(path: object, what: str, faulty: list[Any], remedy: str = "Mend or remove these entries.") -> None:
    if faulty:
        raise InputError(f"{path}: {what}: {listing(faulty)}. {remedy}")
