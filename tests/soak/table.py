"""The table that a soak ends with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from soak.checker import Violation
from soak.journal import Operation, Record

__all__ = ["KINDS", "table"]

# Each must be 0.
KINDS = ("lost", "half", "wider", "narrower", "unread", "late", "failed")


def table(
    record: Record,
    violations: Sequence[Violation],
    differences: Sequence[str],
    seed: int,
    seconds: float,
) -> str:
    """Write what was done, what came of it, where the servers differ, and what must not be."""
    operations = Counter(each.kind for each in record.operations)
    acknowledged = Counter(each.kind for each in record.operations if each.acknowledged)
    errors = Counter(each.error for each in record.operations if each.error)
    faults = Counter((each.target, each.kind) for each in record.faults if each.kind != "behind")
    lags = [each.ended - each.began for each in record.faults if each.kind == "behind"]
    slowest = max((each.ended - each.began for each in _ended(record)), default=0.0)
    counted = Counter(each.kind for each in violations)
    lines = [f"seed {seed}, {seconds:.0f} s", ""]
    lines += [f"{'operation':<24}{'calls':>8}{'answered':>10}"]
    lines += [
        f"  {kind:<22}{operations[kind]:>8}{acknowledged[kind]:>10}" for kind in sorted(operations)
    ]
    lines += [f"  {'all':<22}{sum(operations.values()):>8}{sum(acknowledged.values()):>10}", ""]
    lines += ["calls that failed"]
    lines += [f"  {kind:<22}{errors[kind]:>8}" for kind in sorted(errors)]
    lines += ["", "faults"]
    lines += [f"  {' '.join(fault):<22}{faults[fault]:>8}" for fault in sorted(faults)]
    lines += ["", f"{'retries':<24}{record.retries:>8}", f"{'old answers':<24}{record.stale:>8}"]
    lines += [f"{'longest lag of a server':<24}{max(lags, default=0.0):>8.2f} s"]
    lines += [f"{'servers that disagree':<24}{len(differences):>8}"]
    lines += [f"{'slowest call':<24}{slowest:>8.2f} s", ""]
    lines += [f"{kind:<24}{counted[kind]:>8}" for kind in KINDS]
    return "\n".join(lines)


def _ended(record: Record) -> list[Operation]:
    return [each for each in record.operations if each.error != "killed"]
