"""What training and evaluation ask of a data set."""

from typing import Protocol

from unipan.classes import ClassTable
from unipan.types import Sample


class PanopticDataset(Protocol):
    """Images with their truth, by index 0..len-1. The same index always gives the same sample."""

    @property
    def classes(self) -> ClassTable: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...
