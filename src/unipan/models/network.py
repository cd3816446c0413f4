"""The network: it reads like the figure in docs/concepts.md, a line for each box. Training and inference share all of it."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import box_area

from unipan.errors import InputError
from unipan.models.backbone import Backbone
from unipan.models.detector import Detector
from unipan.models.feature_decoder import FeatureDecoder, SemanticHead
from unipan.models.panoptic_head import AffinityFeatures, Existence, PanopticLogits, Potential
from unipan.models.pyramid import Pyramid
from unipan.models.upsampling import Upsampling
from unipan.ops.precision import full_precision
from unipan.ops.upsample import STRIDE
from unipan.terms import add_terms
from unipan.types import Admission, Detections, Outputs, Size, Target

EXTENT_MULTIPLE = 32
"""The coarsest feature's stride: each image is padded with zeros to a multiple of it, and never to its neighbour's size."""


class Maps(NamedTuple):
    """What the network computes in every cell of B images, before it looks for things, in float32 at least."""

    pyramid: Sequence[Tensor]  # P2..P6, cells of the padding too
    semantic: Tensor  # (B, classes, h, w) logits of true cells
    affinity: Tensor  # (B, D, h, w) features of true cells
    upsampling: Sequence[Tensor]  # of each image, as `Upsampling` has them; empty where it is bilinear
    detection: Sequence[Tensor]  # what the detector predicts


class PanopticNetwork(nn.Module):
    """Boxes, optional masks and a semantic map become one coherent answer through a learnt affinity."""

    def __init__(
        self,
        *,
        backbone: Backbone,
        fpn: Pyramid,
        shared_decoder: FeatureDecoder,
        semantic_head: SemanticHead,
        detector: Detector,
        potential: Potential,
        affinity_head: AffinityFeatures,
        existence_head: Existence,
        panoptic_head: PanopticLogits,
        upsampling: Upsampling,
    ) -> None:
        """The fpn returns P2..P6."""
        super().__init__()
        self.backbone = backbone
        self.fpn = fpn
        self.shared_decoder = shared_decoder
        self.semantic_head = semantic_head
        self.detector = detector
        self.potential = potential
        self.affinity_head = affinity_head
        self.existence_head = existence_head
        self.panoptic_head = panoptic_head
        self.upsampling = upsampling

    def forward(
        self, images: Tensor, sizes: Sequence[Size], targets: Sequence[Target] | None = None, *, admission: Admission
    ) -> Outputs:
        """images: (B, 3, H, W) RGB in 0..1, padded at the right and bottom. sizes: B true sizes.

        `targets` add the detector's losses and change nothing else, unless `admission` is from the truth: then the true things
        take the detections' place in everything but these losses. Training mode changes nothing, unless the backbone's batch
        norms are fine-tuned. Images of one size run together, others by themselves: padding to a neighbour's size would leak
        into the features and cost time.
        """
        height, width = max(h for h, _ in sizes), max(w for _, w in sizes)
        if images.shape[-2] < height or images.shape[-1] < width:
            raise InputError(f"images are {images.shape[-2]}x{images.shape[-1]}, but their sizes reach to {height}x{width}.")
        groups = [[i for i, size in enumerate(sizes) if size == one] for one in dict.fromkeys(sizes)]
        parts = [
            self.forward_one_size(
                images[group, :, : sizes[group[0]][0], : sizes[group[0]][1]],
                None if targets is None else [targets[i] for i in group],
                admission,
            )
            for group in groups
        ]
        return _join(parts, groups)

    def forward_one_size(self, images: Tensor, targets: Sequence[Target] | None, admission: Admission) -> Outputs:
        """images: (B, 3, H, W) without padding."""
        sizes = [(images.shape[-2], images.shape[-1])] * len(images)
        pyramid, semantic, affinity, upsampling, predicted = self.maps(images)
        detections, detector_losses = self.detector(pyramid, sizes, targets, predicted)
        if admission.from_truth:
            detections = true_detections(targets)
        image_size = torch.tensor(sizes[0], device=images.device)
        detections = [found._replace(image_size=image_size) for found in detections]
        admitted = [admit(found, admission) for found in detections]
        if admission.every_mask:
            detections = self.detector.add_masks(pyramid, sizes, detections)
        chosen = [found.take(index) for found, index in zip(detections, admitted, strict=True)]
        if not admission.every_mask:
            chosen = self.detector.add_masks(pyramid, sizes, chosen)
        with torch.autocast(images.device.type, enabled=False):  # sums over cells don't fit into 16 bits
            potentials = [self.potential(logits, found) for logits, found in zip(semantic, chosen, strict=True)]
            existence = [self.existence_head(*image) for image in zip(potentials, affinity, chosen, strict=True)]
            panoptic = [self.panoptic_head(*image) for image in zip(potentials, affinity, existence, strict=True)]
        return Outputs(
            semantic=list(semantic),
            detections=detections,
            admitted=admitted,
            potentials=potentials,
            affinity=list(affinity),
            panoptic=panoptic,
            detector_losses=detector_losses,
            existence=existence,
            upsampling=list(upsampling) or [None] * len(images),
        )

    def maps(self, images: Tensor) -> Maps:
        """images: (B, 3, H, W) without padding. Their shape alone says which operations this takes, what they show does not."""
        size, padded = (images.shape[-2], images.shape[-1]), _padded(self.backbone.normalise(images))
        pyramid = list(self.fpn({str(level): x for level, x in enumerate(self.backbone(padded))}).values())
        decoded = self.shared_decoder(pyramid[:4])
        full = [full_precision(level) for level in pyramid]
        return Maps(
            pyramid=full,
            semantic=_true_cells(full_precision(self.semantic_head(decoded)), size),
            affinity=_true_cells(full_precision(self.affinity_head(decoded)), size),
            upsampling=[_true_cells(x, size) for x in self.upsampling(padded, pyramid[0]) if x is not None],
            detection=self.detector.predict(full),
        )


def _padded(images: Tensor) -> Tensor:
    """With zeros at the right and bottom, to multiples of EXTENT_MULTIPLE."""
    most = EXTENT_MULTIPLE - 1  # padded by it and then cut: an exported graph pads by a constant alone
    height, width = ((side + most) // EXTENT_MULTIPLE * EXTENT_MULTIPLE for side in images.shape[-2:])
    return F.pad(images, (0, most, 0, most))[..., :height, :width]


def true_detections(targets: Sequence[Target] | None) -> list[Detections]:
    """The truth's boxes as detections with score 1, the largest first: it is they that a limit keeps (our choice)."""
    if targets is None:
        raise InputError("Admission(from_truth=True) needs the targets, but none came; pass them, or admit predictions.")
    orders = [box_area(target.boxes).argsort(descending=True, stable=True) for target in targets]
    return [
        Detections(target.boxes[order], target.boxes.new_ones(len(order)), target.labels[order])
        for target, order in zip(targets, orders, strict=True)
    ]


