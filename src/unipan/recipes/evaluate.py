"""`unipan evaluate`: the score of a run on held-out images, by any of the ways to the answer, and what propagation adds to it."""

from dataclasses import replace
from pathlib import Path

from unipan.checkpoint import open_run, write_json
from unipan.config import Config, DataConfig, Device, PanopticHead
from unipan.console import console, counted
from unipan.data.build import remarks, validation_dataset
from unipan.data.dataset import PanopticDataset
from unipan.engine.processes import this_process
from unipan.errors import InputError
from unipan.metrics.average_precision import Precision, average_precision, is_available
from unipan.overrides import NO_OVERRIDES, Overrides
from unipan.predictor import Predictor, load
from unipan.recipes.evaluation.image_scores import Counts, judge_images, judged_batches, predict_image
from unipan.recipes.evaluation.propagation import Propagation, propagation_of
from unipan.recipes.evaluation.result import Evaluation


def evaluate(
    run: str,
    *,
    root: str | None = None,
    val: str = "",
    images: str = "",
    trim: bool = True,
    head: PanopticHead | None = None,
    device: Device = "auto",
) -> Evaluation:
    """Score a run on its held-out images and write RUN/metrics.json; by another head than its own, RUN/metrics_HEAD.json.

    root: the data set's folder where it is no longer the one trained on. val, images: a panoptic JSON and its folder of images to
    take instead of the held-out ones, whose file is RUN/metrics_NAME.json. trim: turn small stuff segments into void, by the
    run's own limit.
    """
    folder, config, _ = open_run(run)
    config = replace(config, data=evaluated(config.data, root=root, val=val, images=images))
    dataset = held_out(run, config.data)
    predictor = load(run, head=head, device=device, overrides=NO_OVERRIDES if trim else Overrides(min_stuff_area_px=0))
    evaluation = evaluate_predictor(predictor, dataset, name(config, trim=trim))
    if this_process().is_main:
        write_json(marked(folder.metrics, config, predictor.head, val), evaluation.to_json())
    return evaluation


def evaluated(data: DataConfig, *, root: str | None, val: str = "", images: str = "") -> DataConfig:
    """A run's settings of data, with the folder or the JSON (and its images) to evaluate on instead."""
    if bool(val) != bool(images):
        raise InputError("other images to evaluate on take both --data.val JSON and --data.images FOLDER.")
    if val:
        return replace(
            data, source="coco", root=root or "", train=val, val=val, images=images, val_images="", train_masks="", val_masks=""
        )
    if root is not None and data.kind == "scenes":
        raise InputError("the run was trained on procedural scenes, which lie in no folder; leave --data.root out.")
    return data if root is None else replace(data, root=root)


def held_out(run: str, data: DataConfig) -> PanopticDataset:
    """The held-out images of `data`, which must be of the run's classes."""
    folder, config, classes = open_run(run)
    dataset = validation_dataset(data)
    difference = classes.difference(dataset.classes)
    if difference:
        raise InputError(
            f"{run} was trained on other classes than this data set has: {difference}; evaluate it on data with its own class "
            "table."
        )
    said = remarks(dataset)
    if folder.model_step:
        said.append(f"{run} is not finished: its model is that of step {folder.model_step} of {config.train.steps}.")
    for remark in said if this_process().is_main else []:
        console.print(remark, soft_wrap=True)
    return dataset


def marked(path: Path, config: Config, head: PanopticHead, val: str) -> Path:
    """The file's name with what is unlike the run's own: the JSON that is evaluated on, and the head."""
    marks = [Path(val).stem] if val else []
    marks += [head] if head != config.model.panoptic else []
    return path.with_stem("_".join([path.stem, *marks]))


def name(config: Config, *, trim: bool) -> str:
    """What the tables call the evaluation."""
    match config.data.kind:
        case "scenes":
            where = f"{config.data.difficulty} scenes"
        case "json":
            where = Path(config.data.val).name
        case "coco" | "cityscapes":
            where = config.data.val_split
    limit = config.inference.min_stuff_area_px
    return f"{where}, stuff under {limit} px trimmed" if trim and limit else where


def evaluate_predictor(predictor: Predictor, dataset: PanopticDataset, title: str) -> Evaluation:
    """Score a predictor, by its head, on every image of a data set: predicted one by one, judged in batches.

    Under several processes, all of which must call it, each takes every so many-th image, and all return the same: what one
    process alone would have found, to the last digit.
    """
    processes, propagation = this_process(), propagation_of(predictor)
    mine = range(processes.index, len(dataset), processes.count)
    turns = counted(mine, "evaluating", len(mine)) if processes.is_main else mine
    counts, instances = Counts.zero(len(predictor.classes)), []
    for batch in judged_batches(predict_image(predictor, dataset[index]) for index in turns):
        for own_counts, own_instances in judge_images(predictor, batch, propagation):
            counts += own_counts
            instances.append((mine[len(instances)], own_instances))
    counts = sum(processes.gather_objects([counts]), Counts.zero(len(predictor.classes)))
    in_order = sorted(processes.gather_objects(instances), key=lambda entry: entry[0])  # AP breaks ties by their order
    precision = average_precision([own for _, own in in_order], predictor.classes) if is_available() else None
    return summed_up(predictor, counts, precision, propagation, title)


def summed_up(
    predictor: Predictor, counts: Counts, precision: Precision | None, propagation: Propagation | None, title: str
) -> Evaluation:
    """The evaluation of a data set from what its images add up to."""
    return Evaluation(
        answer=counts.answer.report(title, predictor.classes, semantic_head=counts.semantic_head),
        precision=precision,
        semantic_head=counts.semantic_head,
        final_answer=counts.answer.pixels,
        classes=predictor.classes,
        decoder=predictor.head,
        mask_free=counts.mask_free > 0,
        propagation=propagation and propagation.part(title, counts.unpropagated, counts.effect, counts.affinity),
    )
