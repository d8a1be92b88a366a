"""A result as one HTML file that holds everything: numbers, settings, populations, equations, figures, script."""

from brainsnn.report.contents import result_html
from brainsnn.report.writing import write_report

__all__ = ["result_html", "write_report"]