def admit(detections: Detections, admission: Admission) -> Tensor:
    """(N,) indices of the detections that enter the potential. They stand best first, so the first ones are the best."""
    return torch.where(detections.scores >= admission.score_threshold)[0][: admission.limit]


def _true_cells(x: Tensor, size: Size) -> Tensor:
    """Cut the cells that lie wholly in the padding: propagation must not sum over them."""
    rows, columns = ((side + STRIDE - 1) // STRIDE for side in size)  # of positive numbers: ONNX rounds others towards 0
    return x[..., :rows, :columns]


def _join(parts: Sequence[Outputs], groups: Sequence[Sequence[int]]) -> Outputs:
    """Put the images of all groups back into the batch's order."""
    order = [i for group in groups for i in group]

    def lists(field: str) -> list:
        every = [entry for part in parts for entry in getattr(part, field)]
        return [every[order.index(i)] for i in range(len(order))]

    return Outputs(
        semantic=lists("semantic"),
        detections=lists("detections"),
        admitted=lists("admitted"),
        potentials=lists("potentials"),
        affinity=lists("affinity"),
        panoptic=lists("panoptic"),
        detector_losses=add_terms([part.detector_losses for part in parts]),
        existence=lists("existence"),
        upsampling=lists("upsampling"),
    )
