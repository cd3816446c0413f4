"""Counts of images that add up to those of a set."""

from dataclasses import fields
from typing import Any, Self, cast


class Additive:
    """A dataclass whose fields all add: then it does, in any order and grouping."""

    def __add__(self, other: Self) -> Self:
        names = [field.name for field in fields(cast(Any, self))]
        return type(self)(*(getattr(self, name) + getattr(other, name) for name in names))
