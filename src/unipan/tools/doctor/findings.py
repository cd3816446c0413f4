"""What was found wrong with a data set, grouped and counted."""

from dataclasses import dataclass, field

from unipan.tools.doctor.faults import Kind
from unipan.tools.doctor.severity import Severity

FIRST = 5
"""How many offenders of one kind a report names."""


@dataclass(frozen=True)
class Fault:
    """One offence. where: the file or entry, and what is the matter there, in a few words."""

    kind: Kind
    where: str


@dataclass
class Finding:
    """All offences of one kind in one split; only the first few are kept."""

    kind: Kind
    split: str
    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, where: str) -> None:
        self.count += 1
        if len(self.first) < FIRST:
            self.first.append(where)


class Findings:
    """Counts faults by kind and split, in constant memory."""

    def __init__(self) -> None:
        self._found: dict[tuple[Kind, str], Finding] = {}

    def add(self, split: str, faults: "list[Fault]") -> None:
        for fault in faults:
            self._found.setdefault((fault.kind, split), Finding(fault.kind, split)).add(fault.where)

    def all(self) -> list[Finding]:
        """Errors before warnings, kinds in their order above, splits in the order in which they came."""
        order = list(Kind)
        return sorted(self._found.values(), key=lambda f: (f.kind.severity is not Severity.ERROR, order.index(f.kind)))
