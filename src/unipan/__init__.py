"""unipan: panoptic segmentation through a learnt dense instance affinity.

    predict = unipan.load("runs/demo")
    answer = predict("image.jpg")
    unipan.overlay(answer, "image.jpg").save("overlay.png")
    run = unipan.train("finetune", out="runs/mine", data={"train": "train.json", "val": "val.json", "images": "images"})

Names are imported when they are first used, so `import unipan` is quick and touches no GPU.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unipan.answer import Answer, Inference
    from unipan.api import Run, train
    from unipan.classes import ClassInfo, ClassTable
    from unipan.config import Config
    from unipan.engine.fit import Hook, Step
    from unipan.engine.interrupt import Stopped
    from unipan.errors import InputError
    from unipan.overrides import Overrides
    from unipan.predictor import Predictor, load
    from unipan.recipes.comparison import Comparison
    from unipan.recipes.evaluation.result import Evaluation
    from unipan.recipes.explore import explore
    from unipan.recipes.export import export
    from unipan.recipes.score import score
    from unipan.tools.doctor.run import doctor
    from unipan.types import Detections, Outputs, PanopticMap, Segment
    from unipan.viz.overlay import overlay

__version__ = version("unipan")

__all__ = [
    "Answer",
    "ClassInfo",
    "ClassTable",
    "Comparison",
    "Config",
    "Detections",
    "Evaluation",
    "Hook",
    "Inference",
    "InputError",
    "Outputs",
    "Overrides",
    "PanopticMap",
    "Predictor",
    "Run",
    "Segment",
    "Step",
    "Stopped",
    "doctor",
    "explore",
    "export",
    "load",
    "overlay",
    "score",
    "train",
]

_HOMES = {
    "Answer": "unipan.answer",
    "ClassInfo": "unipan.classes",
    "ClassTable": "unipan.classes",
    "Comparison": "unipan.recipes.comparison",
    "Config": "unipan.config",
    "Detections": "unipan.types",
    "Evaluation": "unipan.recipes.evaluation.result",
    "Hook": "unipan.engine.fit",
    "Inference": "unipan.answer",
    "InputError": "unipan.errors",
    "Outputs": "unipan.types",
    "Overrides": "unipan.overrides",
    "PanopticMap": "unipan.types",
    "Predictor": "unipan.predictor",
    "Run": "unipan.api",
    "Segment": "unipan.types",
    "explore": "unipan.recipes.explore",
    "Step": "unipan.engine.fit",
    "Stopped": "unipan.engine.interrupt",
    "doctor": "unipan.tools.doctor.run",
    "export": "unipan.recipes.export",
    "load": "unipan.predictor",
    "overlay": "unipan.viz.overlay",
    "score": "unipan.recipes.score",
    "train": "unipan.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unipan' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
