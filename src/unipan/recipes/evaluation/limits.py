"""What limits keep from an answer, whatever the network has learnt."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from unipan.answer import Inference
from unipan.data.statistics import SetStatistics, lost_to_limits
from unipan.predictor import Predictor


def limits_reached(predictor: Predictor, inference: Inference) -> list[str]:
    """The limits, by their options' names, that an image came up to: beyond them there may have been more."""
    worthy = int((inference.detections.scores >= inference.admission.score_threshold).sum())
    reached = {
        "--max-detections": len(inference.detections.scores) >= predictor.config.model.detector.max_detections,
        "--max-admitted": worthy > inference.admission.limit,
    }
    return [name for name, is_reached in reached.items() if is_reached]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of an evaluation, and how its truth and its images fared by them. By their options' names."""

    things: dict[str, int]
    """Detections of an image at most."""
    min_stuff_area_px: int
    truth: SetStatistics
    reached: dict[str, int]
    """Images that came up to a limit: beyond it there may have been more."""

    @staticmethod
    def of(predictor: Predictor, truth: SetStatistics, reached: Iterable[str]) -> "Limits":
        """reached: for each image the options whose limits it came up to."""
        return Limits(
            things={"max_detections": predictor.config.model.detector.max_detections, "max_admitted": predictor.admission.limit},
            min_stuff_area_px=predictor.min_stuff_area_px,
            truth=truth,
            reached=dict(Counter(reached)),
        )

    def sentences(self) -> list[str]:
        """What is lost, and by which option it is kept."""
        lost = lost_to_limits(self.truth, self.things, ("min_stuff_area_px", self.min_stuff_area_px))
        images = len(self.truth.images)
        came = [
            f"{count} of {images} images came up to {option}: a larger one may find more."
            for option, count in self.reached.items()
        ]
        return [f"Held-out truth: {sentence}" for sentence in lost] + came

    def to_json(self) -> dict[str, Any]:
        stuff = self.truth.stuff_areas
        return {
            **self.things,
            "min_stuff_area_px": self.min_stuff_area_px,
            "true_things": int(self.truth.things_an_image.sum()),
            "true_things_beyond": self.truth.things_beyond(min(self.things.values())),
            "true_stuff": len(stuff),
            "true_stuff_removed": int((stuff < self.min_stuff_area_px).sum()),
            "images_at": self.reached,
        }
