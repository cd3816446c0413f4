"""Prediction by Ray Data (extra `ray`): predictors on the processors and machines of a cluster. The one file that knows Ray.

Every machine needs unipan, and must find run, images and results under the same names: in folders that all share, or by address.
"""

import json
import logging
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from unipan.addresses import absolute
from unipan.errors import InputError, number, plural
from unipan.recipes.predict_image import ImageDone, ImageJob, ImageWorker

MOST_BLOCKS = 10_000
"""Of a call: Ray keeps account of each."""
BLOCK_IMAGES = 8
"""Results come by so many, unless images are so many that blocks must be larger."""


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """How Ray shares the work out."""

    predictors: int = 0
    """How many at once; 0: as many as the cluster has room for."""
    gpus: float = 0.0
    """Of a GPU, or how many, for each predictor: 0.5 puts two on one. 0: each computes on one processor."""

    def __post_init__(self) -> None:
        gpus = number("--ray-gpus", self.gpus)
        if self.predictors < 0 or not 0 <= gpus < inf or (gpus > 1 and gpus % 1):
            raise InputError(
                f"--ray-predictors is {self.predictors} and --ray-gpus {gpus:g}; give a whole number from 0 on, and a part "
                "of a GPU or whole ones."
            )


def predicted_by_ray(
    worker: Callable[..., ImageWorker], options: RayOptions, jobs: Sequence[ImageJob], *, device: str
) -> Iterator[ImageDone]:
    """The results in the jobs' order, as they come. worker: makes one on a device, in each of Ray's processes."""
    if not jobs:
        return
    ray = _ray()
    started = not ray.is_initialized()
    if started:
        _start(ray)
    try:
        rows = [{"job": pickle.dumps(job._replace(source=absolute(job.source)))} for job in jobs]
        most = max(len(jobs) // BLOCK_IMAGES, 1)
        data = ray.data.from_items(rows, override_num_blocks=min(most, MOST_BLOCKS))
        data = data.map(
            _Predicting,
            fn_constructor_args=(worker, device if device != "auto" else "cuda" if options.gpus else "cpu"),
            compute=ray.data.ActorPoolStrategy(size=_predictors(ray, options, most)),
            **({"num_gpus": options.gpus} if options.gpus else {"num_cpus": 1}),
        )
        data.context.execution_options.preserve_order = True  # so that files are those of one process, and a call can go on
        data.context.enable_progress_bars = False
        for row in data.iter_rows():
            if row["fault"]:
                raise InputError(row["fault"])
            yield ImageDone(**json.loads(row["done"]))
    finally:
        if started:
            ray.shutdown()


class _Predicting:
    """What each of Ray's processes holds: one worker, made once."""

    def __init__(self, worker: Callable[..., ImageWorker], device: str) -> None:
        self._make, self._device = worker, device
        self._worker: ImageWorker | None = None

    def __call__(self, row: dict[str, bytes]) -> dict[str, str]:
        try:
            self._worker = self._worker or self._make(device=self._device)  # here, so that what is wrong with it is told
            done = self._worker(pickle.loads(row["job"]))  # made above, by this call itself; read from no file
        except InputError as error:
            return {"done": "", "fault": str(error)}
        return {"done": json.dumps(done._replace(answer=None)._asdict()), "fault": ""}


def _predictors(ray: Any, options: RayOptions, most: int) -> int:
    there = ray.cluster_resources()
    cpus, gpus = there.get("CPU", 0), there.get("GPU", 0)
    room = gpus / options.gpus if options.gpus else cpus
    if room < max(options.predictors, 1):
        given = {"--ray-predictors": options.predictors, "--ray-gpus": options.gpus}
        asked = " with ".join(f"{name} {value:g}" for name, value in given.items() if value) or "one"
        remedy = "less, or leave --ray-gpus out to compute on processors" if options.gpus else "fewer"
        raise InputError(
            f"the cluster has {f'{gpus:g} GPUs' if options.gpus else f'{cpus:g} processors'}, room for "
            f"{plural(int(room), 'predictor')}, and {asked} was asked for; give {remedy}."
        )
    return min(options.predictors or int(room), most)


def _start(ray: Any) -> None:
    """Join the cluster that RAY_ADDRESS names, or start one on this machine."""
    where = os.environ.get("RAY_ADDRESS", "local")  # else Ray would wait for one that was here once
    try:
        ray.init(where, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(f"Ray can't be reached at {where}: {error}. Check RAY_ADDRESS, and Ray's own settings.") from error


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise InputError("--engine ray needs the extra: pip install 'unipan[ray]'.") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray


def named_absolutely(run: str) -> str:
    """A run's folder as every process finds it; a name on the Hub as it is."""
    return str(Path(run).absolute()) if Path(run).is_dir() else run
