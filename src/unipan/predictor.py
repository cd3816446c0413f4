"""The one way from an image to an answer: prediction, evaluation, the report and the explorer all go through it."""

import os
import warnings
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Self, Unpack, get_args, overload

import torch
from torch import Tensor

from unipan.answer import Answer, Inference, Options, check_options, checked_inference
from unipan.checkpoint import load_model, open_run, read_metrics
from unipan.choices import InferencePrecision, PanopticHead
from unipan.classes import ClassTable
from unipan.config import Config
from unipan.data.image_patterns import every_image, images_in
from unipan.data.transforms import network_batch
from unipan.errors import flag, path_of, whole_number
from unipan.models.build import untrained_network
from unipan.models.heads import answer_by
from unipan.models.network import PanopticNetwork
from unipan.models.panoptic_head import UnifiedHead, checked_head
from unipan.ops.device import find_device
from unipan.ops.freed_memory import holes_given_back
from unipan.ops.image_range import read_and_warn
from unipan.ops.images import ImageSource, OneImage
from unipan.ops.segments import drop_small_stuff
from unipan.ops.sizes import resized_size
from unipan.ops.tiles import TileSize
from unipan.overrides import NO_OVERRIDES, Overrides, checked
from unipan.pretrained import push_to_hub, save_pretrained
from unipan.tiled import predict_tiled
from unipan.types import Admission, Size


