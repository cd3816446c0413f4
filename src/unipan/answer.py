"""What a predictor gives for an image: all that the network predicts, and the answer that is read off it, which draws itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from difflib import get_close_matches
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from PIL import Image
from torch import Tensor

from unipan.choices import PanopticHead
from unipan.errors import InputError, path_of
from unipan.ops.tiles import TileSize
from unipan.types import Admission, Detections, Outputs, PanopticMap, Size
from unipan.viz.canvas import save_image
from unipan.viz.overlay import overlay


class Options(TypedDict, total=False):
    """Of a predictor's call, as `Predictor.each` has them."""

    batch_size: int
    head: PanopticHead | None
    trim: bool
    threshold: float | None
    tile: TileSize | None


def check_options(options: Options) -> None:
    """Raises: TypeError that names an option that a predictor's call does not have, and the nearest."""
    known = [*Options.__annotations__]
    for name in [name for name in options if name not in known]:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}? It" if near else "it"
        raise TypeError(f"a predictor has no option {name}: {hint} takes {', '.join(known)}.")


class Inference(NamedTuple):
    """Everything that the network predicts for one image, before an answer is read off it."""

    outputs: Outputs  # of a batch of this image alone; boxes in the pixels of network_size
    image: Tensor  # (3, H, W) uint8 RGB on the CPU
    network_size: Size  # at which the network saw it
    admission: Admission

    @property
    def size(self) -> Size:
        """The image's own."""
        return self.image.shape[-2], self.image.shape[-1]

    @property
    def detections(self) -> Detections:
        """All of them, best first."""
        return self.outputs.detections[0]

    @property
    def admitted(self) -> Detections:
        """The detections of the thing channels, in their order."""
        return self.detections.take(self.outputs.admitted[0])


def checked_inference(value: object, head: PanopticHead) -> Inference:
    """The value if it is one that has what the head asks for. Raises: InputError."""
    if not isinstance(value, Inference):
        raise InputError(
            f"an answer is read off what infer() gives, but a {type(value).__name__} came; call the predictor with it."
        )
    if head != "unified" and not value.admission.every_mask:
        raise InputError(
            f"the inference was made for the unified head alone, and head {head} is asked for; leave infer's head out."
        )
    return value


@dataclass(frozen=True, repr=False, eq=False)
class Answer(PanopticMap):
    """What a `Predictor` answers."""

    image: Tensor
    """(3, H, W) uint8 RGB on the CPU, upright."""

    def plot(self, *, scale: int | None = None, labels: bool = True) -> Image.Image:
        """The segments over the image, as `unipan predict` draws them; the options are those of `unipan.overlay`.

        An image of at most 320 pixels a side is enlarged, unless scale is 1.
        """
        return overlay(self, self.image, scale=scale, labels=labels)

    def save(self, path: str | Path) -> None:
        """Write `plot()` as an image file of the kind that its name's suffix says.

        Raises: InputError where it can't be written.
        """
        save_image(self.plot(), path_of("the file to write", path))

    def show(self) -> None:
        """Open `plot()` in the system's image viewer; a notebook shows an answer by itself."""
        self.plot().show()

    def to_json(self) -> dict[str, Any]:
        """Size and segments as JSON has them, without the pixels; for files with pixels see `unipan.interchange`."""
        height, width = self.ids.shape
        return {"height": height, "width": width, "segments": [asdict(one) | {"box": list(one.box)} for one in self]}

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        file = BytesIO()
        self.plot().save(file, "PNG")
        return file.getvalue()
