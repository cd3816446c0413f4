"""Loss terms as sums and counts, and losses as named, weighted terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Term:
    """One loss term as a sum and what it is divided by; terms add over images, groups and processes before they are divided."""

    sum: Tensor
    """Scalar, differentiable."""
    count: Tensor
    """Scalar float: pixels or samples; 0 where there was nothing to learn."""

    @property
    def mean(self) -> Tensor:
        return self.sum / self.count.clamp(min=1)

    def __add__(self, other: Term) -> Term:
        return Term(self.sum + other.sum, self.count + other.count)


def add_terms(parts: list[dict[str, Term]]) -> dict[str, Term]:
    """Add the terms of several parts name by name."""
    total: dict[str, Term] = {}
    for part in parts:
        for name, term in part.items():
            total[name] = total[name] + term if name in total else term
    return total


@dataclass(frozen=True)
class Losses:
    """Named, weighted losses and their sum."""

    terms: Mapping[str, Tensor]
    """Scalars, already multiplied by their weights."""

    @property
    def total(self) -> Tensor:
        values = iter(self.terms.values())
        return sum(values, start=next(values))

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        return iter(self.terms.items())
