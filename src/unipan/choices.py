"""Words that settings take: what may be chosen, without what is chosen by it."""

from typing import Literal

Propagation = Literal["none", "dot", "pooled", "normalised", "softmax"]
Variant = Literal["A", "B", "C"]
PanopticHead = Literal["unified", "upsnet", "heuristic"]
Upsampling = Literal["bilinear", "convex"]
DetectorKind = Literal["two_stage", "one_stage"]
TrainingDetections = Literal["predicted", "truth"]
Precision = Literal["fp32", "bf16", "fp16"]
InferencePrecision = Literal["fp32", "bf16"]
"""fp16 needs a scale that only training has found."""
Device = Literal["auto", "cpu", "cuda", "mps"]
Optimizer = Literal["sgd", "adamw"]
Schedule = Literal["steps", "cosine"]
OnNonfinite = Literal["stop", "skip"]
TrackerName = Literal["tensorboard", "wandb", "trackio"]

OverlayForm = Literal["none", "jpg", "png"]
"""What predict writes overlays as. PNG is exact, and takes half a second for 2 megapixels (docs/performance.md)."""
Merge = Literal["none", "supercategory"]
Difficulty = Literal["standard", "crowded", "touching"]
Faulty = Literal["stop", "skip"]
"""What to do about what can't be used: end, or leave it out."""
Form = Literal["coco-instances", "geojson", "label-studio", "labelme"]
"""Of other tools, in which panoptic maps are written."""

OWN_DATA = '--data.train JSON --data.val JSON --data.images DIR, in Python data={"train": JSON, "val": JSON, "images": DIR}'
"""How a data set of one's own is named."""
