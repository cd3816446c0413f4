"""The shapes of labelme's JSON files, to pixels. H x W pixels of an image."""

import binascii
from base64 import b64decode
from dataclasses import dataclass
from io import BytesIO
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from unipan.errors import InputError
from unipan.json_values import read_as
from unipan.ops.images import UNREADABLE, open_image
from unipan.tools.convert.rasterize import Patch, Points, check_points, circle, polygon_patch, rectangle
from unipan.types import Size

NO_INSIDE = ("line", "linestrip", "point", "points")
"""labelme's kinds of shape without pixels."""


def _pair(point: Any) -> Any:
    """A point, which some tools write as x and y by name."""
    if isinstance(point, dict) and point.keys() >= {"x", "y"}:
        return point["x"], point["y"]
    if isinstance(point, list) and len(point) != 2:
        raise PydanticCustomError("point", "a point is [x, y], and this one has {count} numbers", {"count": len(point)})
    return point


@dataclass(slots=True)
class LabelmeShape:
    """One shape of a labelme file."""

    label: str
    points: list[Annotated[tuple[float, float], BeforeValidator(_pair)]]
    shape_type: str | None = "polygon"
    """None is a polygon too, as to labelme."""
    group_id: int | str | None = None
    """Shapes of one label and group are one instance."""
    mask: str | None = None
    """Of a shape of type mask: a PNG as base64, as large as the box between its two points."""
    flags: Any = None
    """labelme's check boxes, true or false by their names."""

    @property
    def is_crowd(self) -> bool:
        """Whether `unipan interchange labelme`, or a person, has set this flag. Raises: InputError where that can't be read."""
        value = self.flags.get("is_crowd") if isinstance(self.flags, dict) else None
        is_set = False if value is None else read_as(bool, value)
        if is_set is None:
            raise InputError(f"its flag is_crowd is {value!r}; expected true or false. Write one of them, or remove the flag.")
        return is_set

    @property
    def group(self) -> int | str | None:
        """Its group, None where it has none: 1 and "1" are one, for tools write a number in either form."""
        number = read_as(int, self.group_id)
        return number if str(number) == str(self.group_id) else None if self.group_id == "" else self.group_id


def shape_patch(shape: LabelmeShape, size: Size, *, clip: bool) -> Patch:
    """The pixels of a shape; what leads outside the image is refused, or with `clip` cut off."""
    if shape.shape_type == "mask":
        return _mask_patch(shape, size, clip=clip)
    points = outline(shape)
    check_points(points, size, clip=clip)
    return polygon_patch(points, size)


def outline(shape: LabelmeShape) -> Points:
    """A shape's corners."""
    kind = shape.shape_type or "polygon"
    match kind, shape.points:
        case (("polygon" | "rotation"), [_, _, _, *_]):
            return np.array(shape.points, dtype=np.float64)
        case "rectangle", [first, second]:
            return rectangle(first, second)
        case "rectangle", [_, _, _, _]:
            return np.array(shape.points, dtype=np.float64)
        case "circle", [center, on_edge]:
            return circle(center, on_edge)
        case "polygon" | "rotation" | "rectangle" | "circle", points:
            raise InputError(
                f"a {kind} of {len(points)} points came; a polygon has 3 or more, a rectangle 2 or 4, a circle 2. "
                "Remove or mend it."
            )
    fault = f"it is a {kind}, which has no inside" if kind in NO_INSIDE else f"shapes of the kind {kind} are not read here"
    raise InputError(f"{fault}; draw a polygon, a rectangle, a circle or a mask in its place.")


def _mask_patch(shape: LabelmeShape, size: Size, *, clip: bool) -> Patch:
    """Its pixels, of which the first lies at the first point and the last at the second."""
    if len(shape.points) != 2 or not shape.mask:
        raise InputError("a mask has two points and an image of it (mask); export it again.")
    check_points(np.array(shape.points), size, clip=clip)
    mask = _decoded(shape.mask)
    (x1, y1), (x2, y2) = ((int(x), int(y)) for x, y in shape.points)
    height, width = mask.shape
    if (height, width) != (y2 - y1 + 1, x2 - x1 + 1):
        raise InputError(
            f"its mask is {width}x{height} (width x height), the box between its points {x2 - x1 + 1}x{y2 - y1 + 1}; "
            "both must be of one size. Export it again."
        )
    top, left = max(y1, 0), max(x1, 0)
    return Patch(top, left, mask[top - y1 : max(size[0] - y1, 0), left - x1 : max(size[1] - x1, 0)])


def _decoded(text: str) -> NDArray[np.bool_]:
    """The image in a base64 text, which is not 0 where the shape is."""
    try:
        with open_image(BytesIO(b64decode(text, validate=True)), formats=["PNG"]) as file:
            pixels = np.array(file)
    except (*UNREADABLE, binascii.Error) as error:
        raise InputError(f"its mask can't be read as a PNG in base64: {error}. Export it again.") from error
    if pixels.ndim != 2:
        raise InputError("its mask is an image in colors; expected one number a pixel, 0 outside the shape. Export it again.")
    return pixels != 0
