"""The files at the top level agree with each other: version, supported environments, allowed sizes."""

import re

import yaml
from locations import ROOT
from setuptools.config.setupcfg import read_configuration

import brainsnn as bs


def read_yaml(name):
    return yaml.safe_load((ROOT / name).read_text())


def test_there_is_one_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+", bs.__version__)
    assert read_configuration(ROOT / "setup.cfg")["metadata"]["version"] == bs.__version__
    assert read_yaml("CITATION.cff")["version"] == bs.__version__


def test_hosted_ci_runs_the_environments_of_test_versions(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    from test_versions import DEVICE_TESTS, SETTINGS

    matrix = read_yaml(".github/workflows/ci.yml")["jobs"]["tests"]["strategy"]["matrix"]["include"]
    assert [job["setting"] for job in matrix] == [setting.name for setting in SETTINGS]
    for job, setting in zip(matrix, SETTINGS, strict=True):
        assert job["python"] in setting.pythons
        for name in setting.tests:
            assert (ROOT / DEVICE_TESTS / name).is_file(), name


def test_shipped_networks_are_as_small_as_pre_commit_allows():
    hooks = [hook for repository in read_yaml(".pre-commit-config.yaml")["repos"] for hook in repository["hooks"]]
    limit = next(hook for hook in hooks if hook["id"] == "check-added-large-files" and "files" in hook)
    kilobytes = int(re.search(r"--maxkb=(\d+)", limit["args"][0])[1])
    files = [path for path in ROOT.glob("weights/*") if re.search(limit["files"], f"weights/{path.name}")]
    assert files
    assert max(path.stat().st_size for path in files) <= 1024 * kilobytes


def test_the_readme_is_short_and_its_picture_small():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 120
    (picture,) = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert 20_000 < (ROOT / picture).stat().st_size < 200_000
    script = re.search(r"python (docs/make_\w+\.py)", text)[1]
    assert f'"{(ROOT / picture).name}"' in (ROOT / script).read_text(encoding="utf-8")


def test_issue_templates_and_links_are_valid():
    templates = [read_yaml(path.relative_to(ROOT)) for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")]
    forms = {form["name"]: form["body"] for form in templates if "body" in form}
    assert set(forms) == {"Bug", "Feature", "Question"}
    for name in ("CONTRIBUTING.md", "README.md", "SECURITY.md"):
        text = (ROOT / name).read_text()
        mentioned = re.findall(r"\]\(([^)#:]+)\)|`((?:brainsnn|tests|tools|docs|studies)/[\w/.]+)`", text)
        for path in filter(None, (one or other for one, other in mentioned)):
            assert (ROOT / path).exists(), f"{name} mentions {path}"
