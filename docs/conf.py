"""How Sphinx makes the documentation: ``make docs``."""

import os
import re
import sys
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.errors import ExtensionError

import brainsnn

sys.path.insert(0, str(Path(__file__).parent))
from make_messages import write_page

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

project, author, copyright = "brainsnn", "the brainsnn developers", "the brainsnn developers"
version = release = brainsnn.__version__
extensions = [
    "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "sphinx_gallery.gen_gallery", "sphinx_copybutton",
    "sphinx_design",
]  # fmt: skip
exclude_patterns = ["_build", "gallery/*.rst", "gallery/*.md", "notebooks/*", "start/*"]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["config.cache"]
default_role = "py:obj"
templates_path = ["_templates"]  # a page of a class has its public methods
autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say it in words
maximum_signature_line_length = 90
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
sphinx_gallery_conf = {
    "examples_dirs": ["start", "gallery", "notebooks"],
    "gallery_dirs": ["auto_start", "auto_gallery", "auto_notebooks"],
    "filename_pattern": r"/(plot_|notebooks/|start/)",
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "abort_on_example_error": True,
    "show_memory": False,
    "download_all_examples": False,
    "capture_repr": (),
    "write_computation_times": False,  # their page loads scripts from elsewhere
    "plot_gallery": os.environ.get("BRAINSNN_GALLERY", "1") == "1",
}
html_theme = "pydata_sphinx_theme"
html_title = "brainsnn"
html_static_path, html_css_files = ["_static"], ["site.css"]
html_theme_options = {"navigation_with_keys": False, "show_prev_next": True, "secondary_sidebar_items": ["page-toc"]}
html_show_sourcelink = False
html_math_renderer = "mathml"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


#: Classes whose objects come from functions: their pages show no constructor.
MADE_BY_FUNCTIONS = {
    "ActivationComparison", "AttentionModulation", "Comparison", "LatencyCriterion", "LayerGraph", "Population", "Projection",
    "Result", "SearchScenes", "SpikeTrains", "SpikingNetwork", "SweepStatus",
}  # fmt: skip


def _hide_constructor(app, what, name, thing, options, signature, returns):
    """Show the constructor only of classes that users call; errors and warnings are raised for them."""
    hidden = what == "exception" or (what == "class" and name.rpartition(".")[2] in MADE_BY_FUNCTIONS)
    return ("", None) if hidden and signature is not None else None


def _skip_fields(app, what, name, thing, skip, options):
    """Leave out the fields of a named tuple, which its docstring explains."""
    return True if str(getattr(thing, "__doc__", "")).startswith("Alias for field number") else None


def _unlink_files(app, relative_path, parent_name, content):
    """In pages of the top folder, such as CHANGELOG.md, name files that are not pages of the documentation without a link."""
    content[0] = re.sub(r"\[([^\]]+)\]\((?!docs/|https?:|#)[^)]+\)", r"`\1`", content[0])


def _write_formula(translator, node):
    """Write a formula as MathML: browsers draw it themselves, so the pages need no network."""
    is_block = isinstance(node, nodes.math_block)
    try:
        formula = tex2mathml(node.astext(), as_block=is_block)
    except ValueError as error:
        raise ExtensionError(f"{node.source or translator.builder.current_docname}: {node.astext()}: {error}") from None
    # Without a font for formulas, browsers draw an "accent", such as the hat of S, through its letter.
    formula = formula.replace('<mover accent="true">', "<mover>")
    translator.body.append(f"<p>{formula}</p>" if is_block else formula)
    raise nodes.SkipNode


def setup(app):
    """Connect what this file adds to Sphinx."""
    app.connect("include-read", _unlink_files)
    app.connect("autodoc-process-signature", _hide_constructor)
    app.connect("autodoc-skip-member", _skip_fields)
    write_page()
    app.add_html_math_renderer("mathml", (_write_formula, None), (_write_formula, None))