class Predictor:
    """Call it with an image, get an `Answer` of the image's own size; with several, get several."""

    def __init__(
        self,
        network: PanopticNetwork,
        classes: ClassTable,
        config: Config,
        *,
        head: PanopticHead | None = None,
        scale: float | None = None,
        precision: InferencePrecision | None = None,
    ) -> None:
        """network: of the settings, on any device. head: another way from the outputs to an answer than the settings'.

        scale: a factor to resize images by, in place of the settings' sides. precision: float32 unless it is bf16.
        """
        own = Overrides(scale=scale, precision=precision)  # which refuses what they can't be
        self.network, self.classes, self.config = network.eval(), classes, config
        self.scale, self.precision = own.scale, own.precision
        self.admission = Admission(config.inference.score_threshold, config.inference.max_admitted)
        self.min_stuff_area_px = config.inference.min_stuff_area_px
        self.head: PanopticHead = checked_head(config.model.panoptic if head is None else head, self.heads)
        self.metrics: dict[str, Any] | None = None  # what `evaluate` measured of the run, for its model card

    def __repr__(self) -> str:
        return f"Predictor({self.head} head, {len(self.classes)} classes, on {self.device})"

    @classmethod
    def from_pretrained(cls, run: str | Path, **options: Any) -> "Predictor":
        """`load`, by the name that it has elsewhere."""
        return load(run, **options)

    def save_pretrained(self, folder: str | Path, *, license: str = "other", name: str | None = None) -> None:
        """Write a folder to give away, which `load` reads: settings, classes, weights, scores and a model card.

        license: of the weights, as the Hub spells it: cc-by-4.0, apache-2.0, ...; the data decide. name: OWNER/NAME on the
        Hub, for the card. A scale, or a head that this predictor alone has, is no setting and stays behind.
        """
        facts: dict[str, Any] = {"metrics": self.metrics, "license": license, "name": name}
        save_pretrained(path_of("the folder", folder), self.network, self.classes, self.config, **facts)

    def push_to_hub(self, name: str, *, license: str = "other", private: bool | None = None) -> str:
        """Upload the same to OWNER/NAME on the Hugging Face Hub, where it is made if it is not there. Returns its address."""
        return push_to_hub(name, lambda folder: self.save_pretrained(folder, license=license, name=name), private=private)

    @property
    def device(self) -> torch.device:
        """Where the network is, and images are sent."""
        return next(self.network.parameters()).device

    def to(self, device: str | int | torch.device) -> Self:
        """Move the network to a device, as `load` names them. Returns the predictor itself."""
        self.network.to(find_device(device))
        return self

    @property
    def heads(self) -> tuple[PanopticHead, ...]:
        """The ways to an answer that this network has: the unified one needs an affinity that was learnt."""
        return tuple(h for h in get_args(PanopticHead) if h != "unified" or isinstance(self.network.panoptic_head, UnifiedHead))

    @overload
    def __call__(self, images: str | os.PathLike[str], **options: Unpack[Options]) -> Any: ...
    @overload
    def __call__(self, images: OneImage, **options: Unpack[Options]) -> Answer: ...
    @overload
    def __call__(self, images: list[Any] | tuple[Any, ...], **options: Unpack[Options]) -> list[Answer]: ...
    @overload
    def __call__(self, images: Iterator[Any], **options: Unpack[Options]) -> Iterator[Answer]: ...
    def __call__(self, images: Any, **options: Unpack[Options]) -> Any:
        """The answer for an image, whatever `read_image` takes; a list of answers for a list or a tuple of images.

        For a folder, a pattern of paths ("images/*.jpg"), or anything else that is gone through, an iterator as of `each`.
        """
        check_options(options)
        if (several := images_in(images)) is None:
            return next(self.each([images], **options))
        answers = self.each(several, **options)
        return list(answers) if isinstance(images, (list, tuple)) else answers

    def each(
        self,
        images: "ImageSource | Iterable[ImageSource]",
        *,
        batch_size: int = 1,
        head: PanopticHead | None = None,
        trim: bool = True,
        threshold: float | None = None,
        tile: TileSize | None = None,
    ) -> Iterator[Answer]:
        """The answers for images as they come, or of a folder or pattern; `batch_size` at most in memory, one size together.

        images: one image too, as in a call; an array of 4 dimensions is several. head, trim: as in `answer`; threshold: as in
        `infer`. tile: predict in tiles of so many pixels a side, or (side, overlap). An InputError names what can't be read.
        """
        batch_size = whole_number("the batch size", batch_size, lowest=1)
        sources = map(read_and_warn, every_image(images))
        if tile is not None:
            yield from (predict_tiled(self, pixels, tile, head=head, trim=trim, threshold=threshold) for pixels in sources)
            return
        while batch := list(islice(sources, batch_size)):
            for inference in self._infer(batch, threshold, every_mask=(head or self.head) != "unified"):
                yield self.answer(inference, head=head, trim=trim)

    def infer(self, image: ImageSource, *, threshold: float | None = None, head: PanopticHead | None = None) -> Inference:
        """Everything that the network predicts for one image; several answers can be read off it.

        threshold: the lowest score, 0..1, of a detection that enters the answers, if not the predictor's; there is none under the
        settings' model.detector.score_threshold. head: the only one whose answer is wanted, which saves masks.
        """
        every = head is None or checked_head(head, self.heads) != "unified"
        return self._infer([read_and_warn(image)], threshold, every_mask=every)[0]

    @torch.no_grad()
    def _infer(self, images: list[Tensor], threshold: float | None, *, every_mask: bool) -> list[Inference]:
        """images: each (3, H, W) uint8. every_mask: as in `Admission`."""
        sizes = [self.network_size((image.shape[1], image.shape[2])) for image in images]
        batch = network_batch(images, sizes, self.device)
        lowest = Overrides(threshold=threshold).threshold  # which refuses one that is none
        own = {} if lowest is None else {"score_threshold": lowest}
        admission = self.admission._replace(every_mask=every_mask, **own)
        with torch.autocast(self.device.type, torch.bfloat16, self.precision == "bf16"), holes_given_back(self.network):
            outputs = self.network(batch, sizes, admission=admission)
        return [Inference(outputs.of_image(i), image, sizes[i], admission) for i, image in enumerate(images)]

    def answer(self, inference: Inference, *, head: PanopticHead | None = None, trim: bool = True) -> Answer:
        """The answer for one image. head: another than the predictor's own. trim: stuff segments under the limit become void."""
        head = self.head if head is None else checked_head(head, self.heads)
        outputs, image, network_size, admission = checked_inference(inference, head)
        answer = answer_by(head, outputs, admission, network_size=network_size, size=inference.size, classes=self.classes)
        answer = drop_small_stuff(answer, min_area_px=self.min_stuff_area_px) if flag("trim", trim) else answer
        return Answer(answer.ids, answer.segments, answer.classes, image)

    def network_size(self, size: Size) -> Size:
        """The size at which the network sees an image of `size`."""
        if self.scale is None:
            return resized_size(size, short_side=self.config.data.short_side, long_side=self.config.data.long_side)
        return max(1, round(size[0] * self.scale)), max(1, round(size[1] * self.scale))


def load(
    run: str | Path,
    *,
    head: PanopticHead | None = None,
    device: str | int | torch.device = "auto",
    overrides: Overrides = NO_OVERRIDES,
    decoder: PanopticHead | None = None,
) -> Predictor:
    """Load a run's predictor: `run` is a folder, or OWNER/NAME on the Hugging Face Hub (see `hub.is_hubs`).

    head: the way from the outputs to an answer; without it the run's own. device: auto is the GPU where there is one.
    overrides: limits, sizes and precision to set otherwise than the run. decoder: the former name of `head`.
    """
    if decoder is not None:
        warnings.warn("decoder= is now called head=; the next version knows that alone.", DeprecationWarning, stacklevel=2)
    folder, config, classes = open_run(run)
    config = checked(overrides).applied_to(config)
    load_model(folder.model, network := untrained_network(config, classes))
    network.to(find_device(device))
    predictor = Predictor(network, classes, config, head=head or decoder, scale=overrides.scale, precision=overrides.precision)
    predictor.metrics = read_metrics(folder) if overrides == NO_OVERRIDES else None
    return predictor
