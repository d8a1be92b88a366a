"""A result as one HTML file that holds everything: numbers, settings, populations, equations, figures, script."""

from brainsnn.report.writing import write_report

__all__ = ["write_report"]
