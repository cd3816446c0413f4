"""What an export tells: how the file compares with its run, size by size, and what 8 bits cost."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unipan.console import Table
from unipan.errors import InputError
from unipan.metrics.report import percent

LEAST_AGREEMENT = 0.9999
"""Share of the pixels, over all images of a verification, whose ids must be the same."""


@dataclass(frozen=True)
class SizeCheck:
    """One image of a verification."""

    height: int
    width: int
    padded: bool
    """Whether the graph was given the image inside a larger one, and its size."""
    detections: int
    same_pixels: int
    seconds_torch: float
    seconds_onnx: float

    @property
    def agreement(self) -> float:
        return self.same_pixels / (self.height * self.width)


@dataclass(frozen=True)
class Cost:
    """Panoptic quality of the exported file, and of that with 8-bit layers, on so many held-out images."""

    path: Path
    num_images: int
    pq: float
    pq_int8: float


@dataclass(frozen=True)
class Export:
    """An exported file and how it compares with the run."""

    path: Path
    checks: tuple[SizeCheck, ...]
    images: str
    """On what it was verified."""
    int8: Cost | None

    @property
    def agreement(self) -> float:
        """Share of all pixels whose ids are the run's."""
        return sum(check.same_pixels for check in self.checks) / sum(check.height * check.width for check in self.checks)

    def check_agreement(self) -> None:
        """Raises: InputError where too many ids are others than the run's."""
        if self.agreement < LEAST_AGREEMENT:
            raise InputError(
                f"{100 * self.agreement:.3f} % of the ids of {self.path} are the run's, but {100 * LEAST_AGREEMENT:g} % must be; "
                "do not use it where answers must be the run's."
            )

    def table(self) -> Table:
        """A row for each size."""
        columns = ("height x width", "detections", "same ids, %", "torch, s", "onnxruntime, s")
        table = Table(f"{self.path} against the run, on {self.images}", *columns)
        for check in self.checks:
            size = f"{check.height} x {check.width}{', padded' if check.padded else ''}"
            times = f"{check.seconds_torch:.2f}", f"{check.seconds_onnx:.2f}"
            table.add_row(size, str(check.detections), f"{100 * check.agreement:.3f}", *times)
        return table

    def sentences(self) -> list[str]:
        megabytes = self.path.stat().st_size / 2**20
        found = [f"{self.path}: {megabytes:.1f} MB, {100 * self.agreement:.4f} % of all ids are the run's."]
        if self.int8:
            cost = self.int8
            found.append(
                f"{cost.path}: {cost.path.stat().st_size / 2**20:.1f} MB; PQ {percent(cost.pq)} becomes "
                f"{percent(cost.pq_int8)} on {cost.num_images} held-out images."
            )
        return found

    def to_json(self) -> dict[str, Any]:
        int8 = asdict(self.int8) | {"path": str(self.int8.path)} if self.int8 else None
        checks = [asdict(check) | {"agreement": check.agreement} for check in self.checks]
        return {"path": str(self.path), "agreement": self.agreement, "images": self.images, "checks": checks, "int8": int8}
