"""Two processes find exactly what one finds, whatever the number of images."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed
from torch.multiprocessing.spawn import spawn

from unipan.checkpoint import open_run
from unipan.cli.options import print_evaluation
from unipan.data.build import validation_dataset
from unipan.data.dataset import PanopticDataset, Part
from unipan.errors import InputError
from unipan.predictor import load
from unipan.recipes.evaluate import evaluate, evaluate_predictor
from unipan.types import Sample

COUNTS = (3, 2, 1)
"""Images: odd; one for each process; fewer than processes."""


def some_scenes(run: Path, number: int) -> PanopticDataset:
    return validation_dataset(replace(open_run(run)[1].data, val_scenes=number))


def judged(run: Path) -> dict[str, Any]:
    """By number of images, and once by the merger."""
    predictor = load(run)
    found = {str(number): evaluate_predictor(predictor, some_scenes(run, number), "here").to_json() for number in COUNTS}
    return found | {"merger": evaluate_predictor(load(run, head="heuristic"), some_scenes(run, 3), "here").to_json()}


class OneUnreadable(Part):
    """Its second image, which falls to the second process, can't be read."""

    def __getitem__(self, index: int) -> Sample:
        if index == 1:
            raise InputError("cannot read the image bad.png")
        return super().__getitem__(index)


def fault(run: Path) -> str:
    scenes = some_scenes(run, 3)
    with pytest.raises(InputError) as raised:
        evaluate_predictor(load(run), OneUnreadable(scenes, range(3)), "here")
    return str(raised.value)


def work(rank: int, meeting: str, run: str, out: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    folder = Path(out)
    (folder / f"found-{rank}.json").write_text(json.dumps(judged(Path(run))))
    (folder / f"fault-{rank}").write_text(fault(Path(run)))
    with (folder / f"printed-{rank}").open("w") as printed:
        os.dup2(printed.fileno(), 1)
        print_evaluation(evaluate(run), as_json=True)
        print(end="", flush=True)
    distributed.barrier()
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def together(learnt_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes found and printed."""
    folder = tmp_path_factory.mktemp("together")
    run = folder / "run"
    run.mkdir()
    for file in learnt_run.iterdir():
        if file.is_file():
            (run / file.name).write_bytes(file.read_bytes())
    spawn(work, args=(str(folder / "meeting"), str(run), str(folder)), nprocs=2)
    return folder


def test_both_find_what_one_finds(together: Path, learnt_run: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = json.loads(json.dumps(judged(learnt_run)))
    finally:
        torch.set_num_threads(threads)
    assert alone["3"]["answer"]["num_images"] == 3
    assert alone["3"]["answer"]["quality"]["all"]["pq"] != alone["2"]["answer"]["quality"]["all"]["pq"]
    for rank in (0, 1):
        assert json.loads((together / f"found-{rank}.json").read_text()) == alone


def test_an_image_that_one_cannot_read_ends_both(together: Path) -> None:
    for rank in (0, 1):
        assert (together / f"fault-{rank}").read_text() == "cannot read the image bad.png"


def test_one_prints_and_writes(together: Path) -> None:
    printed = json.loads((together / "printed-0").read_text())
    assert json.loads((together / "run/metrics.json").read_text()) == printed
    assert (together / "printed-1").read_text() == ""
