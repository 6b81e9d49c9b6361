"""The report of a run: five figures and one page that needs no network."""

from experiments.report.page import write_report

__all__ = ["write_report"]
