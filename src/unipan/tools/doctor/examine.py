"""`unipan doctor`: read a whole data set and say what is wrong with it, where, and how to mend it."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from unipan.classes import VOID, ClassTable, difference, merge_remark
from unipan.config import Config
from unipan.console import counted
from unipan.data.fitting import fitted
from unipan.data.statistics import SetStatistics, setting_remarks
from unipan.engine.forks import available_processors
from unipan.tools.doctor.balance import Balance, Doubles
from unipan.tools.doctor.cityscapes import label_faults
from unipan.tools.doctor.faults import Kind
from unipan.tools.doctor.findings import Fault, Finding, Findings
from unipan.tools.doctor.segments import Categories
from unipan.tools.doctor.severity import Severity
from unipan.tools.doctor.splits import CityscapesSplit, Split, open_split

T = TypeVar("T")

OF_CATEGORIES = {Kind.CATEGORY_COUNT, Kind.CATEGORY_MALFORMED, Kind.CATEGORY_AMBIGUOUS}
"""Where a split has one of these, that its classes are not another's only follows from it."""
AHEAD = 4
"""Images a thread may be ahead of what is counted: so that memory does not grow with their number."""


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor found."""

    splits: Sequence[Split]
    """Where it looked."""
    findings: list[Finding]
    """Errors first."""
    balances: list[Balance]
    """One a split."""
    unusable: dict[str, set[int]]
    """Of each split, the indices of the images that no mending of labels makes fit for training."""

    def count(self, severity: Severity) -> int:
        """How many offences of that severity there are."""
        return sum(finding.count for finding in self.findings if finding.kind.severity is severity)

    @property
    def trainable(self) -> bool:
        """Whether nothing found would break training."""
        return self.count(Severity.ERROR) == 0

    def unfit(self, config: Config) -> list[str]:
        """What of all splits a run with these settings could not learn or find, a sentence each."""
        every = SetStatistics(tuple(image for balance in self.balances for image in balance.by_image))
        classes = tuple(self.balances[0].categories.values())
        merges = config.data.merge == "supercategory" and 0 < len(classes) <= VOID
        merged = len(ClassTable(classes).merged_by_supercategory()[0]) if merges else len(classes)
        return [*filter(None, [merge_remark(len(classes), merged)]), *setting_remarks(fitted(config, every), every)]


def examine(splits: Sequence[Split]) -> Diagnosis:
    """Read every image and PNG of the splits once, several at a time; only counts, sizes and a digest an image stay in memory."""
    findings, doubles, balances, unusable = Findings(), Doubles(), list[Balance](), dict[str, set[int]]()
    first: Categories = {}
    for split in splits:
        opened = open_split(split)
        balance = Balance(split.name, opened.categories)
        findings.add(split.name, opened.faults)
        if not any(fault.kind in OF_CATEGORIES for fault in opened.faults):
            first = first or opened.categories
            differs = difference(tuple(first.values()), tuple(opened.categories.values()))
            findings.add(split.name, [Fault(Kind.CLASSES_DIFFER, differs)] if differs else [])
        unusable[split.name] = set()
        checks = in_threads(opened.checks)
        for index, check in enumerate(counted(checks, f"reading {split.name}", len(opened.checks))):
            balance.add(check)
            findings.add(split.name, check.faults + doubles.faults(split.name, check))
            if not check.usable:
                unusable[split.name].add(index)
        learnt = {name for earlier in balances for name in earlier.with_instances}
        findings.add(split.name, doubles.end_of_split() + balance.faults(learnt))
        if isinstance(split, CityscapesSplit):
            findings.add(split.name, label_faults(balance.pixels))
        balances.append(balance)
    return Diagnosis(splits, findings.all(), balances, unusable)


def in_threads(calls: Sequence[Callable[[], T]]) -> Iterator[T]:
    """The results in order. Threads, because decoding leaves Python free; an interruption drops what is not begun."""
    threads = max(2, available_processors())
    waiting = iter(calls)
    pool = ThreadPoolExecutor(threads)
    try:
        under_way = [pool.submit(call) for call in islice(waiting, AHEAD * threads)]
        while under_way:
            yield under_way.pop(0).result()
            under_way += [pool.submit(call) for call in islice(waiting, 1)]
    finally:
        pool.shutdown(cancel_futures=True)
