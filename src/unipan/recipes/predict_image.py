"""One image's part of `unipan predict`: read, predicted, written. What this process does, or others beside it."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from unipan.addresses import Address, Location, read_bytes, written_to
from unipan.answer import Inference
from unipan.choices import OverlayForm, PanopticHead
from unipan.data.cityscapes_labels import with_label_ids
from unipan.data.coco_json import stem_below
from unipan.data.coco_writer import Entry, write_entry
from unipan.errors import InputError, about
from unipan.ops.frames import further_frames
from unipan.ops.image_range import dim_range
from unipan.ops.images import read_image
from unipan.ops.tiles import TileSize
from unipan.overrides import Overrides
from unipan.predictor import load
from unipan.recipes.evaluation.limits import limits_reached
from unipan.tiled import predict_tiled
from unipan.types import PanopticMap
from unipan.viz.canvas import save_image
from unipan.viz.overlay import overlay

LIMIT = "came up to the limit {}, so there may be more"
DIM = "used so little of the numbers' range (16 or 32 bits) that the network saw nearly black"
FRAMES = "held further pages or frames, of which only the first was read; save each as a file of its own"


class ImageJob(NamedTuple):
    """An image to predict."""

    source: Location
    name: str  # in the files that are written
    image_id: int | str


class ImageDone(NamedTuple):
    """What became of it."""

    unreadable: str = ""  # why it could not be read, if so
    image: dict[str, Any] | None = None  # its entries in the JSON
    annotation: dict[str, Any] | None = None
    remarks: Sequence[str] = ()
    answer: PanopticMap | None = None


class ImageWorker:
    """Call it with a job: writes out/STEM_overlay.jpg and out/panoptic/STEM.png."""

    def __init__(
        self,
        run: str,
        out: Location,
        *,
        head: PanopticHead | None,
        overrides: Overrides,
        overlay_form: OverlayForm,
        tile: TileSize | None,
        device: str,
    ) -> None:
        """tile: as in `Predictor.each`; the others as in `recipes.predict.predict`."""
        self.predictor = load(run, head=head, device=device, overrides=overrides)
        self.classes = with_label_ids(self.predictor.classes)
        self.out, self.tile = out, tile
        self.overlay_form: OverlayForm = overlay_form

    def __call__(self, job: ImageJob) -> ImageDone:
        try:
            pixels, remarks = _read(job.source)
        except InputError as error:
            return ImageDone(unreadable=str(error))
        answer, reached = self._answered(pixels)
        remarks = [*map(LIMIT.format, reached), *remarks]
        with written_to(self.out) as folder:
            if self.overlay_form != "none":
                save_image(overlay(answer, pixels, scale=None), folder / overlay_name(job.name, self.overlay_form))
            entries = write_entry(folder / "panoptic", Entry(job.image_id, job.name, answer), self.classes, scores=True)
        return ImageDone("", *entries, remarks, answer)

    def _answered(self, pixels: Tensor) -> tuple[PanopticMap, list[str]]:
        """The answer, and the limits, by their options' names, that it or one of its tiles came up to."""
        reached: dict[str, None] = {}

        def look(inference: Inference) -> None:
            reached.update(dict.fromkeys(limits_reached(self.predictor, inference)))

        if self.tile is not None:
            return predict_tiled(self.predictor, pixels, self.tile, seen=look), list(reached)
        inference = self.predictor.infer(pixels, head=self.predictor.head)
        look(inference)
        return self.predictor.answer(inference), list(reached)


def overlay_name(name: str, form: OverlayForm) -> str:
    """What an image's overlay is called."""
    return f"{stem_below(name)}_overlay.{form}"


def _read(source: Location) -> tuple[Tensor, list[str]]:
    """Pixels (3, H, W) uint8, and what is to be said of the file."""
    content = source if isinstance(source, Path) else read_bytes(source)
    with about(source) if isinstance(source, Address) else nullcontext():
        pixels = read_image(content)
    return pixels, [remark for remark, is_so in ((DIM, dim_range(content)), (FRAMES, further_frames(content))) if is_so]
