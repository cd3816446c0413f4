"""All settings of a run: frozen, complete, checked once. Modules never see a Config; `build` functions hand them plain arguments.

Paper means the supplementary of Li, Qi, Torr, CVPR 2020. A default that it does not give is ours, and says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from math import inf
from pathlib import Path
from typing import Any, Literal

from unipan.choices import (
    OWN_DATA,
    DetectorKind,
    Device,
    Difficulty,
    Faulty,
    Merge,
    OnNonfinite,
    Optimizer,
    PanopticHead,
    Precision,
    Propagation,
    Schedule,
    TrackerName,
    TrainingDetections,
    Upsampling,
    Variant,
)
from unipan.errors import InputError
from unipan.files import check_home
from unipan.settings import with_values

FIRST_TRAINING_SEED = 1000
"""Training scenes of run seed s have the seed FIRST_TRAINING_SEED + s, which no held-out scene has."""


FINEST_LEVEL, COARSEST_LEVEL = 2, 5
"""Of the pyramid that the feature decoders see: P2 has a stride of 4 pixels, P5 of 32."""

LARGEST_NUMBER = 2**53
"""Of whole numbers in settings, but for the seed."""
LARGEST_ANCHOR_SCALE = 2**20
FROM_DATA = -1
"""In place of a number: it follows from the training data, and stands in the run's config.json (`data.fitting.settled`)."""


