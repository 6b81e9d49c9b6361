"""The report of a run: five figures and one page that needs no network."""

from experiments.report.page import write_report
from experiments.report.table import write_table

__all__ = ["write_report", "write_table"]
