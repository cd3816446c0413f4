"""Drawings of what lies behind an answer: the detections, and which cells the network holds together with a marked one."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from unipan.class_colors import RGB
from unipan.classes import ClassTable
from unipan.errors import InputError
from unipan.ops.images import ImageSource
from unipan.types import Detections
from unipan.viz.canvas import INK, PAPER, Plates, as_pil, enlarge, line_width, readable_scale
from unipan.viz.colors import thing_colors

HEAT = torch.tensor(
    [
        (18, 12, 48),
        (74, 20, 104),
        (139, 33, 104),
        (196, 60, 78),
        (236, 104, 42),
        (251, 164, 38),
        (253, 226, 104),
        (255, 252, 214),
    ],
    dtype=torch.float32,
)
"""Stops of equal distance, dark violet to pale yellow; lightness rises evenly, so it reads in print and without color vision."""
HEAT_QUANTILES = (0.05, 0.995)
"""Affinities from the lower to the upper quantile span the colors: one extreme cell cannot darken all others."""
HEAT_OPACITY = (0.15, 0.85)
"""Of the heat over the grey image, at the least and the greatest affinity."""
DASH_PERIOD = 7
"""Of a detection that was not admitted, in line widths; just over half of it is drawn."""


def draw_detections(
    image: ImageSource,
    detections: Detections,
    classes: ClassTable,
    admitted: Tensor | None = None,
    *,
    scale: int | None = None,
    colors: Sequence[RGB] | None = None,
) -> Image.Image:
    """Draw boxes with class and score: admitted ones bold, each in a shade of its class's color; the others thin and dashed.

    image: whatever `read_image` takes, of the size that the boxes (pixels) refer to. admitted: (N,) int64 indices into the
    detections; None means all. scale: as in `overlay`. colors: of the admitted ones, as `detection_colors` has them.
    """
    pil_image = as_pil(image)
    scale = readable_scale(*pil_image.size) if scale is None else scale
    canvas = enlarge(pil_image, scale)
    boxes = (detections.boxes.detach().float().cpu() * scale).tolist()
    scores, labels = detections.scores.tolist(), detections.labels.tolist()
    bold = list(range(len(boxes))) if admitted is None else admitted.tolist()
    thin = [index for index in range(len(boxes)) if index not in set(bold)]
    if colors is None:
        colors = thing_colors([boxes[index] for index in bold], [labels[index] for index in bold], classes)
    shades = dict(zip(bold, colors, strict=True))
    width = line_width(canvas)
    for index in reversed(thin):
        _dashed_box(canvas, boxes[index], classes[labels[index]].color, width + 1, opacity=0.6 + 0.4 * scores[index])
    for index in reversed(bold):
        solid_box(canvas, boxes[index], shades[index], width)
    plates = Plates(canvas)
    for index in [*bold, *thin]:
        text = f"{classes[labels[index]].name} {scores[index]:.2f}"
        color, opacity = (shades[index], 0.92) if index in shades else (INK, 0.55)
        label_box(plates, text, boxes[index], color, opacity)
    return canvas


def solid_box(canvas: Image.Image, box: Sequence[float], color: RGB, width: int) -> None:
    """Draw a box, x1 y1 x2 y2 in pixels: a line in the color with a dark edge on both sides, seen on any background."""
    draw = ImageDraw.Draw(canvas, "RGBA")
    x1, y1, x2, y2 = _drawable(box, canvas)
    draw.rectangle((x1, y1, x2, y2), outline=(*INK, 150), width=2 * width + 3)
    draw.rectangle((x1 + 1, y1 + 1, max(x1 + 1, x2 - 1), max(y1 + 1, y2 - 1)), outline=(*color, 255), width=2 * width + 1)


def _dashed_box(canvas: Image.Image, box: Sequence[float], color: RGB, width: int, *, opacity: float) -> None:
    draw = ImageDraw.Draw(canvas, "RGBA")
    x1, y1, x2, y2 = _drawable(box, canvas)
    fill = (*color, round(255 * opacity))
    for start, end in _dashes(x1, x2, DASH_PERIOD * width):
        for y in (y1, y2 - width + 1):
            draw.rectangle((start, y, end, y + width - 1), fill=fill)
    for start, end in _dashes(y1, y2, DASH_PERIOD * width):
        for x in (x1, x2 - width + 1):
            draw.rectangle((x, start, x + width - 1, end), fill=fill)


def _dashes(start: int, end: int, period: int) -> Iterator[tuple[int, int]]:
    for at in range(start, end + 1, period):
        yield at, min(at + period * 4 // 7, end)


def _drawable(box: Sequence[float], canvas: Image.Image) -> tuple[int, int, int, int]:
    """The box's first and last pixels within the canvas."""
    x1, x2 = (min(max(round(x), 0), canvas.width - 1) for x in (box[0], box[2] - 1))
    y1, y2 = (min(max(round(y), 0), canvas.height - 1) for y in (box[1], box[3] - 1))
    return x1, y1, max(x1, x2), max(y1, y2)


