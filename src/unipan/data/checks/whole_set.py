"""What only a whole split, or all of them together, can show: class balance, classes never seen, pictures that come twice."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from unipan.data.checks.findings import Fault
from unipan.data.checks.kinds import Kind
from unipan.data.checks.pixels import Look
from unipan.data.checks.rows import Category


@dataclass
class Balance:
    """Counts over a split; they grow with the number of classes, not of images."""

    name: str
    categories: dict[int, Category]
    listed: int = 0
    """Images that the split names."""
    images: int = 0
    """... whose labels could be read."""
    void: int = 0
    """Pixels."""
    things: int = 0
    things_in_parts: int = 0
    crowds: int = 0
    pixels: Counter[int] = field(default_factory=Counter)
    """Of each category id, as the two below."""
    segments: Counter[int] = field(default_factory=Counter)
    images_with: Counter[int] = field(default_factory=Counter)

    def add(self, look: Look) -> None:
        self.listed += 1
        self.images += bool(look.void or look.pixels)
        self.void += look.void
        self.things += look.things
        self.things_in_parts += look.things_in_parts
        self.crowds += look.crowds
        self.pixels.update(look.pixels)
        self.segments.update(look.segments)
        self.images_with.update(look.segments.keys())

    @property
    def void_share(self) -> float:
        """0..1, of all pixels whose labels could be read."""
        return self.void / max(1, self.void + self.pixels.total())

    def unseen(self) -> list[Fault]:
        """Classes without a segment, the things first: those no detector can learn."""
        absent = [category for id, category in self.categories.items() if not self.segments[id]]
        by_kind = sorted(absent, key=lambda category: not category.is_thing)
        return [Fault(Kind.CLASS_UNSEEN, f"{c.name} ({'thing' if c.is_thing else 'stuff'})") for c in by_kind]


class Doubles:
    """Finds pictures that come twice, within a split or over several; remembers a digest and a name an image."""

    def __init__(self) -> None:
        self._by_digest: dict[bytes, tuple[str, str]] = {}
        self._by_name: dict[str, str] = {}

    def faults(self, split: str, look: Look) -> list[Fault]:
        """What the next image of a split repeats."""
        name = look.file_name.split("/")[-1]
        split_of_name = self._by_name.setdefault(name, split)
        if look.digest:
            before, its_name = self._by_digest.setdefault(look.digest, (split, look.file_name))
            if (before, its_name) != (split, look.file_name):
                kind = Kind.PICTURE_REPEATED if before == split else Kind.OVERLAP_PICTURE
                return [Fault(kind, f"{look.file_name} is {its_name} of {before}")]
        if split_of_name != split:
            return [Fault(Kind.OVERLAP_NAME, f"{look.file_name} (also in {split_of_name})")]
        return []


def difference(first: Mapping[int, Category], other: Mapping[int, Category]) -> list[Fault]:
    """What keeps two splits from being used together: names, kinds or order of their categories; ids may differ."""
    pairs = zip(first.values(), other.values(), strict=False)
    for place, (its, own) in enumerate(pairs, start=1):
        if (its.name, its.is_thing) != (own.name, own.is_thing):
            return [Fault(Kind.CLASSES_DIFFER, f"category {place} is {_described(own)}, not {_described(its)}")]
    if len(first) != len(other):
        return [Fault(Kind.CLASSES_DIFFER, f"{len(other)} categories, not {len(first)}")]
    return []


def _described(category: Category) -> str:
    return f"{category.name} ({'thing' if category.is_thing else 'stuff'})"
