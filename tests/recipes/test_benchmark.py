"""What `benchmark` and `env` say of a machine."""

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import torch

from unipan.cli import main
from unipan.errors import InputError
from unipan.models.feature_decoder import AffinityHead
from unipan.overrides import Overrides
from unipan.recipes import benchmark as benchmark_file
from unipan.recipes.benchmark import benchmark
from unipan.recipes.environment import environment


def test_time_is_counted_where_it_is_spent(tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock of our own, which goes on only while the affinity head computes."""
    clock, plain = [0.0], AffinityHead.forward

    def slow(*given: object) -> object:
        clock[0] += 0.25
        return plain(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(AffinityHead, "forward", slow)
    monkeypatch.setattr(benchmark_file, "perf_counter", lambda: clock[0])
    measured = benchmark(str(tiny_run), samples=3, overrides=Overrides(scale=0.5), device="cpu")
    assert (measured.sizes, measured.network_sizes) == ([(64, 64)] * 3, [(32, 32)] * 3)
    for parts in measured.parts:
        assert {name: seconds for name, seconds in parts.items() if seconds} == {"affinity head": 0.25}
        assert {"backbone", "fpn", "semantic head", "detector", "potential", "panoptic head", "answer"} <= {*parts}
    assert measured.images_per_second == 4
    assert measured.memory_mib > 50


def test_parts_add_up_to_the_whole(tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock of our own that goes on by one a look."""
    looks = iter(range(10_000))
    monkeypatch.setattr(benchmark_file, "perf_counter", lambda: float(next(looks)))
    measured = benchmark(str(tiny_run), samples=1, size=(96, 64), device="cpu")
    modules = 10  # of the network, each looked at twice, and twice the network itself, and three looks around them
    assert sum(measured.parts[0].values()) == 2 * (modules + 1) + 2
    assert measured.sizes == [(96, 64)]


def test_the_command_tells_the_same(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["benchmark", str(tiny_run), "--samples", "2", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert [len(told["images"]), told["images"][0]["size"]] == [2, [64, 64]]
    main(["benchmark", str(tiny_run), "--size", "64", "96", "--samples", "1"])
    printed = capsys.readouterr().out
    assert "1 image, 64 x 96, seen at 64 x 96" in printed
    assert "images/s on cpu, " in printed


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"samples": 0}, "--samples is 0"),
        ({"size": (16, 64)}, "--size is 16 64"),
        ({"size": (64, 64), "root": "x"}, "--size and --data.root came"),
        ({"root": "x"}, "procedural scenes, which lie in no folder"),
    ],
)
def test_what_can_t_be_measured_is_refused(given: dict, message: str, tiny_run: Path) -> None:
    with pytest.raises(InputError, match=message):
        benchmark(str(tiny_run), **given)


def test_the_environment_names_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def without(name: str) -> str:
        if name in ("matplotlib", "tensorboard"):
            raise PackageNotFoundError(name)
        return "0.0.1" if name == "faster-coco-eval" else version(name)

    monkeypatch.setattr("unipan.recipes.environment.version", without)
    found = environment()
    assert [name.partition(">")[0] for name in found.extras["report"]] == ["matplotlib"]
    assert [name.partition(">")[0] for name in found.extras["demo"]] == ["matplotlib"]  # an extra made of others
    assert found.extras["coco"], "one that is too old is missing"
    assert "dev" not in found.extras
    assert found.packages["torch"] == torch.__version__
    main(["env", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["install"]["report"] == "pip install 'unipan[report]'"
    main(["env"])
    assert "pip install 'unipan[tensorboard]'" in " ".join(capsys.readouterr().out.split())
