"""`unipan predict`: images to overlays and to files in the COCO panoptic format. No annotations needed."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from unipan.addresses import Address, Location, absolute, named, state_of, written_to
from unipan.checkpoint import open_run
from unipan.choices import OverlayForm, PanopticHead
from unipan.console import Table, counted, logger, warn
from unipan.data.address_log import AddressLog
from unipan.data.cityscapes_labels import with_label_ids
from unipan.data.coco_json import listing
from unipan.data.coco_writer import png_of
from unipan.data.image_ids import ids_in_json, ids_of_names, names_apart
from unipan.data.image_paths import check_apart
from unipan.data.prediction_log import PredictionLog, names_logged
from unipan.errors import plural
from unipan.files import check_lasting, make_folder
from unipan.ops.tiles import TileSize, tiling_of
from unipan.overrides import NO_OVERRIDES, Overrides
from unipan.recipes.image_locations import image_locations
from unipan.recipes.images import check_all_read, fit_to_name_after
from unipan.recipes.predict_image import ImageDone, ImageJob, ImageWorker, overlay_name
from unipan.recipes.predict_left import left_to_predict, remove_json
from unipan.recipes.predict_ray import RayOptions, named_absolutely, predicted_by_ray
from unipan.types import PanopticMap

LONGEST_NAME = "." + "_overlay.jpg" + ".tmp"
"""An overlay's name while it is written, around the stem of the image's."""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a call of `predict` wrote."""

    images: int
    """With those that were done before."""
    segments: int
    last: tuple[Location, PanopticMap] | None
    """The answer of the last image that this process predicted."""
    unreadable: list[Location]
    noted: dict[str, list[str]]
    """What is to be said of some images -> their names."""

    def sentences(self) -> list[str]:
        """What is to be said of some images, each once."""
        return [f"{plural(len(names), 'image')} {what}: {listing(names)}." for what, names in self.noted.items()]


def predict(
    run: str,
    images: Sequence[Location],
    out: Location,
    *,
    head: PanopticHead | None = None,
    overrides: Overrides = NO_OVERRIDES,
    truth: Path | None = None,
    overlay_form: OverlayForm = "jpg",
    tile: TileSize | None = None,
    skip_done: bool = False,
    device: str = "auto",
    ray: RayOptions | None = None,
) -> Predictions:
    """Write out/STEM_overlay.jpg and out/panoptic/STEM.png for each image as it comes, and at the end out/panoptic.json.

    images: files, or folders of them; where two bear one stem, all are named with their folders (FOLDER/STEM). One that can't be
    read is named and left out. head: another than the run's. overrides: limits and sizes other than the run's. truth: a JSON to
    take image ids from. overlay_form: what overlays are written as, if at all. tile: as in `Predictor.each`. skip_done: go on
    behind what an earlier call has done, which out/panoptic.jsonl tells; by address that is a folder of its pieces. ray: how Ray
    shares the images out; without it this process predicts them all.

    Small stuff is trimmed exactly as `evaluate` does. For Cityscapes' images and classes this is the form that its official
    evaluation reads: image ids are CITY_SEQUENCE_FRAME and categories label ids, whatever the run learnt from.
    """
    files, unreadable = fit_to_name_after(image_locations(images, out), LONGEST_NAME)
    names = names_apart([*map(named, files)])
    overlays = [overlay_name(name, overlay_form) for name in names]
    check_apart([*files, *files], [*overlays, *(f"panoptic/{png_of(name)}" for name in names)])
    ids = ids_of_names(names) if truth is None else ids_in_json(truth, [*map(named, files)])
    _, config, classes = open_run(run)
    worker = partial(ImageWorker, head=head, overrides=overrides, overlay_form=overlay_form, tile=tile)
    predicted = _engine(worker, run, images, out, device=device, ray=ray)
    last: tuple[Location, PanopticMap] | None = None
    noted: dict[str, list[str]] = {}
    settings = {
        "head": head or config.model.panoptic,
        "overrides": asdict(overrides),
        "truth": truth and str(truth),
        "overlay": overlay_form,
        "tile": None if tile is None else list(tiling_of(tile)),
    }
    with _log(out, origin_of(run, settings), names, resume=skip_done) as log:
        left = left_to_predict(log, [*map(ImageJob, files, names, ids)], out, given_ids=truth is not None)
        states = [state_of(job.source) for job in left]
        for job, state, done in zip(left, states, counted(predicted(left), "predicting", len(left)), strict=True):
            if done.image is None or done.annotation is None:
                logger.warning(f"left out: {done.unreadable}")
                unreadable.append(job.source)
                continue
            last = (job.source, done.answer) if done.answer is not None else None
            for what in done.remarks:
                noted.setdefault(what, []).append(job.name)
            log.add(absolute(job.source), state, done.image, done.annotation)
        if not log.done:
            check_all_read(unreadable)
        with written_to(out) as folder:
            log.write_json(folder / "panoptic.json", with_label_ids(classes))
    return Predictions(images=len(log.done), segments=log.segments, last=last, unreadable=unreadable, noted=noted)


def _tell_replaced(out: Path, names: Sequence[str]) -> None:
    """Which images of an earlier call are no longer in its JSON."""
    now = set(names)
    others = [name for name in names_logged(out / "panoptic.jsonl") if name not in now]
    if others:
        warn(
            f"{out} holds an earlier call's answers:",
            f"those of {plural(len(others), 'image')} keep their files, but leave panoptic.json (with --skip-done and the same "
            f"settings they would stay in it): {listing(others)}",
        )


def _engine(
    worker: Callable[..., ImageWorker],
    run: str,
    images: Sequence[Location],
    out: Location,
    *,
    device: str,
    ray: RayOptions | None,
) -> Callable[[Sequence[ImageJob]], Iterator[ImageDone]]:
    if ray is None:
        return partial(map, worker(run, out, device=device))
    for where in (*images, out):  # Ray's processes are others
        check_lasting(where)
    return partial(predicted_by_ray, partial(worker, named_absolutely(run), absolute(out)), ray, device=device)


def _log(out: Location, origin: dict[str, Any], names: Sequence[str], *, resume: bool) -> PredictionLog:
    if isinstance(out, Path):
        make_folder(out)
    if not resume:
        remove_json(out)
    if isinstance(out, Address):
        return AddressLog(out.below("panoptic.jsonl"), origin, resume=resume)
    if not resume:
        _tell_replaced(out, names)
    return PredictionLog(out / "panoptic.jsonl", origin, resume=resume)


def origin_of(run: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What answers follow from."""
    with open_run(run)[0].model.open("rb") as file:
        return {"weights": hashlib.file_digest(file, "sha256").hexdigest(), **settings, "unipan": version("unipan")}


def segment_table(file: Location, panoptic: PanopticMap) -> Table:
    """The segments of one answer, things first, large ones first."""
    table = Table(named(file).name)
    for name in ("segment", "class", "kind", "score", "area, px", "box x1 y1 x2 y2"):
        table.add_column(name, justify="left" if name in ("class", "kind") else "right")
    for segment in sorted(panoptic.segments, key=lambda s: (not s.is_thing, -s.area)):
        kind, score = ("thing", f"{segment.score:.2f}") if segment.is_thing else ("stuff", "")
        table.add_row(str(segment.id), segment.name, kind, score, str(segment.area), " ".join(map(str, segment.box)))
    return table