def label_box(plates: Plates, text: str, box: Sequence[float], color: RGB, opacity: float) -> None:
    """Write the text at the first of the box's corners that is free: above it, inside it, below it."""
    text = plates.shortened(text)
    if not text:
        return
    _, height = plates.size(text)
    x1, y1, _, y2 = box
    corners = ((x1, y1 - height), (x1, y1), (x1, y2), (x1, y2 - height))
    for x, y in corners:
        if plates.put(text, x, y, color=color, opacity=opacity):
            return


def draw_affinity(
    image: ImageSource,
    row: Tensor,
    cell: tuple[int, int],
    *,
    stride: int = 4,
    scale: int | None = None,
    span: tuple[float, float] | None = None,
) -> Image.Image:
    """Draw one cell's affinity to all cells as heat over the image, and a cross at the cell.

    image: whatever `read_image` takes. row: (h, w) affinities of `cell` (y, x), any range; h = ceil(H / stride) or more.
    scale: as in `overlay`. span: the affinities at both ends of the colors; without it what is there decides.
    """
    pil_image = as_pil(image)
    scale = readable_scale(*pil_image.size) if scale is None else scale
    if row.shape[-2] * stride < pil_image.height or row.shape[-1] * stride < pil_image.width:
        raise InputError(
            f"{tuple(row.shape)} affinities at stride {stride} don't cover "
            f"an image of {pil_image.height}x{pil_image.width} pixels."
        )
    canvas = enlarge(pil_image, scale)
    heat = _heat(row.detach().float().cpu(), stride * scale, span)[: canvas.height, : canvas.width, None]
    grey = torch.from_numpy(np.array(canvas.convert("L"), dtype=np.float32))[:, :, None] * 0.7 + 30
    least, greatest = HEAT_OPACITY
    opacity = least + (greatest - least) * heat
    pixels = (1 - opacity) * grey + opacity * _heat_color(heat[:, :, 0])
    drawn = Image.fromarray(pixels.round().clamp(0, 255).to(torch.uint8).numpy())
    draw_cross(drawn, cell, stride=stride, scale=scale)
    return drawn


def _heat(row: Tensor, factor: int, span: tuple[float, float] | None) -> Tensor:
    """The affinities in 0..1 between the ends of the span, or else their quantiles, `factor` times as large."""
    finite = torch.nan_to_num(row)
    low, high = span or torch.quantile(finite.flatten()[: 2**24], torch.tensor(HEAT_QUANTILES)).tolist()
    unit = ((finite - low) / (high - low) if high > low else torch.zeros_like(finite)).clamp(0, 1)
    return F.interpolate(unit[None, None], scale_factor=factor, mode="bilinear", align_corners=False)[0, 0]


def _heat_color(heat: Tensor) -> Tensor:
    """(H, W) in 0..1 -> (H, W, 3) in 0..255, linear between the stops."""
    table = F.interpolate(HEAT.T[None], size=256, mode="linear", align_corners=True)[0].T
    return table[(heat * 255).round().long()]


def draw_cross(canvas: Image.Image, cell: tuple[int, int], *, stride: int, scale: int) -> None:
    """Draw a cross in the middle of a cell, (y, x), on an image that is enlarged by `scale`."""
    draw, width = ImageDraw.Draw(canvas), line_width(canvas)
    y, x = ((position + 0.5) * stride * scale for position in cell)
    arm = 7 * width
    for color, extra in ((INK, 2 * width), (PAPER, 0)):
        reach, thick = arm + extra / 2, width + 1 + extra
        draw.line((x - reach, y - reach, x + reach, y + reach), fill=color, width=thick)
        draw.line((x - reach, y + reach, x + reach, y - reach), fill=color, width=thick)
