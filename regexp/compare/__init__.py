"""Compare the techniques of a finished sweep: table, learning curves, report."""

from regexp.compare.curves import curves, learning_curves
from regexp.compare.report import report
from regexp.compare.show import markdown, show
from regexp.compare.table import table

__all__ = ["curves", "learning_curves", "markdown", "report", "show", "table"]
