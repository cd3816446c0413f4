"""What training and evaluation ask of a data set, and a part of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from unipan.classes import ClassTable
from unipan.types import PanopticMap, Sample


class PanopticDataset(Protocol):
    """Images with their truth, by index 0..len-1. The same index always gives the same sample."""

    @property
    def classes(self) -> ClassTable: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


class SourceDataset(PanopticDataset, Protocol):
    """One that settings name, with what it tells without decoding an image."""

    def id_of(self, index: int, /) -> int | str:
        """An image's id, as its sample has it."""
        ...

    def truth_of(self, index: int, /) -> PanopticMap:
        """An image's truth, as its sample has it. Raises: InputError where that can't be read."""
        ...

    def truth_facts(self) -> dict[str, Any]:
        """What tells its truth from another's, as JSON has it: equal where scores of its images may be added up."""
        ...


class ListsClasses(PanopticDataset, Protocol):
    """One that tells an image's classes without reading the image."""

    def classes_of(self, index: int, /) -> set[int]:
        """Those of its segments, but for crowds. Raises: InputError where its truth can't be read."""
        ...


@dataclass(frozen=True)
class Part:
    """Some images of a data set."""

    whole: PanopticDataset
    indices: Sequence[int]

    @property
    def classes(self) -> ClassTable:
        return self.whole.classes

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int, /) -> Sample:
        return self.whole[self.indices[index]]


def evenly_spaced(length: int, most: int) -> list[int]:
    """The positions of at most `most` of `length` entries."""
    count = min(most, length)
    return [position * length // count for position in range(count)]
