"""The one way from an image to an answer: prediction, evaluation, the report and the explorer all go through it."""

import warnings
from pathlib import Path
from typing import get_args

import torch
from torchvision.transforms.v2 import functional as transforms

from unipan.checkpoint import load_model, open_run
from unipan.choices import PanopticHead
from unipan.classes import ClassTable
from unipan.config import Config
from unipan.errors import InputError
from unipan.models import heuristic, upsnet
from unipan.models.build import build_network
from unipan.models.decode import at_size, decode, in_image
from unipan.models.network import PanopticNetwork
from unipan.models.panoptic_head import UnifiedHead
from unipan.models.upsnet import decode_upsnet
from unipan.ops.device import find_device
from unipan.ops.images import ImageSource, read_image
from unipan.ops.segments import drop_small_stuff
from unipan.ops.sizes import resized_size
from unipan.overrides import NO_OVERRIDES, Overrides
from unipan.types import Admission, Inference, PanopticMap, Size

as_pixels = read_image
"""What a predictor does first with whatever it is given; scripts that look at images as the network does import it from here."""


class Predictor:
    """Call it with an image, get a `PanopticMap` of the image's own size."""

    def __init__(
        self,
        network: PanopticNetwork,
        classes: ClassTable,
        *,
        short_side: int,
        long_side: int,
        scale: float | None = None,
        max_detections: int,
        admission: Admission,
        min_stuff_area_px: int,
        head: PanopticHead,
    ) -> None:
        """short_side, long_side: how images are resized for the network, in pixels, 0 for not at all. scale: by a factor instead.

        max_detections: what the detector keeps of one image at most; it cuts by itself, and this says where.
        min_stuff_area_px: stuff segments with fewer pixels of the original image become void; 0 trims nothing.
        head: the way from the outputs to an answer, unless one is named.
        """
        self.network = network.eval()
        self.classes = classes
        self.short_side = short_side
        self.long_side = long_side
        self.scale = scale
        self.max_detections = max_detections
        self.admission = admission
        self.min_stuff_area_px = min_stuff_area_px
        self.head: PanopticHead = self.checked_head(head)

    @property
    def heads(self) -> tuple[PanopticHead, ...]:
        """The ways to an answer that this network has: the unified one needs an affinity that was learnt."""
        learnt = isinstance(self.network.panoptic_head, UnifiedHead)
        return tuple(head for head in get_args(PanopticHead) if learnt or head != "unified")

    def checked_head(self, head: PanopticHead) -> PanopticHead:
        """The head, if this network has what it needs.

        Raises: InputError where it has not.
        """
        if head not in get_args(PanopticHead):
            raise InputError(f"there is no head {head}; choose {' or '.join(self.heads)}.")
        if head not in self.heads:
            raise InputError(
                f"head {head} needs an affinity head, but this network was trained without one (model.panoptic in its "
                f"settings); choose {' or '.join(self.heads)}."
            )
        return head

    def __call__(
        self,
        image: ImageSource,
        *,
        head: PanopticHead | None = None,
        trim: bool = True,
        threshold: float | None = None,
    ) -> PanopticMap:
        """image: whatever `read_image` takes. head, trim: as in `answer`; threshold: as in `infer`."""
        return self.answer(self.infer(image, threshold=threshold), head=head, trim=trim)

    @torch.no_grad()
    def infer(self, image: ImageSource, *, threshold: float | None = None) -> Inference:
        """Everything that the network predicts for one image; several answers can be read off it.

        threshold: the lowest score of a detection that enters the answers, where it is not the predictor's own.
        """
        pixels = read_image(image)
        size = pixels.shape[-2], pixels.shape[-1]
        network_size = self.network_size(size)
        resized = transforms.resize(pixels, list(network_size), antialias=True).float().div(255)  # as the training's images are
        device = next(self.network.parameters()).device
        admission = self.admission if threshold is None else self.admission._replace(score_threshold=threshold)
        outputs = self.network(resized[None].to(device), [network_size], admission=admission)
        return Inference(outputs, size, network_size, admission)

    def answer(self, inference: Inference, *, head: PanopticHead | None = None, trim: bool = True) -> PanopticMap:
        """The answer for one image. head: another than the predictor's own. trim: stuff segments under the limit become void."""
        head = self.head if head is None else self.checked_head(head)
        outputs, size, network_size, admission = inference
        if head == "unified":
            answer = decode(outputs.panoptic[0], inference.admitted, network_size=network_size, size=size, classes=self.classes)
        else:
            merge, most = (decode_upsnet, upsnet.MAX_OVERLAP) if head == "upsnet" else (heuristic.merge, heuristic.MAX_OVERLAP)
            semantic, found = (
                at_size(outputs.semantic[0], network_size, size),
                in_image(inference.detections, network_size, size),
            )
            answer = merge(semantic, found, score_threshold=admission.score_threshold, max_overlap=most, classes=self.classes)
        return drop_small_stuff(answer, min_area_px=self.min_stuff_area_px) if trim else answer

    def limits_reached(self, inference: Inference) -> list[str]:
        """The limits, by their options' names, that this image came up to: beyond them there may have been more."""
        worthy = int((inference.detections.scores >= inference.admission.score_threshold).sum())
        reached = {
            "--max-detections": len(inference.detections.scores) >= self.max_detections,
            "--max-admitted": worthy > inference.admission.limit,
        }
        return [name for name, is_reached in reached.items() if is_reached]

    def network_size(self, size: Size) -> Size:
        """The size at which the network sees an image of `size`."""
        if self.scale is None:
            return resized_size(size, short_side=self.short_side, long_side=self.long_side)
        return max(1, round(size[0] * self.scale)), max(1, round(size[1] * self.scale))


def load(
    run: str | Path,
    *,
    head: PanopticHead | None = None,
    device: str | int | torch.device = "auto",
    overrides: Overrides = NO_OVERRIDES,
    decoder: PanopticHead | None = None,
) -> Predictor:
    """Load a run's predictor: `run` is a folder, or `hf:OWNER/NAME` on the Hugging Face Hub.

    head: the way from the outputs to an answer; without it the one that the run was trained for. device: auto is the GPU where
    there is one. overrides: limits and sizes to set otherwise than the run. decoder: the former name of `head`.
    """
    if decoder is not None:
        warnings.warn("decoder= is now called head=; the next version knows that alone.", DeprecationWarning, stacklevel=2)
        head = decoder
    folder, config, classes = open_run(run)
    config = overrides.applied_to(config)
    network = untrained_network(config, classes)
    load_model(folder.model, network)
    return build_predictor(network.to(find_device(device)), classes, config, head=head, scale=overrides.scale)


def untrained_network(config: Config, classes: ClassTable) -> PanopticNetwork:
    """A run's network before its weights are filled in: no ImageNet weights are looked for."""
    from dataclasses import replace

    return build_network(replace(config.model, pretrained=False), classes)


def build_predictor(
    network: PanopticNetwork, classes: ClassTable, config: Config, *, head: PanopticHead | None = None, scale: float | None = None
) -> Predictor:
    """A predictor with a run's settings. head: another than the run's own. scale: a factor to resize by instead of its sides."""
    return Predictor(
        network,
        classes,
        short_side=config.data.short_side,
        long_side=config.data.long_side,
        admission=Admission(config.inference.score_threshold, config.inference.max_admitted),
        min_stuff_area_px=config.inference.min_stuff_area_px,
        scale=scale,
        max_detections=config.model.detector.max_detections,
        head=config.model.panoptic if head is None else head,
    )
