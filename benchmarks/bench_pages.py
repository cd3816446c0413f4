"""A step and a prediction with memory in huge pages, as the command line asks PyTorch for it, and in small ones.

Large tensors come and go with every operation, and each time the kernel hands out their pages anew: fewer where they are larger.
Processor time of one thread and peak memory, each measurement in a process of its own, by turns.
"""

from pathlib import Path

from bench_peers import CASES, measured_apart
from record import record

WAYS = {"huge pages": {"THP_MEM_ALLOC_ENABLE": "1"}, "small pages": {"THP_MEM_ALLOC_ENABLE": "0"}}
ROUNDS = 3


def main() -> None:
    """All cases, by turns."""
    times: dict[str, dict[str, list[float]]] = {case: {way: [] for way in WAYS} for case in CASES}
    peaks: dict[str, dict[str, float]] = {case: dict.fromkeys(WAYS, 0.0) for case in CASES}
    for case in CASES:
        for _ in range(ROUNDS):
            for way, environment in WAYS.items():
                found = measured_apart("unipan_r50", case, environment)
                assert found is not None  # it is this project itself
                times[case][way].append(found["ms"])
                peaks[case][way] = max(peaks[case][way], found["peak"])
                print(f"{case}, {way}: {found['ms'] / 1000:.2f} s, {found['peak']:.0f} MiB", flush=True)
    note = " ".join(
        f"Peak memory, {case}: {', '.join(f'{way} {mib:.0f} MiB' for way, mib in ways.items())}." for case, ways in peaks.items()
    )
    record(Path(__file__).stem, times, note=note, threads=1)


if __name__ == "__main__":
    main()
