"""`unipan evaluate` over parts of the held-out images, on several machines."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from unipan.checkpoint import open_run
from unipan.choices import PanopticHead
from unipan.config import Config
from unipan.data.dataset import Part
from unipan.engine.processes import this_process
from unipan.errors import about
from unipan.files import check_writable
from unipan.metrics.average_precision import is_available
from unipan.metrics.counts_json import counts_from_json, counts_to_json
from unipan.overrides import NO_OVERRIDES, Overrides
from unipan.predictor import load
from unipan.recipes.evaluate import evaluated, evaluation_title, held_out, judged, summed_up, write_evaluation
from unipan.recipes.evaluation.image_scores import Counts, ImageRecord
from unipan.recipes.evaluation.record_json import record_from_json, record_to_json
from unipan.recipes.evaluation.result import Evaluation
from unipan.recipes.parts import PartOf, read_parts, write_part
from unipan.recipes.predict import origin_of


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What `recipes.evaluate.evaluate` would be asked for the whole, by its names."""

    run: str
    root: str | None = None
    val: str = ""
    images: str = ""
    head: PanopticHead | None = None
    overrides: Overrides = NO_OVERRIDES
    device: str = "auto"

    def config(self) -> Config:
        """The run's settings with what is asked for."""
        config = open_run(self.run)[1]
        return self.overrides.applied_to(
            replace(config, data=evaluated(config.data, root=self.root, val=self.val, images=self.images))
        )

    def made_of(self, config: Config) -> dict[str, Any]:
        """What the counts follow from, as far as the run tells."""
        settings = {
            "head": self.head or config.model.panoptic,
            "overrides": asdict(self.overrides),
            "held out": evaluation_title(config),
            "average precision": is_available(),
        }
        return origin_of(self.run, settings)


def evaluate_part(asked: Asked, part: PartOf, out: Path) -> int:
    """Judge every N-th held-out image into a file. Returns how many these are. A launcher's processes share them."""
    if this_process().is_main:
        check_writable(out)
    config = asked.config()
    whole = held_out(asked.run, config.data)
    own = Part(whole, part.positions(len(whole)))
    counts, records = judged(load(asked.run, head=asked.head, device=asked.device, overrides=asked.overrides), own)
    if this_process().is_main:
        content = {"counts": counts_to_json(counts), "records": [record_to_json(record) for record in records]}
        made_of = {**asked.made_of(config), "truth": whole.truth_facts()}
        write_part(out, "evaluate", part, num_images=len(whole), made_of=made_of, content=content)
    return len(own)


def merge_evaluations(asked: Asked, files: Sequence[Path]) -> Evaluation:
    """The evaluation of all images, as `evaluate` makes and writes it, from the files of all parts. No image is needed."""
    config = asked.config()
    parts = read_parts(files, "evaluate", asked.made_of(config))
    predictor = load(asked.run, head=asked.head, device=asked.device, overrides=asked.overrides)
    zero = Counts.zero(len(predictor.classes))
    counts, records = zero, dict[int, ImageRecord]()
    for part in parts:
        with about(part.path):
            counts += counts_from_json(part.content.get("counts"), zero)
            own = [record_from_json(value) for value in part.records()]
            records |= dict(zip(part.part.positions(part.num_images), own, strict=True))
    in_order = [records[position] for position in sorted(records)]
    evaluation = summed_up(predictor, counts, in_order, evaluation_title(config))
    write_evaluation(evaluation, asked.run, config, asked.val, asked.overrides)
    return evaluation
