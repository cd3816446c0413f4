"""What crosses a doorway between rooms.

B images in a batch; H x W pixels of an image; h x w cells at stride 4 (h = ceil(H / 4)); C classes, S of them stuff;
G true things and N admitted detections of one image; K = S + N panoptic channels (+ 1 with the void channel, the last).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from unipan.classes import VOID, ClassTable
from unipan.errors import InputError, plural
from unipan.terms import Term

if TYPE_CHECKING:  # torch takes seconds to import, and files are scored without a tensor
    from torch import Tensor

Size = tuple[int, int]  # (height, width) in pixels

SHOWN_CLASSES = 6  # so many classes names the line that stands for a map


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One region of a panoptic map."""

    id: int
    """Its value in the id map; never 0."""
    class_index: int
    category_id: int
    """The data set's own id of the class."""
    name: str  # of the class
    is_thing: bool
    is_crowd: bool = False
    """A region of things not separated from each other."""
    score: float = 1.0
    """Confidence 0..1; 1 in ground truth and for stuff."""
    area: int
    """Pixels, counted from the id map."""
    box: tuple[int, int, int, int]
    """(x1, y1, x2, y2), tight: x2 and y2 lie one past the last pixel."""

    @property
    def is_instance(self) -> bool:
        """A single thing: no stuff, no crowd."""
        return self.is_thing and not self.is_crowd


@dataclass(frozen=True, repr=False, eq=False)  # of two maps torch.equal tells, and only of their pixels
class PanopticMap:
    """Every pixel's segment: ground truth and prediction alike. Its length is that of `segments`, through which it iterates."""

    ids: Tensor
    """(H, W) int32 on the CPU; 0 is void: a pixel of no segment."""
    segments: tuple[Segment, ...]
    """One entry for each id that occurs in `ids`, void apart."""
    classes: ClassTable
    """What the segments' class indices stand for."""

    def __len__(self) -> int:
        return len(self.segments)

    def __iter__(self) -> Iterator[Segment]:
        return iter(self.segments)

    def mask(self, segment: Segment | int) -> Tensor:
        """Where a segment is, (H, W) bool. segment: one of `segments`, or its id.

        Raises: InputError for an id that the map has not.
        """
        wanted = segment.id if isinstance(segment, Segment) else segment
        if wanted not in (known := [one.id for one in self.segments]):
            raise InputError(f"there is no segment {wanted}; the map has {', '.join(map(str, known)) or 'none'}.")
        return self.ids == wanted

    @property
    def boxes(self) -> Tensor:
        """(n, 4) int64 of the n segments in their order: x1 y1 x2 y2, x2 and y2 one past the last pixel."""
        import torch

        return torch.tensor([segment.box for segment in self.segments], dtype=torch.int64).view(-1, 4)

    @property
    def semantic(self) -> Tensor:
        """(H, W) int16 class indices; void is `unipan.classes.VOID`, 32767, which is no class."""
        import torch

        ordered = sorted(self.segments, key=lambda segment: segment.id)
        ids = torch.tensor([0, *(segment.id for segment in ordered)], dtype=torch.int32)  # void comes first
        indices = torch.tensor([VOID, *(segment.class_index for segment in ordered)], dtype=torch.int16)
        return indices[torch.searchsorted(ids, self.ids)]

    def __repr__(self) -> str:
        """Its size and what it holds, in a line."""
        counts = Counter(segment.name for segment in self.segments).most_common(SHOWN_CLASSES + 1)
        parts = [f"{number} {name}" for name, number in counts[:SHOWN_CLASSES]] + ["..."] * (len(counts) > SHOWN_CLASSES)
        height, width = self.ids.shape
        return f"{type(self).__name__}({height}x{width}, {plural(len(self), 'segment')}{': ' * bool(parts)}{', '.join(parts)})"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One image of a data set, with its truth, at its own size."""

    image: Tensor
    """(3, H, W) uint8 RGB."""
    truth: PanopticMap
    image_id: int | str
    """The data set's own id."""
    file_name: str


