"""The one way from an image to an answer: prediction, evaluation, the report and the explorer all go through it."""

from pathlib import Path
from typing import assert_never, get_args

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from unipan.checkpoint import load_model, open_run
from unipan.classes import ClassTable
from unipan.config import Config, Device, PanopticHead
from unipan.data.transforms import resized_size
from unipan.errors import InputError
from unipan.models import heuristic, upsnet
from unipan.models.build import build_network
from unipan.models.decode import at_size, best_channel, decode, ids_of_channels, in_photo
from unipan.models.network import PanopticNetwork
from unipan.models.panoptic import UnifiedHead, unary_logits
from unipan.ops.device import find_device
from unipan.ops.images import read_image
from unipan.ops.segments import drop_small_stuff
from unipan.types import Admission, Detections, Outputs, PanopticMap, Size


class Predictor:
    """Call it with an image, get a `PanopticMap` of the image's own size."""

    def __init__(
        self,
        network: PanopticNetwork,
        classes: ClassTable,
        *,
        short_side: int,
        long_side: int,
        admission: Admission,
        min_stuff_area_px: int,
        decoder: PanopticHead,
    ) -> None:
        """short_side, long_side: how images are resized for the network, in pixels, 0 for not at all.

        min_stuff_area_px: stuff segments with fewer pixels of the original image become void; 0 trims nothing.
        decoder: how answers are read off the outputs, unless one is named.
        """
        self.network = network.eval()
        self.classes = classes
        self.short_side = short_side
        self.long_side = long_side
        self.admission = admission
        self.min_stuff_area_px = min_stuff_area_px
        self.decoder: PanopticHead = self.able(decoder)

    @property
    def decoders(self) -> tuple[PanopticHead, ...]:
        """The ways to an answer that this network has: the unified one needs an affinity that was learnt."""
        learnt = isinstance(self.network.panoptic_head, UnifiedHead)
        return tuple(decoder for decoder in get_args(PanopticHead) if learnt or decoder != "unified")

    def able(self, decoder: PanopticHead) -> PanopticHead:
        """The decoder, if this network has what it needs."""
        if decoder not in self.decoders:
            raise InputError(
                f"decoder {decoder} needs an affinity head, but this network was trained without one (model.panoptic in its "
                f"settings); choose {' or '.join(self.decoders)}."
            )
        return decoder

    def __call__(self, image: str | Path | Image.Image | Tensor) -> PanopticMap:
        """image: a file, a PIL image, or a (3, H, W) uint8 RGB tensor."""
        pixels = as_pixels(image)
        return self.answer(self.outputs(pixels), original_size(pixels))

    @torch.no_grad()
    def outputs(self, pixels: Tensor) -> Outputs:
        """Everything that the network predicts for one image, (3, H, W) uint8; lists of one entry, boxes in network pixels."""
        size = self.network_size(original_size(pixels))
        resized = transforms.resize(pixels, list(size), antialias=True).float().div(255)  # as the training's images are
        device = next(self.network.parameters()).device
        return self.network(resized[None].to(device), [size], admission=self.admission)

    def answer(self, outputs: Outputs, size: Size, *, decoder: PanopticHead | None = None) -> PanopticMap:
        """The answer for the outputs of one image, at its original `size`. decoder: another than the predictor's own."""
        return self.trimmed(self.untrimmed(outputs, size, decoder=decoder))

    def untrimmed(self, outputs: Outputs, size: Size, *, decoder: PanopticHead | None = None) -> PanopticMap:
        """The answer before its small stuff segments become void."""
        return self._decoded(outputs, size, self.decoder if decoder is None else self.able(decoder))

    def unpropagated(self, outputs: Outputs, size: Size) -> Tensor:
        """(H, W) ids of the answer that the dynamic potential alone would give: what propagation adds shows against it."""
        channel = best_channel(unary_logits(outputs.potentials[0]), self.network_size(size), size)
        return ids_of_channels(channel, len(self.classes.stuff) + len(outputs.admitted[0]))

    def trimmed(self, panoptic: PanopticMap) -> PanopticMap:
        """The same answer, its stuff segments under the limit void."""
        return drop_small_stuff(panoptic, min_area_px=self.min_stuff_area_px)

    def _decoded(self, outputs: Outputs, size: Size, decoder: PanopticHead) -> PanopticMap:
        if decoder == "unified":
            return self._read_off(outputs.panoptic[0], outputs, size)
        network_size, threshold = self.network_size(size), self.admission.score_threshold
        semantic = at_size(outputs.semantic[0], network_size, size)
        found = in_photo(outputs.detections[0], network_size, size)
        match decoder:
            case "upsnet":
                return upsnet.decode_upsnet(
                    semantic, found, score_threshold=threshold, max_overlap=upsnet.MAX_OVERLAP, classes=self.classes
                )
            case "heuristic":
                return heuristic.merge(
                    semantic, found, score_threshold=threshold, max_overlap=heuristic.MAX_OVERLAP, classes=self.classes
                )
        assert_never(decoder)

    def _read_off(self, logits: Tensor, outputs: Outputs, size: Size) -> PanopticMap:
        """Arg max of (K, h, w) channels."""
        return decode(logits, self.admitted(outputs), network_size=self.network_size(size), size=size, classes=self.classes)

    def admitted(self, outputs: Outputs) -> Detections:
        """The detections of the thing channels, in their order."""
        return outputs.detections[0].take(outputs.admitted[0])

    def network_size(self, size: Size) -> Size:
        """The size at which the network sees an image of `size`."""
        return resized_size(size, short_side=self.short_side, long_side=self.long_side)


def load(run: str | Path, *, decoder: PanopticHead | None = None, device: Device = "auto") -> Predictor:
    """Load a run's predictor: `run` is a folder, or `hf:OWNER/NAME` on the Hugging Face Hub.

    decoder: how answers are read off the outputs; without it the way that the run was trained for. device: auto is the GPU where
    there is one.
    """
    folder, config, classes = open_run(run)
    network = untrained_network(config, classes)
    load_model(folder.model, network)
    predictor = build_predictor(network.to(find_device(device)), classes, config)
    if decoder is not None:
        predictor.decoder = predictor.able(decoder)
    return predictor


def untrained_network(config: Config, classes: ClassTable) -> PanopticNetwork:
    """A run's network before its weights are filled in: no ImageNet weights are looked for."""
    from dataclasses import replace

    return build_network(replace(config.model, pretrained=False), classes)


def build_predictor(network: PanopticNetwork, classes: ClassTable, config: Config) -> Predictor:
    """A predictor with a run's settings."""
    return Predictor(
        network,
        classes,
        short_side=config.data.short_side,
        long_side=config.data.long_side,
        admission=Admission(config.inference.score_threshold, config.inference.max_admitted),
        min_stuff_area_px=config.inference.min_stuff_area_px,
        decoder=config.model.panoptic,
    )


def as_pixels(image: str | Path | Image.Image | Tensor) -> Tensor:
    """(3, H, W) uint8 RGB of a file, a PIL image or such a tensor."""
    if isinstance(image, (str, Path)):
        return read_image(Path(image))
    if isinstance(image, Image.Image):
        return transforms.pil_to_tensor(image.convert("RGB"))
    if image.ndim != 3 or image.shape[0] != 3 or image.dtype != torch.uint8:
        raise InputError(
            f"an image must be a (3, H, W) uint8 RGB tensor, but {tuple(image.shape)} {image.dtype} came; "
            "give such a tensor, a PIL image or a file."
        )
    return image


def original_size(pixels: Tensor) -> Size:
    return pixels.shape[-2], pixels.shape[-1]
