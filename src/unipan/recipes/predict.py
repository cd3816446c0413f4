"""`unipan predict`: images to overlays and to files in the COCO panoptic format. No annotations needed."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

from unipan.answer import Inference
from unipan.checkpoint import open_run
from unipan.choices import OverlayForm, PanopticHead
from unipan.console import Table
from unipan.data.cityscapes_labels import with_label_ids
from unipan.data.coco_json import listing, stem_below
from unipan.data.coco_writer import Entry, png_of, write_entry
from unipan.data.image_ids import ids_in_json, ids_of_names, names_apart
from unipan.data.image_paths import check_apart
from unipan.data.prediction_log import PredictionLog
from unipan.errors import plural
from unipan.files import make_folder
from unipan.ops.image_range import dim_range
from unipan.ops.tiles import TileSize, tiling_of
from unipan.overrides import NO_OVERRIDES, Overrides
from unipan.predictor import Predictor, load
from unipan.recipes.evaluation.limits import limits_reached
from unipan.recipes.images import check_all_read, image_files, readable
from unipan.tiled import predict_tiled
from unipan.types import PanopticMap
from unipan.viz.canvas import save_image
from unipan.viz.overlay import overlay

LIMIT = "came up to the limit {}, so there may be more in them"
DIM = "use so little of their numbers' range (16 or 32 bits) that the network sees them nearly black"


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a call of `predict` wrote."""

    images: int
    """With those that were done before."""
    segments: int
    last: tuple[Path, PanopticMap] | None
    """The answer of the last image that was predicted."""
    unreadable: list[Path]
    noted: dict[str, list[str]]
    """What is to be said of some images -> their names."""

    def sentences(self) -> list[str]:
        """What is to be said of some images, each once."""
        return [f"{plural(len(names), 'image')} {what}: {listing(names)}." for what, names in self.noted.items()]


def predict(
    run: str,
    images: Sequence[Path],
    out: Path,
    *,
    head: PanopticHead | None = None,
    overrides: Overrides = NO_OVERRIDES,
    truth: Path | None = None,
    overlay_form: OverlayForm = "jpg",
    tile: TileSize | None = None,
    skip_done: bool = False,
    device: str = "auto",
) -> Predictions:
    """Write out/STEM_overlay.jpg and out/panoptic/STEM.png for each image as it comes, and at the end out/panoptic.json.

    images: files, or folders of them; where two bear one stem, all are named with their folders (FOLDER/STEM). One that can't be
    read is named and left out. head: another than the run's. overrides: limits and sizes other than the run's. truth: a JSON to
    take image ids from. overlay_form: what overlays are written as, if at all. tile: as in `Predictor.each`. skip_done: go on
    behind what an earlier call has done, which out/panoptic.jsonl tells.

    Small stuff is trimmed exactly as `evaluate` does. For Cityscapes' images and classes this is the form that its official
    evaluation reads: image ids are CITY_SEQUENCE_FRAME and categories label ids, whatever the run learnt from.
    """
    files = image_files(images, out)
    names = names_apart(files)
    overlays = [_overlay_name(name, overlay_form) for name in names]
    check_apart([*files, *files], [*overlays, *(f"panoptic/{png_of(name)}" for name in names)])
    ids = ids_of_names(names) if truth is None else ids_in_json(truth, files)
    predictor = load(run, head=head, device=device, overrides=overrides)
    classes, last = with_label_ids(predictor.classes), None
    unreadable: list[Path] = []
    noted: dict[str, list[str]] = {}
    make_folder(out)
    settings = {"head": predictor.head, "overrides": asdict(overrides), "truth": truth and str(truth), "overlay": overlay_form}
    settings["tile"] = None if tile is None else list(tiling_of(tile))
    with PredictionLog(out / "panoptic.jsonl", origin_of(run, settings), resume=skip_done) as log:
        left = [job for job in zip(files, names, ids, strict=True) if not log.has(job[1], job[0].absolute())]
        for index, pixels in readable([file for file, _, _ in left], "predicting", unreadable):
            file, name, image_id = left[index]
            answer, reached = _answered(predictor, pixels, tile)
            last = file, answer
            for what in (*map(LIMIT.format, reached), *([DIM] if dim_range(file) else [])):
                noted.setdefault(what, []).append(name)
            if overlay_form != "none":
                save_image(overlay(last[1], pixels), out / _overlay_name(name, overlay_form))
            log.add(file.absolute(), *write_entry(out / "panoptic", Entry(image_id, name, last[1]), classes, scores=True))
        if not log.sources:
            check_all_read(unreadable)
        log.write_json(out / "panoptic.json", classes)
    return Predictions(images=len(log.sources), segments=log.segments, last=last, unreadable=unreadable, noted=noted)


def _answered(predictor: Predictor, pixels: Tensor, tile: TileSize | None) -> tuple[PanopticMap, list[str]]:
    """The answer, and the limits, by their options' names, that it or one of its tiles came up to."""
    reached: dict[str, None] = {}

    def look(inference: Inference) -> None:
        reached.update(dict.fromkeys(limits_reached(predictor, inference)))

    if tile is not None:
        return predict_tiled(predictor, pixels, tile, seen=look), list(reached)
    inference = predictor.infer(pixels)
    look(inference)
    return predictor.answer(inference), list(reached)


def origin_of(run: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What answers follow from."""
    with open_run(run)[0].model.open("rb") as file:
        return {"weights": hashlib.file_digest(file, "sha256").hexdigest(), **settings, "unipan": version("unipan")}


def _overlay_name(name: str, form: OverlayForm) -> str:
    return f"{stem_below(name)}_overlay.{form}"


def segment_table(file: Path, panoptic: PanopticMap) -> Table:
    """The segments of one answer, things first, large ones first."""
    table = Table(file.name)
    for name in ("segment", "class", "kind", "score", "area, px", "box x1 y1 x2 y2"):
        table.add_column(name, justify="left" if name in ("class", "kind") else "right")
    for segment in sorted(panoptic.segments, key=lambda s: (not s.is_thing, -s.area)):
        kind, score = ("thing", f"{segment.score:.2f}") if segment.is_thing else ("stuff", "")
        table.add_row(str(segment.id), segment.name, kind, score, str(segment.area), " ".join(map(str, segment.box)))
    return table
