"""The report: one run, or several compared, as a self-contained page anyone can read and print."""

from saddlepoint.audit.report.html import write_report
from saddlepoint.audit.report.run import Run

__all__ = ["Run", "write_report"]
