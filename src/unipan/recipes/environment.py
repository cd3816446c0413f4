"""`unipan env`: what this machine has for unipan: versions, devices, threads, and which extras are missing."""

import os
import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from typing import Any

import torch
from packaging.requirements import Requirement

from unipan.console import Table
from unipan.engine.forks import available_processors

PACKAGE = "unipan"
OF_DEVELOPERS = "dev"
VARIABLES = ("UNIPAN_DEVICE", "UNIPAN_THREADS", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "CUDA_VISIBLE_DEVICES", "HF_HUB_OFFLINE")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What is here."""

    python: str
    system: str
    packages: dict[str, str]
    """Versions of unipan and of what it always needs."""
    devices: dict[str, str]
    """What PyTorch finds, by the name that --device takes: what it is."""
    threads: dict[str, int]
    """That PyTorch computes with, and processors that this process may run on."""
    variables: dict[str, str]
    """Of the environment, those that change something and are set."""
    extras: dict[str, list[str]]
    """Of each extra, the packages that it lacks."""

    def table(self) -> Table:
        """Everything, a line each."""
        table = Table("Environment", show_header=False)
        rows = {"python": self.python, "system": self.system, **self.packages}
        rows |= {f"device {name}": what for name, what in self.devices.items()}
        rows |= {f"threads: {name}": str(count) for name, count in self.threads.items()}
        rows |= self.variables
        rows |= {f"extra {name}": _state(name, lacking) for name, lacking in self.extras.items()}
        for name, value in rows.items():
            table.add_row(name, value)
        return table

    def to_json(self) -> dict[str, Any]:
        lacking = {name: f"pip install '{PACKAGE}[{name}]'" for name, packages in self.extras.items() if packages}
        return {**asdict(self), "install": lacking}


def _state(extra: str, lacking: list[str]) -> str:
    return f"lacks {', '.join(lacking)}: pip install '{PACKAGE}[{extra}]'" if lacking else "there"


def environment() -> Environment:
    """Look at what is here; nothing is imported for it but PyTorch."""
    needed = [Requirement(text) for text in requires(PACKAGE) or []]
    always = [requirement.name for requirement in needed if not requirement.marker or requirement.marker.evaluate({"extra": ""})]
    extras = [name for name in metadata(PACKAGE).get_all("Provides-Extra") or [] if name != OF_DEVELOPERS]
    return Environment(
        python=f"{platform.python_version()} ({sys.executable})",
        system=f"{platform.system()} {platform.release()}, {platform.machine()}",
        packages={name: version(name) for name in (PACKAGE, *always)} | {"torch": torch.__version__},  # which tells its CUDA
        devices=_devices(),
        threads={"computing": torch.get_num_threads(), "processors": available_processors()},
        variables={name: os.environ[name] for name in VARIABLES if name in os.environ},
        extras={extra: _lacking(extra, needed) for extra in extras},
    )


def _lacking(extra: str, needed: list[Requirement]) -> list[str]:
    """The packages of an extra that are not here in a version that it takes; an extra made of others has what they have."""
    of_it = [
        one for one in needed if one.marker and one.marker.evaluate({"extra": extra}) and not one.marker.evaluate({"extra": ""})
    ]
    inner = [name for one in of_it if one.name == PACKAGE for other in sorted(one.extras) for name in _lacking(other, needed)]
    return [str(one).partition(";")[0].strip() for one in of_it if one.name != PACKAGE and not _is_there(one)] + inner


def _is_there(requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False


def _devices() -> dict[str, str]:
    gpus = range(torch.cuda.device_count())
    found = {f"cuda:{index}": torch.cuda.get_device_properties(index) for index in gpus}
    devices = {name: f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB" for name, gpu in found.items()}
    if torch.backends.mps.is_available():
        devices["mps"] = "Apple's GPU"
    return {**devices, "cpu": platform.processor() or platform.machine()}
