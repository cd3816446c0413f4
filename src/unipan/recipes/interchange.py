"""`unipan interchange`: panoptic files, predicted or true, in the form of another tool."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any, assert_never

from unipan.choices import Form
from unipan.console import counted
from unipan.data.coco_files import PanopticFile, read_panoptic_file
from unipan.data.coco_json import leads_out, listing, stem_below
from unipan.data.image_paths import check_apart
from unipan.data.json_files import json_bytes
from unipan.errors import InputError, about
from unipan.files import make_folder, write_json
from unipan.interchange import Entry, to_coco_instances, to_geojson, to_label_studio, to_labelme
from unipan.ops.images import is_file

ONE_FILE: dict[Form, str] = {"coco-instances": "instances.json", "label-studio": "tasks.json"}
EACH_SUFFIX: dict[Form, str] = {"labelme": ".json", "geojson": ".geojson"}


@dataclass
class Written:
    """What a call wrote."""

    images: int = 0
    segments: int = 0


def write_form(form: Form, path: Path, out: Path, *, folder: Path | None = None, image_prefix: str = "") -> Written:
    """Write the maps of a COCO panoptic JSON in another form below `out`; nothing is rounded, every pixel is there.

    coco-instances: instances.json. label-studio: tasks.json. labelme, geojson: a file an image, by its name, in its subfolder.
    folder: where the PNGs are; without it, the folder beside the JSON that has its name without `.json`. image_prefix: what
    stands before the images' names in Label Studio's tasks.

    Raises: InputError, before anything is written, where one of these files is there: people correct them by hand.
    """
    if image_prefix and form != "label-studio":
        raise InputError(f"--image-prefix came, but {form} names images by their files; it is for label-studio: leave it out.")
    source, written = read_panoptic_file(path, folder), Written()
    entries, targets = _entries(source, written), _targets(form, source, out)
    make_folder(out)
    match form:
        case "coco-instances":
            write_json(targets[0], to_coco_instances(entries), indent=None)
        case "label-studio":
            write_json(targets[0], [to_label_studio(one.panoptic, image_prefix + one.file_name) for one in entries], indent=None)
        case "labelme":
            for target, one in zip(targets, entries, strict=True):
                _write_below(target, to_labelme(one.panoptic, Path(one.file_name).name))
        case "geojson":
            for target, one in zip(targets, entries, strict=True):
                _write_below(target, to_geojson(one.panoptic))
        case _:
            assert_never(form)
    return written


def _targets(form: Form, source: PanopticFile, out: Path) -> list[Path]:
    """What will be written: files named after the images.

    After their PNGs where the JSON names none below one folder, and where two names would have one stem.
    """
    if form in ONE_FILE:
        targets = [out / ONE_FILE[form]]
    else:
        pairs = zip(source.image_names, source.png_names, strict=True)
        own = [png if leads_out(image) else image for image, png in pairs]
        times = Counter(map(stem_below, own))
        sources = [png if times[stem_below(name)] > 1 else name for name, png in zip(own, source.png_names, strict=True)]
        names = [stem_below(name) + EACH_SUFFIX[form] for name in sources]
        check_apart(sources, names)
        targets = [out / name for name in names]
    there = [target for target in targets if is_file(target)]
    if there:
        raise InputError(f"{listing(there)} is there already, perhaps with corrections; name another --out, or remove it.")
    return targets


def _entries(source: PanopticFile, written: Written) -> Iterator[Entry]:
    """Image by image, with the scores that the JSON may have, which reading it for training and scoring passes over."""
    annotations = json.loads(json_bytes(source.path))["annotations"]
    for position in counted(range(len(annotations)), "writing", len(annotations)):
        panoptic = source.map(position)
        with about(f"{source.path}: {source.png_names[position]}"):
            scores = [_score(one) for one in annotations[position]["segments_info"]]
        segments = tuple(replace(segment, score=score) for segment, score in zip(panoptic.segments, scores, strict=True))
        written.images, written.segments = written.images + 1, written.segments + len(segments)
        name = source.image_names[position] or source.png_names[position]
        yield Entry(source.image_ids[position], name.replace("\\", "/"), replace(panoptic, segments=segments))


def _score(segment: dict[str, Any]) -> float:
    """Of a JSON's segment; 1 where it has none."""
    stated = segment.get("score")
    with suppress(ValueError, TypeError, OverflowError):
        if isfinite(score := 1.0 if stated is None else float(stated)):
            return score
    raise InputError(f"segment {segment['id']} has the score {stated!r}; expected a number, or no score.")


def _write_below(path: Path, content: object) -> None:
    make_folder(path.parent)
    write_json(path, content, indent=None)
