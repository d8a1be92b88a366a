"""How Sphinx makes the documentation: ``make docs``."""

import os
import re

import brainsnn

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

project, author, copyright = "brainsnn", "the brainsnn developers", "the brainsnn developers"
version = release = brainsnn.__version__
extensions = [
    "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax", "numpydoc", "sphinx_gallery.gen_gallery",
    "sphinx_copybutton", "sphinx_design",
]  # fmt: skip
exclude_patterns = ["_build", "gallery/*.rst", "gallery/*.md"]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["config.cache"]
default_role = "py:obj"
autosummary_generate = True
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "abort_on_example_error": True,
    "show_memory": False,
    "download_all_examples": False,
    "plot_gallery": os.environ.get("BRAINSNN_GALLERY", "1") == "1",
}
html_theme = "pydata_sphinx_theme"
html_title = "brainsnn"
html_static_path, html_css_files = ["_static"], ["site.css"]
html_theme_options = {"navigation_with_keys": False, "show_prev_next": True, "secondary_sidebar_items": ["page-toc"]}
html_show_sourcelink = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def _unlink_files(app, relative_path, parent_name, content):
    """In pages of the top folder, such as CHANGELOG.md, name files that are not pages of the documentation without a link."""
    content[0] = re.sub(r"\[([^\]]+)\]\((?!docs/|https?:|#)[^)]+\)", r"`\1`", content[0])


def setup(app):
    """Connect what this file adds to Sphinx."""
    app.connect("include-read", _unlink_files)
