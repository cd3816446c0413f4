"""What only a whole split, or all of them together, can show: class balance, classes never seen, images that come twice."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from unipan.data.statistics import ImageStatistics, SetStatistics
from unipan.errors import plural
from unipan.tools.doctor.faults import Kind
from unipan.tools.doctor.findings import Fault
from unipan.tools.doctor.images import ImageCheck
from unipan.tools.doctor.segments import Categories, has_things

LEAST_VOID = 0.1
"""Things alone seldom leave less of a set's pixels void."""


@dataclass
class Balance:
    """Counts over a split."""

    name: str
    categories: Categories
    listed: int = 0
    """Images that the split names."""
    images: int = 0
    """... whose labels could be read."""
    void: int = 0
    """Pixels."""
    things_in_parts: int = 0
    pixels: Counter[int] = field(default_factory=Counter)
    """Of each category id, as the three below."""
    segments: Counter[int] = field(default_factory=Counter)
    crowds: Counter[int] = field(default_factory=Counter)
    images_with: Counter[int] = field(default_factory=Counter)
    images_with_several: Counter[int] = field(default_factory=Counter)
    by_image: list[ImageStatistics] = field(default_factory=list)

    def add(self, check: ImageCheck) -> None:
        self.listed += 1
        self.images += bool(check.void or check.pixels)
        self.void += check.void
        self.things_in_parts += check.things_in_parts
        self.pixels.update(check.pixels)
        self.segments.update(check.segments)
        self.crowds.update(check.crowds)
        self.images_with.update(check.segments.keys())
        self.images_with_several.update(id for id, count in check.segments.items() if count > 1)
        self.by_image += [check.statistics] if check.statistics else []

    @property
    def statistics(self) -> SetStatistics:
        """Of the images whose labels could be read."""
        return SetStatistics(tuple(self.by_image))

    @property
    def things(self) -> int:
        """Crowds are none."""
        return int(self.statistics.things_an_image.sum())

    @property
    def void_share(self) -> float:
        """0..1, of all pixels whose labels could be read."""
        return self.void / max(1, self.void + self.pixels.total())

    @property
    def with_instances(self) -> set[str]:
        """The names of the things of which an instance is seen, which a crowd is not."""
        return {one.name for id, one in self.categories.items() if one.is_thing and self.segments[id] > self.crowds[id]}

    def faults(self, learnt: Collection[str] = ()) -> list[Fault]:
        """What only the whole split shows of its classes; nothing where no label could be read.

        learnt: names of the things of which an earlier split has instances. The training set comes first.
        """
        if not self.images:
            return []
        absent = [category for id, category in self.categories.items() if not self.segments[id]]
        by_kind = sorted(absent, key=lambda category: not category.is_thing)  # first those that no detector can learn
        return (
            [Fault(Kind.CLASS_UNSEEN, category.described) for category in by_kind] + self._only_crowds(learnt) + self._one_kind()
        )

    def _only_crowds(self, learnt: Collection[str]) -> list[Fault]:
        """Things of which no instance is seen, here or earlier, since every segment is a crowd."""
        unlearnt = {id: one.name for id, one in self.categories.items() if one.is_thing and one.name not in learnt}
        return [
            Fault(Kind.ONLY_CROWDS, f"{name}: {plural(self.crowds[id], 'crowd')} in {plural(self.images_with[id], 'image')}")
            for id, name in unlearnt.items()
            if 0 < self.segments[id] == self.crowds[id]
        ]

    def _one_kind(self) -> list[Fault]:
        """Classes that are all stuff, or all things, because whoever wrote the JSON did not know the flag."""
        if self.categories and not has_things(self.categories):
            several = [
                f"{self.categories[id].name} has several segments in {plural(count, 'image')}"
                for id, count in self.images_with_several.most_common()
            ]
            return [Fault(Kind.NO_THINGS, where) for where in several or ["no class has several segments in an image"]]
        if self.categories and all(category.is_thing for category in self.categories.values()) and self.void_share < LEAST_VOID:
            once = [id for id, _ in self.pixels.most_common() if not self.images_with_several[id]]
            return [Fault(Kind.NO_STUFF, f"{self.categories[id].name} has one segment an image") for id in once]
        return []


class Doubles:
    """Finds images that come twice, within a split or over several; remembers a digest and a name an image."""

    def __init__(self) -> None:
        self._by_digest: dict[bytes, tuple[str, str]] = {}
        self._split_of_name: dict[str, str] = {}
        self._known_names: list[str] = []
        self._images = 0

    def faults(self, split: str, check: ImageCheck) -> list[Fault]:
        """What the next image of a split repeats."""
        self._images += 1
        split_of_name = self._split_of_name.setdefault(check.file_name.split("/")[-1], split)
        if check.digest in self._by_digest:
            its_split, its_name = self._by_digest[check.digest]
            if its_split != split:
                return [Fault(Kind.OVERLAP_IMAGE, f"{check.file_name} is {its_name} of {its_split}")]
            where = f"{check.file_name} is listed twice" if its_name == check.file_name else f"{check.file_name} is {its_name}"
            return [Fault(Kind.DUPLICATE_IMAGE, where)]
        if check.digest:
            self._by_digest[check.digest] = (split, check.file_name)
        if split_of_name != split:
            self._known_names.append(f"{check.file_name} (also in {split_of_name})")
        return []

    def end_of_split(self) -> list[Fault]:
        """File names of earlier splits; none where most are, for then each split has numbers of its own."""
        names, images = self._known_names, self._images
        self._known_names, self._images = [], 0
        return [Fault(Kind.OVERLAP_NAME, name) for name in names] if 2 * len(names) <= images else []
