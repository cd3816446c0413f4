"""`unipan interchange`: panoptic files, predicted or true, in the form of another tool."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

from unipan.choices import Form
from unipan.console import counted
from unipan.data.coco_files import PanopticFile, read_panoptic_file
from unipan.data.coco_json import json_bytes, stem_below
from unipan.files import make_folder, write_json
from unipan.interchange import Entry, to_coco_instances, to_geojson, to_label_studio, to_labelme


@dataclass
class Written:
    """What a call wrote."""

    images: int = 0
    segments: int = 0


def write_form(form: Form, path: Path, out: Path, *, folder: Path | None = None) -> Written:
    """Write the maps of a COCO panoptic JSON in another form below `out`; nothing is rounded, every pixel is there.

    coco-instances: instances.json. label-studio: tasks.json. labelme, geojson: a file for each image, in its subfolder.
    folder: where the PNGs are; without it, the folder beside the JSON that has its name without `.json`.
    """
    source, written = read_panoptic_file(path, folder), Written()
    entries = _entries(source, written)
    make_folder(out)
    match form:
        case "coco-instances":
            write_json(out / "instances.json", to_coco_instances(entries), indent=None)
        case "label-studio":
            write_json(out / "tasks.json", [to_label_studio(one.panoptic, one.file_name) for one in entries], indent=None)
        case "labelme":
            for png, one in zip(source.png_names, entries, strict=True):
                _write_below(out, png, ".json", to_labelme(one.panoptic, Path(one.file_name).name))
        case "geojson":
            for png, one in zip(source.png_names, entries, strict=True):
                _write_below(out, png, ".geojson", to_geojson(one.panoptic))
        case _:
            assert_never(form)
    return written


def _entries(source: PanopticFile, written: Written) -> Iterator[Entry]:
    """Image by image, with the scores that the JSON may have, which reading it for training and scoring passes over."""
    annotations = json.loads(json_bytes(source.path))["annotations"]
    for position in counted(range(len(annotations)), "writing", len(annotations)):
        panoptic = source.map(position)
        scores = [one.get("score") for one in annotations[position]["segments_info"]]
        segments = tuple(
            replace(segment, score=float(score) if isinstance(score, int | float) else 1.0)
            for segment, score in zip(panoptic.segments, scores, strict=True)
        )
        written.images, written.segments = written.images + 1, written.segments + len(segments)
        name = source.image_names[position] or source.png_names[position]
        yield Entry(source.image_ids[position], name, replace(panoptic, segments=segments))


def _write_below(out: Path, png: str, suffix: str, content: object) -> None:
    """Beside the names of the PNGs, which were found to lead out of no folder."""
    path = out / (stem_below(png) + suffix)
    make_folder(path.parent)
    write_json(path, content, indent=None)
