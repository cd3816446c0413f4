"""`unipan explore`: what a network predicts for images, as one page; the affinity of the pixel under the pointer, live."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from unipan.answer import Inference
from unipan.checkpoint import open_run
from unipan.choices import PanopticHead
from unipan.data.coco_files import PanopticFile, read_panoptic_file
from unipan.data.image_ids import ids_in_json, names_apart, shown
from unipan.errors import InputError, plural
from unipan.files import check_writable
from unipan.models.decode import best_channel, in_image, map_of_channels
from unipan.models.panoptic_head import PanopticLogits, UnifiedHead, channel_bias, unary_logits
from unipan.ops.image_range import read_and_warn
from unipan.ops.images import ImageSource
from unipan.ops.propagation import affinity_products
from unipan.ops.segments import drop_small_stuff
from unipan.overrides import NO_OVERRIDES, Overrides
from unipan.predictor import Predictor, load
from unipan.recipes.answer_colors import answer_colors
from unipan.recipes.evaluation.image_scores import unpropagated_channel, weight_of_potential
from unipan.recipes.images import Entry, check_either, held_out_entries, image_files, readable
from unipan.types import PanopticMap
from unipan.viz.canvas import as_pil
from unipan.viz.explorer.content import Explored
from unipan.viz.explorer.page import Page, explorer_page


class Exploration(NamedTuple):
    """Where the page is, how many images it shows, and those that could not be read."""

    path: Path
    images: int
    unreadable: list[Path]


def explore(
    predictor: Predictor | str | Path,
    image: ImageSource,
    *,
    truth: PanopticMap | None = None,
    head: PanopticHead | None = None,
    trim: bool = True,
    threshold: float | None = None,
    name: str = "image",
    run: str = "this predictor",
) -> Page:
    """The page of one image; in a notebook it shows itself, and `save(path)` writes it.

    predictor: or a run's name, which is then loaded. image: whatever `read_image` takes. truth: of the image's size.
    head, trim, threshold: as in a predictor's call.
    name, run: what the page calls the image and the network.
    """
    predictor = predictor if isinstance(predictor, Predictor) else load(predictor)
    if truth is not None and not isinstance(truth, PanopticMap):
        raise InputError(f"truth came as a {type(truth).__name__}; give a PanopticMap, as every answer is one.")
    entry = Entry(name, read_and_warn(image), truth)
    return explorer_page([explored(predictor, entry, run=run, head=head, trim=trim, threshold=threshold)])


def explore_run(
    run: str,
    images: Sequence[Path],
    out: Path,
    *,
    samples: int = 0,
    truth: Path | None = None,
    root: str | None = None,
    head: PanopticHead | None = None,
    overrides: Overrides = NO_OVERRIDES,
    device: str = "auto",
) -> Exploration:
    """Write the page of one image or several to the file `out`.

    images: files, or folders of them; one that can't be read is named and left out. samples: instead of images, so many held-out
    ones of the run, with their truth. truth: a JSON in the COCO panoptic format that has the images' truth. root: the folder of
    the run's data set where it is no longer the one trained on.
    """
    check_either(images, samples, root)
    if truth is not None and samples:
        raise InputError("--truth and --samples came; held-out images bring their own truth: leave --truth out.")
    check_writable(out, new_folders=True)
    predictor = load(run, head=head, device=device, overrides=overrides)
    unreadable: list[Path] = []
    if samples:
        entries = held_out_entries(run, samples, "exploring", root=root)
    else:
        entries = _files(image_files(images, out), truth, predictor, unreadable)
    name = run if run.startswith("hf:") else open_run(run)[0].path.resolve().name
    found = [explored(predictor, entry, run=name) for entry in entries]
    if not found:
        raise InputError(f"none of {plural(len(unreadable), 'image')} could be read, so there is nothing to explore.")
    return Exploration(explorer_page(found).save(out), len(found), unreadable)


@torch.no_grad()
def explored(
    predictor: Predictor,
    entry: Entry,
    *,
    run: str,
    head: PanopticHead | None = None,
    trim: bool = True,
    threshold: float | None = None,
) -> Explored:
    """Everything about one image."""
    if entry.truth is not None and entry.truth.ids.shape != entry.pixels.shape[1:]:
        came, expected = ("x".join(map(str, shape)) for shape in (entry.truth.ids.shape, entry.pixels.shape[1:]))
        raise InputError(f"the truth of {entry.name} is {came}, but the image is {expected}; give the truth of this image.")
    inference = predictor.infer(entry.pixels, threshold=threshold)
    outputs, _, network_size, admission = inference
    size = inference.size
    limit = predictor.min_stuff_area_px if trim else 0
    panoptic_head = predictor.network.panoptic_head
    parts, bias = logit_parts(inference, panoptic_head)
    affinity = unpropagated = None
    if isinstance(panoptic_head, UnifiedHead) and panoptic_head.form != "none":
        affinity = affinity_products(outputs.affinity[0].flatten(1).T, panoptic_head.form)
        if (head or predictor.head) == "unified":
            channel = unpropagated_channel(inference, predictor.classes, weight_of_potential(panoptic_head))
            untrimmed = map_of_channels(channel, inference.admitted, predictor.classes)
            unpropagated = drop_small_stuff(untrimmed, min_area_px=limit)
    answer = predictor.answer(inference, head=head, trim=trim)
    return Explored(
        name=shown(entry.name),
        image=as_pil(entry.pixels),
        facts=[
            ("run", shown(run)),
            ("head", head or predictor.head),
            ("threshold", f"{admission.score_threshold:g}"),
            ("trimming", f"stuff under {limit} px" if limit else "none"),
        ],
        network_size=network_size,
        answer=answer,
        colors=answer_colors(answer, entry.truth, predictor.classes),
        semantic=best_channel(outputs.semantic[0], network_size, size, outputs.upsampling[0]).cpu(),
        detections=in_image(inference.detections, network_size, size),
        admitted=outputs.admitted[0],
        parts=parts,
        bias=bias,
        affinity=affinity,
        unpropagated=unpropagated,
        truth=entry.truth,
    )


def logit_parts(inference: Inference, head: PanopticLogits) -> tuple[dict[str, Tensor], Tensor]:
    """The potential, and the parts that with each channel's bias add up to the panoptic logits; nothing for the merger."""
    outputs = inference.outputs
    potential, logits = outputs.potentials[0], outputs.panoptic[0]
    if not len(logits):
        return {}, torch.zeros(0)
    if not isinstance(head, UnifiedHead):  # its potential is logits already
        return {"unary": logits}, torch.zeros(len(logits))
    bias = channel_bias(outputs.existence[0], head.num_stuff, len(potential))
    unary = head.unary_scale * unary_logits(potential)
    parts = {"evidence": logits - unary - bias} if head.scale else {}
    parts |= {"unary": unary} if head.unary_scale else {}
    return {"potential": potential, **parts}, bias.flatten()


def _files(files: Sequence[Path], truth: Path | None, predictor: Predictor, unreadable: list[Path]) -> Iterator[Entry]:
    """truth: an image that it lists without annotating it has none."""
    names = names_apart(files)
    truths: dict[int, PanopticMap] = {}
    if truth is not None:
        true = _in_classes_of(read_panoptic_file(truth), predictor)
        position = {image_id: at for at, image_id in enumerate(true.image_ids)}
        found = [position.get(image_id) for image_id in ids_in_json(truth, files)]
        truths = {index: true.map(at) for index, at in enumerate(found) if at is not None}
    for index, pixels in readable(files, "exploring", unreadable):
        yield Entry(names[index], pixels, truths.get(index))


def _in_classes_of(truth: PanopticFile, predictor: Predictor) -> PanopticFile:
    """The truth in the run's classes: merged as the run's own was, unless it is already."""
    names = {info.name for info in predictor.classes.classes}
    if predictor.config.data.merge == "supercategory" and not {info.name for info in truth.classes.classes} <= names:
        truth = truth.merged()
    return truth.with_classes_of(predictor.classes)
