"""What a training is about to do, as tables: said before it starts, on stderr."""

from torch import nn

from unipan.classes import ClassTable
from unipan.config import Config
from unipan.console import Table
from unipan.engine.optimize import scaled_rate
from unipan.models.inherit import Inheritance
from unipan.models.warm_start import WarmStart


def training_table(
    config: Config, network: nn.Module, classes: ClassTable, *, num_images: int, device: str, processes: int
) -> Table:
    """The run's network, schedule and device. num_images: of the training set. processes: that share each step."""
    schedule, model = config.train, config.model
    seen, rate = schedule.steps * schedule.batch_size, base_rate(config)
    scaled = (
        f" ({schedule.learning_rate:g} is meant for {schedule.reference_batch_size})" if schedule.reference_batch_size else ""
    )
    decays = [str(step) for step in schedule.decay_steps if step < schedule.steps]
    decay = f"rate divided by 10 after {', '.join(decays)}" if decays else "the rate is never divided"
    unified = f", variant {model.variant}, propagation {model.propagation}" if model.panoptic == "unified" else ""
    epochs = f"{seen / num_images:.3g}" if 100 * seen >= num_images else "under 0.01"
    warmup = f"{schedule.warmup_steps} warm-up" if schedule.warmup_steps < schedule.steps else "all warm-up, which never ends"
    parts = {
        "network": f"{model.backbone}, {model.detector.kind} detector, panoptic head {model.panoptic}{unified}",
        "classes": f"{len(classes.stuff)} stuff, {len(classes.things)} things",
        "parameters": _parameters(network),
        "frozen": "batch-norm statistics of the backbone" if model.freeze_batchnorm else "nothing",
        "batch": _batch(config, processes),
        "learning rate": f"{rate:g}{scaled}",
        "steps": f"{schedule.steps}, of them {warmup}; {decay}",
        "images seen": f"{seen}, {epochs} epochs of {num_images}",
        "device": device,
        "precision": schedule.precision,
    }
    table = Table("Training", show_header=False)
    for name, value in parts.items():
        table.add_row(name, value)
    return table


def taken_table(title: str, report: WarmStart | Inheritance) -> Table:
    """What a training starts from: what was taken, what starts anew, and why."""
    table = Table(title)
    for name in ("part", "", "why"):
        table.add_column(name)
    for part, number in report.taken.items():
        table.add_row(part, f"{number} tensors", "")
    for part, reason in report.left.items():
        table.add_row(part, "starts anew", reason)
    if report.classes_taken:
        table.add_row("classes", "kept", ", ".join(report.classes_taken))
    if report.classes_left:
        table.add_row("classes", "start anew", f"not known there: {', '.join(report.classes_left)}")
    return table


def _batch(config: Config, processes: int) -> str:
    """The images of one optimiser step, which the learning rate goes with, and how they are shared."""
    schedule = config.train
    each = schedule.batch_size // processes // schedule.accumulate
    parts = [f"{processes} processes"] if processes > 1 else []
    parts += [f"{schedule.accumulate} passes"] if schedule.accumulate > 1 else []
    return f"{schedule.batch_size} images" + (f": {' x '.join([*parts, str(each)])}" if parts else "")


def base_rate(config: Config) -> float:
    """The learning rate after warm-up, for the run's own batch size."""
    schedule = config.train
    return scaled_rate(schedule.learning_rate, batch_size=schedule.batch_size, reference_batch_size=schedule.reference_batch_size)


def _parameters(network: nn.Module) -> str:
    every = sum(parameter.numel() for parameter in network.parameters())
    trained = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    return f"{every / 1e6:.1f} M, {trained / 1e6:.1f} M of them trained"
