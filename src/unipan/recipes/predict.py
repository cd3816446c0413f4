"""`unipan predict`: images to overlays and to files in the COCO panoptic format. No annotations needed."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from unipan.checkpoint import make_folder
from unipan.config import Device, PanopticHead
from unipan.console import Table, counted
from unipan.data.cityscapes_labels import image_id_of, with_label_ids
from unipan.data.coco_json import stem_below
from unipan.data.coco_writer import Entry, write_panoptic
from unipan.data.image_paths import find_files
from unipan.errors import InputError
from unipan.ops.images import read_image
from unipan.predictor import load
from unipan.types import PanopticMap
from unipan.viz.overlay import overlay


def predict(
    run: str, images: Sequence[Path], out: Path, *, head: PanopticHead | None = None, device: Device = "auto"
) -> list[tuple[Path, PanopticMap]]:
    """Write out/STEM_overlay.png for each image, and out/panoptic.json with out/panoptic/STEM.png; return the answers.

    images: files, or folders of them; where two bear one stem, all are named with their folders (FOLDER/STEM).
    head: another than the one that the run was trained for. Trims small stuff exactly as
    `evaluate` does. For Cityscapes' pictures and classes this is the form that its official evaluation reads: image ids are
    CITY_SEQUENCE_FRAME and categories are label ids, also where the run learnt from the JSON with train ids.
    """
    files = image_files(images)
    is_clear = len({file.stem for file in files}) == len(files)
    names = [file.name if is_clear else f"{file.absolute().parent.name}/{file.name}" for file in files]
    predictor = load(run, head=head, device=device)
    answers: list[tuple[Path, PanopticMap]] = []

    def entries() -> Iterator[Entry]:
        for file, name in zip(counted(files, "predicting", len(files)), names, strict=True):
            pixels = read_image(file)
            answer = predictor(pixels)
            picture = out / f"{stem_below(name)}_overlay.png"
            make_folder(picture.parent)
            overlay(answer, pixels, predictor.classes).save(picture)
            answers.append((file, answer))
            yield Entry(image_id_of(name), name, answer)

    make_folder(out)
    classes = with_label_ids(predictor.classes)
    write_panoptic(out, entries(), classes, json_name="panoptic.json", png_folder="panoptic", scores=True)
    return answers


def image_files(paths: Sequence[Path]) -> list[Path]:
    """The files named, and those in the folders named, in order, of all levels."""
    if not paths:
        raise InputError("no image is named; name at least one file, or a folder of them.")
    files: list[Path] = []
    for path in paths:
        found = find_files(path).paths if path.is_dir() else [path]
        if not found:
            raise InputError(f"the folder {path} holds no image; name one that does.")
        files += found
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise InputError(f"there is no image file {missing[0]}; check the path.")
    return files


def segment_table(file: Path, panoptic: PanopticMap) -> Table:
    """The segments of one answer, things first, large ones first."""
    table = Table(file.name)
    for name in ("segment", "class", "kind", "score", "area, px", "box x1 y1 x2 y2"):
        table.add_column(name, justify="left" if name in ("class", "kind") else "right")
    for segment in sorted(panoptic.segments, key=lambda s: (not s.is_thing, -s.area)):
        kind, score = ("thing", f"{segment.score:.2f}") if segment.is_thing else ("stuff", "")
        table.add_row(str(segment.id), segment.name, kind, score, str(segment.area), " ".join(map(str, segment.box)))
    return table
