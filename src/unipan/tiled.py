"""An image too large for the network at once, or for its memory: predicted tile by tile, and joined where tiles overlap."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from unipan.answer import Answer, Inference
from unipan.choices import PanopticHead
from unipan.classes import ClassTable
from unipan.errors import flag
from unipan.models.heads import claims_of
from unipan.models.network import PanopticNetwork
from unipan.models.panoptic_head import UnifiedHead
from unipan.ops.images import ImageSource, read_image
from unipan.ops.mosaic import Mosaic
from unipan.ops.tiles import TileSize, tiling_of, windows


class Predicts(Protocol):
    """What is asked of a `Predictor`."""

    network: PanopticNetwork
    classes: ClassTable
    head: PanopticHead
    min_stuff_area_px: int

    def infer(self, image: ImageSource, *, threshold: float | None = None, head: PanopticHead | None = None) -> Inference: ...

    def answer(self, inference: Inference, *, head: PanopticHead | None = None, trim: bool = True) -> Answer: ...


def predict_tiled(
    predictor: Predicts,
    image: ImageSource,
    tile: TileSize,
    *,
    head: PanopticHead | None = None,
    trim: bool = True,
    threshold: float | None = None,
    seen: Callable[[Inference], object] = lambda _: None,
) -> Answer:
    """The answer for an image from those of its tiles, each predicted as an image of its own; `unipan.ops.mosaic` joins them.

    An image that fits into a tile has its ordinary answer. Stuff is trimmed in the whole. tile, head, trim, threshold: as in
    `Predictor.each`. seen: is shown what was predicted for a tile, of which nothing stays.
    """
    pixels, head = read_image(image), predictor.head if head is None else head
    size = pixels.shape[1], pixels.shape[2]
    tiles = windows(size, tiling_of(tile))
    mosaic, unified = Mosaic(size, predictor.classes), predictor.network.panoptic_head
    for window in tiles:
        inference = predictor.infer(window.of(pixels), threshold=threshold, head=head)
        seen(inference)
        if len(tiles) == 1:
            return predictor.answer(inference, head=head, trim=trim)
        claims = None
        if head == "unified" and isinstance(unified, UnifiedHead):
            claims = partial(claims_of, unified, inference.outputs, inference.network_size)
        mosaic.add(window, predictor.answer(inference, head=head, trim=False), claims)
    joined = mosaic.answer(min_stuff_area_px=predictor.min_stuff_area_px if flag("trim", trim) else 0)
    return Answer(joined.ids, joined.segments, joined.classes, pixels)
