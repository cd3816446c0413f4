"""`unipan evaluate`: the score of a run on held-out images, by any of the ways to the answer, and what propagation adds to it."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from unipan.checkpoint import open_run
from unipan.choices import PanopticHead
from unipan.config import Config, DataConfig
from unipan.console import counted, logger
from unipan.data.build import remarks, validation_dataset
from unipan.data.dataset import PanopticDataset, SourceDataset
from unipan.data.statistics import SetStatistics
from unipan.engine.processes import this_process
from unipan.errors import InputError, noted
from unipan.files import check_writable, write_json
from unipan.metrics.average_precision import average_precision, is_available
from unipan.overrides import NO_OVERRIDES, Overrides, checked
from unipan.predictor import Predictor, load
from unipan.recipes.evaluation.image_scores import Counts, ImageRecord, judge_images, judged_batches, predict_image
from unipan.recipes.evaluation.limits import Limits
from unipan.recipes.evaluation.propagation import propagation_of
from unipan.recipes.evaluation.result import Evaluation, ImagePQ


def evaluate(
    run: str,
    *,
    root: str | None = None,
    val: str = "",
    images: str = "",
    head: PanopticHead | None = None,
    overrides: Overrides = NO_OVERRIDES,
    device: str = "auto",
) -> Evaluation:
    """Score a run on its held-out images and write RUN/metrics.json.

    root: the data set's folder where it is no longer the one trained on. val, images: a panoptic JSON and its folder of images to
    take instead of the held-out ones. head, overrides: the way to the answer, and limits and sizes, where they are not the run's.
    Another JSON or head than the run's, and overrides, are in the file's name: RUN/metrics_MARKS.json.
    """
    config = open_run(run)[1]
    config = checked(overrides).applied_to(replace(config, data=evaluated(config.data, root=root, val=val, images=images)))
    dataset = held_out(run, config.data)
    predictor = load(run, head=head, device=device, overrides=overrides)
    if this_process().is_main:
        check_writable(marked(open_run(run)[0].metrics, config, predictor.head, val, overrides))
    evaluation = evaluate_predictor(predictor, dataset, evaluation_title(config))
    write_evaluation(evaluation, run, config, val, overrides)
    return evaluation


def write_evaluation(evaluation: Evaluation, run: str, config: Config, val: str, overrides: Overrides) -> None:
    """Write RUN/metrics.json, or the file of another name for what is not as the run has it, as `evaluate` says."""
    if this_process().is_main:
        path = marked(open_run(run)[0].metrics, config, evaluation.head, val, overrides)
        write_json(path, evaluation.to_json())


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


def held_out(run: str, data: DataConfig) -> SourceDataset:
    """The held-out images of `data`, which must be of the run's classes."""
    folder, config, classes = open_run(run)
    dataset = validation_dataset(data)
    difference = classes.difference(dataset.classes)
    if difference:
        raise InputError(
            f"{run} was trained on other classes than this data set has: {difference}; evaluate it on data with its own class "
            "table."
        )
    messages = remarks(dataset)
    if folder.model_step:
        messages.append(f"{run} is not finished: its model is that of step {folder.model_step} of {config.train.steps}.")
    for remark in messages if this_process().is_main else []:
        logger.info(remark)
    return dataset


def marked(path: Path, config: Config, head: PanopticHead, val: str, overrides: Overrides = NO_OVERRIDES) -> Path:
    """The file's name with what is unlike the run's own: the JSON that is evaluated on, the head, and the overrides."""
    marks = [Path(val).stem] if val else []
    marks += [head] if head != config.model.panoptic else []
    given = {name.replace("_", "-"): value for name, value in asdict(overrides).items() if value is not None}
    marks += [f"{name}-{value if isinstance(value, str) else format(value, 'g')}" for name, value in given.items()]
    return path.with_stem("_".join([path.stem, *marks]))


def evaluation_title(config: Config) -> str:
    """What the tables call an evaluation by these settings."""
    match config.data.kind:
        case "scenes":
            where = f"{config.data.difficulty} scenes"
        case "json":
            where = Path(config.data.val).name
        case "coco" | "cityscapes" | "shards":
            where = config.data.val_split
    limit = config.inference.min_stuff_area_px
    return f"{where}, stuff under {limit} px trimmed" if limit else where


def evaluate_predictor(predictor: Predictor, dataset: PanopticDataset, title: str) -> Evaluation:
    """Score a predictor, by its head, on every image of a data set; several processes share them, as `judged` says."""
    return summed_up(predictor, *judged(predictor, dataset), title)


def judged(predictor: Predictor, dataset: PanopticDataset) -> tuple[Counts, list[ImageRecord]]:
    """What the images of a data set add up to, and what is kept of each: predicted one by one, judged in batches.

    Under several processes, all of which must call it, each takes every so many-th image, and all return the same: what one
    process alone would have found, to the last digit.

    Raises: InputError for an image that can't be judged; every process raises the same.
    """
    processes, propagation = this_process(), propagation_of(predictor)
    mine = range(processes.index, len(dataset), processes.count)
    turns = counted(mine, "evaluating", len(mine)) if processes.is_main else mine
    counts, records, faults = Counts.zero(len(predictor.classes)), [], list[str]()
    with noted(faults):
        for batch in judged_batches(predict_image(predictor, dataset[index]) for index in turns):
            own_counts, own_records = judge_images(predictor, batch, propagation)
            counts += own_counts
            records += zip(mine[len(records) :], own_records, strict=False)
    for fault in processes.gather_objects(faults):
        raise InputError(fault)
    counts = sum(processes.gather_objects([counts]), Counts.zero(len(predictor.classes)))
    in_order = sorted(processes.gather_objects(records), key=lambda entry: entry[0])  # AP breaks ties by the images' order
    return counts, [record for _, record in in_order]


def summed_up(predictor: Predictor, counts: Counts, records: Sequence[ImageRecord], title: str) -> Evaluation:
    """The evaluation of a data set from what its images add up to, and from what was kept of each."""
    propagation = propagation_of(predictor)
    instances = [record.instances for record in records if record.instances]
    reached = [option for record in records for option in record.limits_reached]
    return Evaluation(
        answer=counts.answer.report(title, predictor.classes, semantic_head=counts.semantic_head),
        precision=average_precision(instances, predictor.classes) if is_available() else None,
        semantic_head=counts.semantic_head,
        final_answer=counts.answer.pixels,
        classes=predictor.classes,
        head=predictor.head,
        mask_free=counts.mask_free > 0,
        limits=Limits.of(predictor, SetStatistics(tuple(record.truth for record in records)), reached),
        images=tuple(ImagePQ(i, one.name, one.pq, len(one.truth.thing_sides)) for i, one in enumerate(records)),
        propagation=propagation and propagation.part(title, counts.unpropagated, counts.effect, counts.affinity),
    )
