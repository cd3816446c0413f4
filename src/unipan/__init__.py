"""unipan: panoptic segmentation through a learnt dense instance affinity.

    predict = unipan.load("runs/demo")
    answer = predict("image.jpg")
    unipan.overlay(answer, "image.jpg").save("overlay.png")

Names are imported when they are first used, so `import unipan` is quick and touches no GPU.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unipan.classes import ClassInfo, ClassTable
    from unipan.errors import InputError
    from unipan.overrides import Overrides
    from unipan.predictor import Predictor, load
    from unipan.recipes.explore import explore
    from unipan.types import Detections, Inference, Outputs, PanopticMap, Segment
    from unipan.viz.overlay import overlay

__version__ = version("unipan")

__all__ = [
    "ClassInfo",
    "ClassTable",
    "Detections",
    "Inference",
    "InputError",
    "Outputs",
    "Overrides",
    "PanopticMap",
    "Predictor",
    "Segment",
    "explore",
    "load",
    "overlay",
]

_HOMES = {
    "ClassInfo": "unipan.classes",
    "ClassTable": "unipan.classes",
    "Detections": "unipan.types",
    "Inference": "unipan.types",
    "InputError": "unipan.errors",
    "Outputs": "unipan.types",
    "Overrides": "unipan.overrides",
    "PanopticMap": "unipan.types",
    "Predictor": "unipan.predictor",
    "Segment": "unipan.types",
    "explore": "unipan.recipes.explore",
    "load": "unipan.predictor",
    "overlay": "unipan.viz.overlay",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unipan' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