@dataclass(frozen=True, kw_only=True)
class DetectorConfig:
    """The detector: Faster R-CNN's or FCOS's box head, optionally with Mask R-CNN's mask head."""

    kind: DetectorKind = "two_stage"
    """two_stage: Faster R-CNN. one_stage: FCOS, which has no proposals; settings marked (two_stage) are not for it."""
    anchor_scale: float = 8.0
    """Anchor side on each pyramid level, as a multiple of the level's stride; in FCOS the largest distance to a box's side. -1:
    4, or what the sizes of the training data's things need where images can't be made large enough."""
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Height over width of the anchors (two_stage). A single -1: what the training data's things have."""
    proposals_before_nms: int = 1000
    """Best proposals (FCOS: detections) of each level that go into non-maximum suppression."""
    proposals: int = 1000
    """Proposals of one image that reach the box head, in training and inference alike (two_stage)."""
    proposal_nms: float = 0.7
    """Box IoU at which the weaker of two proposals is dropped (two_stage)."""
    rpn_samples: int = 256
    """Anchors of one image that the proposal loss samples (two_stage)."""
    roi_samples: int = 512
    """Regions of one image that the box loss samples, at most a quarter of them positive. The mask loss takes the positive ones
    only; FCOS, which samples no regions for its boxes, lets as many into the mask loss."""
    box_channels: int = 1024
    """Width of the box head's two hidden layers (two_stage)."""
    class_agnostic: bool = False
    """One box and one mask of a region for all classes instead of one for each (two_stage; of FCOS's, the masks alone): classes
    with few examples learn from the others' outlines."""
    mask_channels: int = 256
    """Width of the mask head's four convolutions."""
    mask_norm: bool | None = None
    """GroupNorm after each of them (our choice); None where the backbone needs it, as for model.fpn_norm. Without it a mask head
    that starts from scratch at a high rate may die, its units negative everywhere; the published ones, at lower rates, do
    without."""
    score_threshold: float = 0.05
    """Detections below are dropped before anything else sees them."""
    nms: float = 0.5
    """Box IoU at which the weaker of two detections of one class is dropped."""
    max_detections: int = 100
    """Detections kept for one image. Like both numbers of proposals it may be -1: it then follows from the training data."""

    def __post_init__(self) -> None:
        _positive(self, "model.detector", "box_channels", "mask_channels", "rpn_samples", "roi_samples")
        _check(self, "model.detector", "anchor_scale", self.anchor_scale < LARGEST_ANCHOR_SCALE, f"below {LARGEST_ANCHOR_SCALE}")
        _positive_or_from_data(self, "model.detector", "anchor_scale", "proposals_before_nms", "proposals", "max_detections")
        if self.aspect_ratios != (FROM_DATA,) and not _all_positive(self.aspect_ratios):
            raise InputError(
                f"model.detector.aspect_ratios is {self.aspect_ratios}; it takes one or more heights over widths, all above 0, "
                "or a single -1."
            )
        _fractions(self, "model.detector", "proposal_nms", "score_threshold", "nms")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network."""

    backbone: str = "resnet50"
    """Any timm model with features at strides 4, 8, 16 and 32."""
    pretrained: bool = True
    """Start from ImageNet weights (from a local package for tf_efficientnet_lite0, _lite1 and _lite2, else from timm's hub)."""
    fpn_channels: int = 256
    """Width of the feature pyramid."""
    fpn_norm: bool | None = None
    """GroupNorm after the pyramid's convolutions (our choice); None where the backbone needs it: those whose features are not
    normalised, such as EfficientNet's linear bottlenecks. ResNet does without, as published."""
    decoder_channels: tuple[int, ...] = (128, 128)
    """Widths of the deformable blocks shared by the pyramid levels, in each of the two feature decoders."""
    shared_blocks: int = 0
    """How many of these blocks, from the first on, the two decoders have in common (our choice): less work."""
    deformable_from: int = 2
    """The finest pyramid level that goes through the decoders' blocks, 2 to 5; finer ones, which have most of the cells, through
    one 1x1 convolution (our choice): 3 leaves a quarter of that work."""
    affinity_dim: int = 128
    """D, the length of an affinity feature (our choice; the paper's stored text is silent)."""
    masks: bool = True
    """Give the detector a mask head."""
    variant: Variant = "B"
    """Dynamic potential: A boxes only, B product with masks, C sum with masks (paper, section A.3)."""
    score_factor: bool = True
    """Multiply each detection's channel by its score under B and C (our choice); A always does."""
    affinity_position: bool = False
    """Show the affinity head where each cell lies (our choice): it tells apart things that look alike."""
    existence: bool = False
    """Learn which admitted detections stand for a thing of their own, and let the others lose (our choice)."""
    propagation: Propagation = "pooled"
    """How evidence spreads along affinities (our choice)."""
    stuff_cells: float = 0.0
    """Evidence of a stuff class that holds fewer cells of an image fades in proportion (our choice): descriptors are means, so a
    class that is hardly there would have as much to say as any other. 0 never."""
    upsampling: Upsampling = "bilinear"
    """How logits get from cells to pixels: bilinear, as published, or convex, by shares of the 3 x 3 cells around (our choice),
    which sees in the image where within a cell an outline runs. The panoptic losses teach the shares; every head's answer uses
    them. Without such a loss (panoptic heuristic) it is bilinear always."""
    residual: bool = True
    """Add the logarithm of the unpropagated potential, with a learnt weight (our choice)."""
    panoptic: PanopticHead = "unified"
    """unified: potential, affinity and propagation (the paper's); it alone has use for shared_blocks, affinity_dim,
    affinity_position, variant, score_factor, existence, propagation, stuff_cells and residual. upsnet: UPSNet's
    parameter-free head, trained with its own loss. heuristic: Panoptic FPN, no panoptic loss, a merger of finished parts."""
    freeze_batchnorm: bool = True
    """Keep the backbone's batch-norm statistics (paper, section B); off, they are fine-tuned."""
    checkpointing: bool = False
    """Recompute the backbone's and the decoders' activations in the backward pass: less memory, about a third more time."""
    void_channel: bool = False
    """One more channel for things that no admitted detection claims (our choice)."""
    detector: DetectorConfig = field(default_factory=DetectorConfig)

    def __post_init__(self) -> None:
        if self.variant != "A" and not self.masks:
            raise InputError(f"model.variant {self.variant} needs masks; set --model.masks or choose --model.variant A.")
        if self.checkpointing and not self.freeze_batchnorm:
            raise InputError(
                "model.checkpointing recomputes the backbone, which would count its batch-norm statistics twice; "
                "set --model.freeze-batchnorm or --model.no-checkpointing."
            )
        if self.panoptic == "upsnet" and not self.void_channel:
            raise InputError("model.panoptic upsnet has a channel for unknown things; say so with --model.void-channel.")
        if self.panoptic == "heuristic" and self.void_channel:
            raise InputError(
                "model.panoptic heuristic has no panoptic channels, so no void channel; set --model.no-void-channel."
            )
        _positive(self, "model", "fpn_channels", "affinity_dim")
        if not _all_positive(self.decoder_channels):
            raise InputError(f"model.decoder_channels is {self.decoder_channels}; it takes the widths of one or more blocks.")
        _not_negative(self, "model", "stuff_cells", "shared_blocks")
        if not FINEST_LEVEL <= self.deformable_from <= COARSEST_LEVEL:
            raise InputError(
                f"model.deformable_from is {self.deformable_from}; it takes a pyramid level, {FINEST_LEVEL} to {COARSEST_LEVEL}."
            )
        if self.shared_blocks > len(self.decoder_channels):
            raise InputError(
                f"model.shared_blocks is {self.shared_blocks}, but a decoder has {len(self.decoder_channels)} blocks "
                "(model.decoder_channels)."
            )


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where images come from and how they are prepared."""

    source: Literal["scenes", "coco", "cityscapes", "shards"] = "scenes"
    """scenes: procedural, no files. coco: the COCO panoptic layout below `root`. cityscapes: its download, unpacked below `root`.
    shards: tar files as `convert shards` writes them. Where `train` names a JSON, the JSONs are the source, whatever stands
    here."""
    root: str = ""
    """Folder with annotations/panoptic_SPLIT.json, annotations/panoptic_SPLIT/ and SPLIT/ (coco), or with leftImg8bit/ and
    gtFine/ (cityscapes), or with SPLIT.json and its tars, which may be an address such as s3://BUCKET/FOLDER (shards), or where
    the relative paths below start (JSONs; without it, in the current folder)."""
    train_split: str = "train2017"
    """Images to learn from (coco, cityscapes, shards)."""
    val_split: str = "val2017"
    """Held-out images (coco, cityscapes, shards)."""
    train: str = ""
    """JSON of the images to learn from, in the COCO panoptic format; with `val` and `images` all that your own data need."""
    val: str = ""
    """JSON of the held-out images."""
    images: str = ""
    """Folder of the images that `train` names; one in a subfolder is found by its name."""
    val_images: str = ""
    """Folder of the images that `val` names, where it is not `images`."""
    train_masks: str = ""
    """Folder of the PNGs that `train` names; without it, the one beside the JSON that bears its name."""
    val_masks: str = ""
    """Folder of the PNGs that `val` names; likewise."""
    merge: Merge = "none"
    """supercategory: merge classes of one super-category, things and stuff apart (all but scenes)."""
    difficulty: Difficulty = "standard"
    """How often things of one class overlap; touching: many small ones, side by side (scenes)."""
    scene_size: tuple[int, int] = (128, 160)
    """Height and width in pixels (scenes)."""
    val_scenes: int = 200
    """Held-out scenes (scenes)."""
    val_seed: int = 0
    """They follow from it (scenes): results are of 0, settings are chosen on those of another seed, below 1000."""
    short_side: int = 0
    """Resize so that the shorter side has this many pixels; 0 keeps the size. Applies to training and prediction. -1, here and
    for the long side: what the sizes of the training data's things need, at most 512."""
    long_side: int = 0
    """... but the longer side at most this many; 0 sets no limit. Alone, it only shrinks."""
    scale_range: tuple[float, float] = (1.0, 1.0)
    """Training images are further resized by a factor drawn uniformly from this range (paper, section B: 0.5 to 2)."""
    crop: tuple[int, int] = (0, 0)
    """Height and width of a random crop of training images; smaller images are taken whole; 0 0 crops nothing."""
    flip: bool = True
    """Mirror half of the training images."""
    jitter: float = 0.0
    """Largest relative change of brightness, contrast and saturation in training (a quarter of it for hue)."""
    copy_paste: float = 0.0
    """Share of training images onto which some things of another one are laid (our choice, for few images)."""
    repeat_threshold: float = 0.0
    """Training images with a class that fewer than this share of them have are shown up to sqrt(threshold / share) times as often
    (all but scenes; our choice, for few images of many classes); 0 shows all alike."""
    min_thing_px: int = 4
    """Things with fewer visible pixels are not trained on; their pixels are void."""
    faulty: Faulty = "stop"
    """What a training image that can't be read does: end the training, or give its place to the next one, named and counted."""

    def __post_init__(self) -> None:
        if min(self.short_side, self.long_side) < FROM_DATA or 0 < self.long_side < self.short_side:
            raise InputError(
                f"data.short_side ({self.short_side}) and data.long_side ({self.long_side}) must be 0 or more (or -1), "
                "and the long side, unless 0, the larger."
            )
        if min(self.scene_size) < 32:
            raise InputError(f"data.scene_size is {self.scene_size}; both sides must be at least 32 pixels.")
        _positive(self, "data", "val_scenes")
        if not 0 <= self.val_seed < FIRST_TRAINING_SEED:
            raise InputError(
                f"data.val_seed is {self.val_seed}; held-out scenes have a seed in 0..{FIRST_TRAINING_SEED - 1}, training scenes "
                "one above."
            )
        _not_negative(self, "data", "min_thing_px")
        _fractions(self, "data", "copy_paste", "repeat_threshold")
        if not 0 <= self.jitter < 1:
            raise InputError(f"data.jitter is {self.jitter}; it must lie in [0, 1).")
        low, high = self.scale_range
        if not 0 < low <= high <= 100:
            raise InputError(
                f"data.scale_range is {low:g} {high:g}; it takes two factors above 0, at most 100, the smaller first."
            )
        if self.crop != (0, 0) and min(self.crop) < 32:
            raise InputError(f"data.crop is {self.crop}; both sides must be at least 32 pixels, or both 0 for no crop.")
        self._check_files()

    @property
    def kind(self) -> Literal["scenes", "coco", "cityscapes", "shards", "json"]:
        """What is read: the JSONs where they are named, else the source."""
        return "json" if self.train else self.source

    def _check_files(self) -> None:
        """No setting of files is passed over in silence: those of JSONs belong together, and a root needs what lies below it."""
        names = ("train", "val", "images", "val_images", "train_masks", "val_masks")
        given = {name: getattr(self, name) for name in names if getattr(self, name)}
        for path in (self.root,) if self.root else given.values():  # the others start from the root
            check_home(path)
        missing = [f"data.{name}" for name in ("train", "val", "images") if name not in given]
        if given and missing:
            raise InputError(
                f"data.{next(iter(given))} is given without {' and '.join(missing)}; a data set of one's own takes {OWN_DATA}."
            )
        if self.root and self.kind == "scenes":
            raise InputError(
                f"data.root is {self.root}, but data.source is scenes, which reads no files; set --data.source coco, "
                "cityscapes or shards, or leave the root out."
            )
        absolute = [name for name, path in given.items() if Path(path).is_absolute()]
        if self.root and absolute:
            raise InputError(
                f"data.root is {self.root}, but data.{absolute[0]} ({given[absolute[0]]}) is absolute; beside JSON files a root "
                "is where relative paths start. Leave the root out, or give paths relative to it."
            )


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the loss terms (our choices, near UPSNet's and Panoptic FPN's); 0 switches a term off."""

    semantic: float = 1.0
    """Cross-entropy of the semantic head."""
    semantic_lovasz: float = 0.0
    """Lovasz-softmax of the semantic head (paper, section B: Cityscapes)."""
    panoptic: float = 0.5
    """Cross-entropy over the panoptic channels."""
    panoptic_lovasz: float = 0.0
    """Lovasz-softmax over the panoptic channels of an image (our choice): each segment's IoU, which PQ asks for."""
    rpn: float = 1.0
    """Both losses of the region proposal network."""
    box: float = 1.0
    """The box head's losses: class, regression and, one-stage, centerness."""
    affinity: float = 0.0
    """Which segment a pixel belongs to, by the affinity alone (our choice)."""
    affinity_rivals: float = 0.0
    """The same among the things of one class only, which no other head tells apart (our choice)."""
    existence: float = 2.0
    """Whether an admitted detection stands for a true thing, with model.existence (our choice)."""
    mask: float = 1.0
    """Lovasz hinge of the mask head (paper, section A.2)."""
    group: int = 1
    """Images over which one Lovasz-softmax is taken; the paper takes the 8 crops of a GPU."""

    def __post_init__(self) -> None:
        negative = [f.name for f in fields(self) if not 0 <= getattr(self, f.name) < inf]
        if negative or self.group < 1:
            raise InputError(f"loss weights must be 0 or more and loss.group at least 1; mend {', '.join(negative) or 'group'}.")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The schedule and the training loop."""

    steps: int = 65_000
    """Optimiser steps."""
    batch_size: int = 32
    """Images of one optimiser step, over all processes."""
    accumulate: int = 1
    """Forward and backward passes that each process takes its share of a step in: the same step with less memory. Above 1 costs a
    third more time, for normalisers such as the pixels of matched things must be known before the first gradient is."""
    optimizer: Optimizer = "sgd"
    """sgd: with momentum (paper, section B). adamw: Adam with decoupled decay (our choice), which wants about a thirtieth of the
    rate, and a decay of about 0.05."""
    learning_rate: float = 0.01
    """Full rate, after the warm-up."""
    reference_batch_size: int = 0
    """The batch size that `learning_rate` is meant for: another batch size scales it in proportion. 0 takes it as it is."""
    momentum: float = 0.9
    """Of SGD; of Adam, the decay of its mean gradient (our choice)."""
    weight_decay: float = 1e-4
    """Not for norms, biases and scales."""
    warmup_steps: int = 500
    """Optimiser steps of linear warm-up; a run that is shorter ends on its way up, and the summary at its start says so."""
    warmup_factor: float = 1 / 3
    """Where the warm-up starts, as a share of the full rate."""
    schedule: Schedule = "steps"
    """steps: divided by 10 after each of `decay_steps`. cosine: falls to 0 along half a cosine from the warm-up's end to the last
    step (our choice); `decay_steps` has no say then."""
    decay_steps: tuple[int, ...] = (40_000, 55_000)
    """Steps after which the rate is divided by 10."""
    clip_norm: float = 10.0
    """Largest gradient norm (our choice)."""
    score_threshold: float = 0.3
    """Detections with this score enter the potential in training (our choice), ..."""
    max_admitted: int = 20
    """... the best so many of each image (our choice); -1: as many as the training data's images hold."""
    detections: TrainingDetections = "predicted"
    """Which detections make the potential in training: the network's own, or the truth's boxes with score 1 (paper, Table C)."""
    warm_start: str = ""
    """A state dict of torchvision's maskrcnn_resnet50_fpn (or _v2) to start from: .pth or .safetensors; or the word torchvision,
    for the one that it publishes, trained on COCO."""
    init: str = ""
    """A run to start from (its folder, or hf:OWNER/NAME), of any class table: classes with the same name keep what was learnt."""
    precision: Precision = "fp32"
    """Mixed precision: bf16, or fp16 with a gradient scaler."""
    device: Device = "auto"
    """auto is the GPU where there is one."""
    cuda_graphs: bool = False
    """Launch what is computed in every cell as one CUDA graph for each of the first four shapes of a batch (our choice): on a GPU
    with one or two images at a time a step takes less time and more memory. A run may go on with or without."""
    seed: int = 0
    """All of a run's randomness follows from it: weights, order, augmentation, sampling, and the training scenes."""
    workers: int = 2
    """Data loader processes; 0 loads in the main process."""
    save_every: int = 1000
    """Steps between checkpoints."""
    keep: int = 2
    """Newest checkpoints that stay on the disk; where the newest is damaged, a run goes on from the one before."""
    on_nonfinite: OnNonfinite = "stop"
    """What a NaN or infinite loss or gradient does: end the training, or leave the step out (ten in a row end it all the same).
    The batch is saved either way."""
    ema: float = 0.0
    """Decay of the exponential moving average of the weights, which then is the model; 0 for none. It starts without bias: after
    t steps, step k counts in proportion to ema^(t-k), and the weights from before the first step not at all."""
    evaluate_every: int = 0
    """Steps between evaluations on held-out images; the model is then the weights with the best PQ. 0 never evaluates."""
    evaluate_images: int = 200
    """Held-out images of such an evaluation, evenly spaced; 0 takes all."""
    trackers: tuple[TrackerName, ...] = ()
    """Where the log's numbers go besides log.jsonl: tensorboard, wandb, trackio; each is an extra of this package."""
    panels_every: int = 0
    """Steps between drawings of a few held-out images with truth and answer, in RUN/panels and the trackers; 0 draws none."""

    def __post_init__(self) -> None:
        _positive(self, "train", "steps", "batch_size", "learning_rate", "save_every", "keep")
        _positive(self, "train", "accumulate")
        _positive_or_from_data(self, "train", "max_admitted")
        _fractions(self, "train", "score_threshold")
        if not self.clip_norm > 0:  # infinite: nothing is clipped
            raise InputError(f"train.clip_norm is {self.clip_norm}; it must be above 0.")
        if min(self.decay_steps, default=0) < 0:
            raise InputError(f"train.decay_steps is {self.decay_steps}; each step must be 0 or more.")
        _not_negative(self, "train", "seed", "workers", "reference_batch_size", "weight_decay")
        _not_negative(self, "train", "evaluate_every", "evaluate_images", "panels_every")
        if self.seed >= 2**63:
            raise InputError(f"train.seed is {self.seed}; it must be below 2^63 ({2**63}), for PyTorch counts no further.")
        if not 0 <= self.momentum < 1:
            raise InputError(f"train.momentum is {self.momentum:g}; it must lie in [0, 1).")
        if not 0 <= self.ema < 1:
            raise InputError(f"train.ema is {self.ema:g}; a decay lies in [0, 1): 0 for no average, 0.999 for a long one.")
        if self.init and self.warm_start:
            raise InputError(
                f"train.init ({self.init}) and train.warm_start ({self.warm_start}) both say what to start from; leave one out."
            )
        if self.batch_size % self.accumulate:
            raise InputError(f"train.batch_size ({self.batch_size}) must be a multiple of train.accumulate ({self.accumulate}).")
        if self.precision == "fp16" and self.device == "cpu":
            raise InputError("train.precision fp16 needs a GPU, but train.device is cpu; choose --train.precision bf16 or fp32.")
        if self.warmup_steps < 0 or not 0 < self.warmup_factor <= 1:
            raise InputError(
                f"train.warmup_steps ({self.warmup_steps}) must be 0 or more and train.warmup_factor ({self.warmup_factor:g}) "
                "above 0 and at most 1."
            )


@dataclass(frozen=True, kw_only=True)
class InferenceConfig:
    """How an answer is read off the panoptic logits; evaluation, prediction and export share it."""

    score_threshold: float = 0.5
    """Detections with this score enter the potential (paper, section B: 0.5 Cityscapes, 0.75 COCO)."""
    max_admitted: int = 100
    """Detections of one image that may enter the potential; -1: half as many again as the training data's images hold."""
    min_stuff_area_px: int = 0
    """Stuff segments with fewer pixels of the original image become void; 0 trims nothing."""

    def __post_init__(self) -> None:
        _fractions(self, "inference", "score_threshold")
        _not_negative(self, "inference", "min_stuff_area_px")
        if self.max_admitted < FROM_DATA:
            raise InputError(f"inference.max_admitted is {self.max_admitted}; it must be 0 or more (or -1).")


@dataclass(frozen=True, kw_only=True)
class Config:
    """A whole run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    inference: InferenceConfig = field(default_factory=InferenceConfig)

    def replace(self, name: str, value: Any) -> "Config":
        """These settings with another value for one: `config.replace("train.steps", 2)`.

        Raises: InputError for a name that there is not, or a value that does not go with it or with the other settings.
        """
        return with_values(self, {name: value})

    def __post_init__(self) -> None:
        for section in fields(self):
            _check_sizes(getattr(self, section.name), section.name)
        if not any(getattr(self.loss, name) for name in self._learnt()):
            raise InputError(
                "every loss weight that this network has a loss for is 0, so there is nothing to learn; set one above it."
            )
        if self.model.panoptic == "heuristic" and (self.loss.panoptic or self.loss.panoptic_lovasz):
            raise InputError(
                f"model.panoptic heuristic has no panoptic loss, but loss.panoptic is {self.loss.panoptic:g} and "
                f"loss.panoptic_lovasz {self.loss.panoptic_lovasz:g}; set both to 0."
            )
        if self.train.accumulate > 1 and not self.model.freeze_batchnorm:
            raise InputError(
                f"train.accumulate is {self.train.accumulate}, but batch norms that are fine-tuned see one pass at a time and "
                "would count it twice; set --train.accumulate 1 or --model.freeze-batchnorm."
            )
        if self.train.cuda_graphs:
            self._check_cuda_graphs()
        if self.model.panoptic == "heuristic" and self.train.detections == "truth":
            raise InputError(
                "train.detections truth chooses what the panoptic loss sees, but model.panoptic heuristic has none; "
                "set --train.detections predicted."
            )
        if self.train.detections == "truth" and not (self.loss.panoptic or self.loss.panoptic_lovasz):
            raise InputError(
                "train.detections truth changes only the panoptic loss, but this run has none; "
                "give loss.panoptic a weight, or set --train.detections predicted."
            )

    def _learnt(self) -> list[str]:
        """The loss weights of what this network has."""
        unified = self.model.panoptic == "unified"
        has = {
            "affinity": unified,
            "affinity_rivals": unified,
            "existence": unified and self.model.existence,
            "rpn": self.model.detector.kind == "two_stage",
            "mask": self.model.masks,
            "group": False,
        }
        return [one.name for one in fields(self.loss) if has.get(one.name, True)]

    def _check_cuda_graphs(self) -> None:
        """A graph's passes overwrite each other's results; those that try it out would count in batch norms' statistics."""
        if self.train.accumulate > 1 or self.model.checkpointing or not self.model.freeze_batchnorm:
            raise InputError(
                "train.cuda_graphs goes with one pass a step that keeps what it computes, and with batch norms as they are; set "
                "--train.accumulate 1, --model.no-checkpointing and --model.freeze-batchnorm, or --train.no-cuda-graphs."
            )


def _check_sizes(config: Any, section: str) -> None:
    """Whole numbers that no operator takes are refused here, not by one of them long after."""
    for entry in fields(config):
        value = getattr(config, entry.name)
        if is_dataclass(value):
            _check_sizes(value, f"{section}.{entry.name}")
        values = value if isinstance(value, (tuple, list)) else [value]
        if entry.name != "seed" and any(isinstance(one, int) and abs(one) > LARGEST_NUMBER for one in values):
            raise InputError(f"{section}.{entry.name} is {value}; it must be at most {LARGEST_NUMBER}.")


def _positive(config: object, section: str, *names: str) -> None:
    for name in names:
        _check(config, section, name, getattr(config, name) > 0, "above 0")


def _positive_or_from_data(config: object, section: str, *names: str) -> None:
    _positive(config, section, *(name for name in names if getattr(config, name) != FROM_DATA))


def _not_negative(config: object, section: str, *names: str) -> None:
    for name in names:
        _check(config, section, name, getattr(config, name) >= 0, "0 or more")


def _check(config: object, section: str, name: str, fits: bool, wanted: str) -> None:
    value = getattr(config, name)
    if not fits or value == inf:
        raise InputError(f"{section}.{name} is {value}; it must be {'finite' if fits else wanted}.")


def _fractions(config: object, section: str, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(config, name) <= 1:
            raise InputError(f"{section}.{name} is {getattr(config, name)}; it must lie in [0, 1].")


def _all_positive(values: Sequence[float]) -> bool:
    """Whether there are any, and all above 0 and finite."""
    return bool(values) and all(0 < value < inf for value in values)
