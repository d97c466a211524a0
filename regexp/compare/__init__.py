"""Compare the techniques of sweeps: tables, verdicts, pictures, a report."""

from regexp.compare.answer import headlines
from regexp.compare.comparison import Comparison, compare
from regexp.compare.question import Question
from regexp.compare.report import ComparisonReport, report, write
from regexp.compare.show import show
from regexp.compare.table import table

__all__ = [
    "Comparison",
    "ComparisonReport",
    "Question",
    "compare",
    "headlines",
    "report",
    "show",
    "table",
    "write",
]
