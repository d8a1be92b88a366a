"""Describe a network in the tables of a methods section, as text, Markdown and LaTeX."""
