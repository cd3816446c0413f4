"""What the explorer shows of one image, as the JSON that its page holds.

H x W pixels of the image; h x w cells of the network; K channels (stuff, detections, perhaps void); N admitted detections;
D numbers of a cell's affinity feature.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from unipan.class_colors import RGB
from unipan.classes import ClassTable
from unipan.ops.propagation import AffinityProducts
from unipan.ops.segments import index_of_ids
from unipan.ops.upsample import STRIDE
from unipan.types import Detections, PanopticMap, Size
from unipan.viz.borders import middles
from unipan.viz.colors import detection_colors, segment_colors
from unipan.viz.explorer.encode import bytes_text, pooled, quantised_channels, quantised_features

MAX_CELL_BYTES = 9_500_000
"""Text of the features and channels of one image: beyond it, blocks of cells are averaged, so that a page stays under 15 MB."""
JPEG_QUALITY = 90


@dataclass(frozen=True, kw_only=True)
class Explored:
    """One image and everything that is shown of it."""

    name: str
    image: Image.Image
    facts: Sequence[tuple[str, str]]
    """Where the answer comes from: run, head, threshold, trimming. Names and values; every panel bears them."""
    network_size: Size
    answer: PanopticMap
    colors: Mapping[int, RGB]
    """Of the answer's segments, by their ids."""
    semantic: Tensor
    """(H, W) class indices."""
    detections: Detections
    """All of them, boxes in the image's pixels."""
    admitted: Tensor
    """(N,) int64 indices of those that are channels, in the channels' order."""
    parts: dict[str, Tensor]
    """(K, h, w) each: "potential"; "evidence" and "unary", which with the bias add up to the panoptic logits. May be empty."""
    bias: Tensor
    """(K,) added to each channel's logits everywhere."""
    affinity: AffinityProducts | None = None
    """None where none is learnt."""
    unpropagated: PanopticMap | None = None
    """The answer of the potential alone; None where nothing is propagated."""
    truth: PanopticMap | None = None

    @property
    def classes(self) -> ClassTable:
        """What class indices stand for."""
        return self.answer.classes

    def to_json(self) -> dict[str, Any]:
        """What page.html reads; maps of cells are averaged over blocks where they would take too much."""
        maps = {"answer": (self.answer, self.colors), "truth": (self.truth, {}), "unpropagated": (self.unpropagated, self.colors)}
        return {
            "name": self.name,
            "facts": [list(fact) for fact in self.facts],
            "width": self.image.width,
            "height": self.image.height,
            "image": _jpeg(self.image),
            "maps": {key: segments_json(each, self.classes, colors) for key, (each, colors) in maps.items() if each is not None}
            | {"semantic": self._semantic()},
            "detections": self._detections(),
            "channels": self._channels(),
            "bias": self.bias.tolist(),
            **self._cells(),
        }

    def _semantic(self) -> dict[str, Any]:
        named = [
            {"name": info.name, "thing": info.is_thing, "color": self.classes[index].color}
            for index, info in enumerate(self.classes.classes)
        ]
        return {"pixels": bytes_text(self.semantic.numpy().astype("<u2") + 1), "segments": named}

    def _detections(self) -> dict[str, Any]:
        boxes, scores, labels, masks, _ = self.detections
        admitted = self.admitted.tolist()
        colors = self._thing_colors()
        entries = [
            {
                "name": self.classes[label].name,
                "score": score,
                "box": box,
                "admitted": index in colors,
                "color": colors.get(index, self.classes[label].color),
            }
            for index, (box, score, label) in enumerate(zip(boxes.tolist(), scores.tolist(), labels.tolist(), strict=True))
        ]
        if masks is None:
            return {"entries": entries, "masks": None}
        probabilities = (masks[self.admitted].float().sigmoid() * 255).round().to(torch.uint8)
        return {
            "entries": entries,
            "masks": {"of": admitted, "side": masks.shape[-1], "values": bytes_text(probabilities.cpu().numpy())},
        }

    def _thing_colors(self) -> dict[int, RGB]:
        """A color for each admitted detection, by its index."""
        colors = detection_colors(self.detections.take(self.admitted), self.classes, self.colors)
        return dict(zip(self.admitted.tolist(), colors, strict=True))

    def _channels(self) -> list[dict[str, Any]]:
        """The K channels: name, kind, color, and which entry of the detections one is of."""
        if not self.parts:
            return []
        stuff = [
            {"name": self.classes[index].name, "kind": "stuff", "color": self.classes[index].color}
            for index in self.classes.stuff
        ]
        colors = self._thing_colors()
        things = [
            {"name": self.classes[int(self.detections.labels[index])].name, "kind": "thing", "color": color, "detection": index}
            for index, color in colors.items()
        ]
        channels = len(next(iter(self.parts.values())))
        return [*stuff, *things, {"name": "void", "kind": "void", "color": (128, 128, 128)}][:channels]

    def _cells(self) -> dict[str, Any]:
        """The features and the channels, of blocks of as few cells as fit into MAX_CELL_BYTES."""
        (height, width), (seen_height, seen_width) = (self.image.height, self.image.width), self.network_size
        for block in count(1):
            cells = self._cells_of_blocks(block)
            if block >= max(self.network_size) or _text_bytes(cells) <= MAX_CELL_BYTES:
                sides = {"cellWidth": block * STRIDE * width / seen_width, "cellHeight": block * STRIDE * height / seen_height}
                rows, columns = (-(-side // (STRIDE * block)) for side in self.network_size)
                return {**cells, **sides, "rows": rows, "columns": columns, "block": block}
        raise AssertionError("blocks grow until one holds the image")

    def _cells_of_blocks(self, block: int) -> dict[str, Any]:
        height, width = (-(-side // STRIDE) for side in self.network_size)
        affinity = None
        if self.affinity is not None:
            rows, scale, norm = self.affinity
            features = pooled(rows.T.reshape(-1, height, width), block)
            affinity = {**quantised_features(features), "scale": scale, "norm": norm}
        return {
            "affinity": affinity,
            "parts": {name: quantised_channels(pooled(values, block)) for name, values in self.parts.items()},
        }


def segments_json(panoptic: PanopticMap, classes: ClassTable, known: Mapping[int, RGB]) -> dict[str, Any]:
    """A map's pixels as positions in its list of segments, counted from 1, 0 for void; and the segments.

    known: as in `segment_colors`.
    """
    ids = [segment.id for segment in panoptic.segments]
    index = index_of_ids(panoptic.ids, ids)
    pixels = torch.where(index < len(ids), index + 1, 0)
    colors, middle = segment_colors(panoptic, classes, known), middles(panoptic)
    return {
        "pixels": bytes_text(pixels.numpy().astype("<u2")),
        "segments": [
            {
                "id": segment.id,
                "name": segment.name,
                "thing": segment.is_thing,
                "crowd": segment.is_crowd,
                "score": segment.score,
                "area": segment.area,
                "box": segment.box,
                "color": colors[segment.id],
                "middle": middle[segment.id],
            }
            for segment in panoptic.segments
        ],
    }


def _jpeg(image: Image.Image) -> str:
    written = BytesIO()
    image.convert("RGB").save(written, format="JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + b64encode(written.getvalue()).decode("ascii")


def _text_bytes(cells: dict[str, Any]) -> int:
    """Length of the texts of numbers."""
    groups = [group for group in (cells["affinity"], *cells["parts"].values()) if group]
    return sum(len(group["values"]) for group in groups)
