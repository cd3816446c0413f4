"""What a call of evaluate or predict may set otherwise than the run that it takes."""

from dataclasses import dataclass, replace
from typing import Any, get_args

from unipan.choices import InferencePrecision
from unipan.config import Config
from unipan.errors import InputError, number, whole_number

LOWEST = {"max_admitted": 0, "max_detections": 1, "proposals": 1, "short_side": 0, "long_side": 0, "min_stuff_area_px": 0}
"""Of the whole numbers."""


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """Limits, thresholds and sizes that change no weight; None keeps the run's own."""

    threshold: float | None = None
    """Lowest score of a detection that enters the answer, 0..1."""
    nms: float | None = None
    """Two boxes of one class that overlap by more than this IoU, 0..1, are one detection: the weaker one is dropped."""
    max_admitted: int | None = None
    """Detections of one image that may enter the answer."""
    max_detections: int | None = None
    """Detections kept for one image, before the best of them enter the answer."""
    proposals: int | None = None
    """Proposals of one image that reach the box head (two-stage)."""
    short_side: int | None = None
    """Shorter side in pixels at which the network sees an image; 0 keeps its own."""
    long_side: int | None = None
    """Longest side in pixels; 0 for no limit."""
    scale: float | None = None
    """Resize by this factor instead, whatever the image's size."""
    min_stuff_area_px: int | None = None
    """Stuff segments with fewer pixels of the original image become void; 0 trims nothing."""
    precision: InferencePrecision | None = None
    """bf16 computes all layers in half the bits, faster where the processor can; boxes, scores and evidence stay in float32."""

    def __post_init__(self) -> None:
        for name in ("threshold", "nms", "scale"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, number(name, value))
        for name, lowest in LOWEST.items():  # -1 in a training's settings asks its data, of which nothing is known here
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, whole_number(name, value, lowest=lowest))
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise InputError(f"the threshold is {self.threshold:g}; a score lies in [0, 1].")
        if self.nms is not None and not 0 <= self.nms <= 1:
            raise InputError(f"the limit of nms is {self.nms:g}; an IoU lies in [0, 1].")
        if self.scale is not None and not 0 < self.scale < float("inf"):
            raise InputError(f"the scale is {self.scale:g}; a factor lies above 0: 0.5 halves the sides.")
        if self.precision not in (None, *get_args(InferencePrecision)):
            raise InputError(f"there is no precision {self.precision}; choose {' or '.join(get_args(InferencePrecision))}.")
        if self.scale is not None and (self.short_side is not None or self.long_side is not None):
            raise InputError(f"the scale {self.scale:g} and a side came; a factor takes no sides: give one or the other.")

    def applied_to(self, config: Config) -> Config:
        """The run's settings with these; scale and precision, which settings of inference don't know, are left to the predictor.

        Raises: InputError for what a run could not have been trained with either.
        """
        detector, lowest = config.model.detector, config.model.detector.score_threshold
        detector = _with(
            detector,
            nms=self.nms,
            max_detections=self.max_detections,
            proposals=self.proposals,
            proposals_before_nms=self.proposals and max(self.proposals, detector.proposals_before_nms),
            score_threshold=None if self.threshold is None else min(self.threshold, lowest),
        )
        inference = _with(
            config.inference,
            score_threshold=self.threshold,
            max_admitted=self.max_admitted,
            min_stuff_area_px=self.min_stuff_area_px,
        )
        data = _with(config.data, short_side=self.short_side, long_side=self.long_side)
        return replace(config, model=replace(config.model, detector=detector), inference=inference, data=data)


NO_OVERRIDES = Overrides()


def checked(overrides: object) -> Overrides:
    """Raises: InputError for what is no `Overrides`."""
    if isinstance(overrides, Overrides):
        return overrides
    raise InputError(f"overrides came as a {type(overrides).__name__}; give unipan.Overrides, as in Overrides(threshold=0.5).")


def _with(section: Any, **values: Any) -> Any:
    """The section of settings with those of the values that are given."""
    return replace(section, **{name: value for name, value in values.items() if value is not None})
