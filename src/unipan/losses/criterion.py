"""From what the network predicted to named, weighted losses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unipan.losses.affinity import affinity_terms
from unipan.losses.existence import existence_terms
from unipan.losses.panoptic import panoptic_terms
from unipan.losses.semantic import semantic_terms
from unipan.terms import Losses, Term
from unipan.types import Outputs, Target


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """All losses of a batch. Calling it is `weigh(terms(...))`; several processes add their terms in between."""

    weights: Mapping[str, float]
    """Of every term that may come, by name; a term of weight 0 is not computed."""
    group: int
    """Images over which one semantic Lovasz-softmax is taken."""
    stuff: Sequence[int]
    """Class indices of the first S panoptic channels."""
    void_channel: bool
    """Whether the last panoptic channel stands for things that no detection claims."""

    @property
    def names(self) -> list[str]:
        """Every term that may come, in one order."""
        return [name for name, weight in self.weights.items() if weight > 0]

    def __call__(self, outputs: Outputs, targets: Sequence[Target]) -> Losses:
        return self.weigh(self.terms(outputs, targets))

    def terms(self, outputs: Outputs, targets: Sequence[Target]) -> dict[str, Term]:
        """The batch's terms, not yet weighted or divided: they add over batches and processes."""
        unknown = outputs.detector_losses.keys() - self.weights.keys()
        assert not unknown, f"the detector's loss terms {sorted(unknown)} have no weight; known are {sorted(self.weights)}"
        semantic = semantic_terms(
            outputs.semantic,
            targets,
            cross_entropy=self.weights["semantic"] > 0,
            lovasz=self.weights["semantic_lovasz"] > 0,
            group=self.group,
        )
        panoptic = panoptic_terms(
            outputs,
            targets,
            stuff=self.stuff,
            void_channel=self.void_channel,
            cross_entropy=self.weights["panoptic"] > 0,
            lovasz=self.weights["panoptic_lovasz"] > 0,
        )
        panoptic |= affinity_terms(
            outputs.affinity,
            targets,
            outputs.upsampling,
            stuff=self.stuff,
            among_all=self.weights["affinity"] > 0,
            rivals=self.weights["affinity_rivals"] > 0,
        )
        if self.weights["existence"] > 0:
            panoptic |= existence_terms(outputs, targets)
        detector = {name: term for name, term in outputs.detector_losses.items() if self.weights[name] > 0}
        return {**semantic, **panoptic, **detector}

    def weigh(self, terms: Mapping[str, Term]) -> Losses:
        """Divide each term by its count and multiply it by its weight."""
        return Losses({name: self.weights[name] * term.mean for name, term in terms.items()})