@dataclass(frozen=True, kw_only=True)
class Target:
    """The truth of one image as training needs it. All four are derived from one id map and so can't disagree."""

    boxes: Tensor
    """(G, 4) float, x1 y1 x2 y2 in pixels."""
    labels: Tensor
    """(G,) int64 class indices, things only; crowds are not among them."""
    instances: Tensor
    """(H, W) int32: which of the G things a pixel belongs to, -1 for none."""
    semantic: Tensor
    """(H, W) int16 class indices, VOID where unlabelled. A thing class with instance -1 is a crowd."""
    seed: int = 0
    """Of what the losses draw at random for this image: theirs to use up to `seed + 1`. It belongs to the image, so that the same
    is drawn whatever batch or process the image is in."""

    def to(self, device) -> Target:
        tensors = ("boxes", "labels", "instances", "semantic")
        return replace(self, **{name: getattr(self, name).to(device) for name in tensors})


@dataclass(frozen=True, kw_only=True)
class Batch:
    """B images, padded with zeros at the right and the bottom to one size."""

    images: Tensor
    """(B, 3, H, W) uint8 RGB: a quarter of what floats would be, from loader processes and to a GPU (`unit_floats` there)."""
    sizes: tuple[Size, ...]
    """Each image's true size; the rest is padding."""
    targets: tuple[Target, ...]
    names: tuple[str, ...]
    """File names, for messages."""
    skipped: tuple[str, ...] = ()
    """What was wrong with each faulty sample in whose place another was taken; every entry names its file."""

    def to(self, device) -> Batch:
        targets = tuple(target.to(device) for target in self.targets)
        return Batch(images=self.images.to(device), sizes=self.sizes, targets=targets, names=self.names, skipped=self.skipped)


class Detections(NamedTuple):
    """What the detector found in one image, best first."""

    boxes: Tensor  # (N, 4) x1 y1 x2 y2 in pixels, differentiable
    scores: Tensor  # (N,) 0..1, differentiable
    labels: Tensor  # (N,) int64 class indices, things only
    mask_logits: Tensor | None = None  # (N, M, M) over each box, or None without a mask head, or before it
    image_size: Tensor | None = None  # (2,) int64, height and width in pixels; None: multiples of a cell's sides

    def take(self, index: Tensor) -> Detections:
        """The detections at `index` (int64 or bool), in that order."""
        masks = None if self.mask_logits is None else self.mask_logits[index]
        return Detections(self.boxes[index], self.scores[index], self.labels[index], masks, self.image_size)


class Admission(NamedTuple):
    """Which detections enter the dynamic potential: the best `limit` with a score of at least `score_threshold`."""

    score_threshold: float
    limit: int
    from_truth: bool = False
    """Admit the truth's boxes with score 1 in place of the network's own detections: for training alone (paper, section A.4)."""
    every_mask: bool = True
    """Make masks of all detections; else of the admitted ones alone, all that training and the unified answer need."""


class Outputs(NamedTuple):
    """Everything that the network predicts for a batch; each list has B entries, at each image's own size."""

    semantic: list[Tensor]  # (C, h, w) logits
    detections: list[Detections]  # all kept ones, best first (the truth's, if these were admitted); masks if `every_mask`
    admitted: list[Tensor]  # (N,) int64 indices into the image's detections, in the order of the thing channels
    # (K, h, w) dynamic potential: stuff first, then the admitted detections, then void if it is on; K = 0 for the merger
    potentials: list[Tensor]
    affinity: list[Tensor]  # (D, h, w) affinity features Q; D = 0 where none are learnt
    panoptic: list[Tensor]  # (K, h, w) panoptic logits, channels as in potentials
    detector_losses: dict[str, Term]  # empty when no truth was given
    existence: Sequence[Tensor] = ()  # (N,) logits that an admitted detection stands for a thing of its own; (0,) if not learnt
    upsampling: Sequence[Tensor | None] = ()  # (9, 16, h, w) weights that bring logits to pixels; None: bilinear

    def of_image(self, index: int) -> Outputs:
        """What was predicted for one of the batch's images, as of a batch of that image alone."""
        own = {name: [part[index]] for name, part in self._asdict().items() if name != "detector_losses"}
        return self._replace(**own)
