"""The lock, the package and the documents agree with pyproject.toml."""

import re
import tomllib

import pytest

from tests.architecture.source import ROOT, repository_files

LOCKS = tuple(sorted(path.name for path in ROOT.glob("requirements*.lock")))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# A scheme, an option that names an index, or a dotted host. Comments name packages only.
HOST = re.compile(r"://|--(?:index|extra-index|find-links|trusted)|\b\w+\.(?:org|com|net|io|dev)\b")


def _name(requirement: str) -> str:
    """The normal form of a distribution's name (PEP 503)."""
    head = re.split(r"[\s<>=!~;\[@]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", head).lower()


def _locked(text: str) -> dict[str, list[str]]:
    """Name -> the lines that pin it; a name has one line per interpreter fork."""
    pins: dict[str, list[str]] = {}
    for line in text.splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            pins.setdefault(_name(line), []).append(line)
    return pins


def _lock(name: str) -> dict[str, list[str]]:
    return _locked((ROOT / name).read_text(encoding="utf-8"))


def hosts_in(text: str) -> list[str]:
    """Lines of a lock that name where packages come from."""
    return [line for line in text.splitlines() if HOST.search(line)]


def unhashed_in(text: str) -> list[str]:
    """Pins that no hash protects."""
    joined = text.replace("\\\n", " ").splitlines()
    pins = [line for line in joined if re.match(r"[A-Za-z0-9]", line)]
    return [pin for pin in pins if "==" not in pin or "--hash=sha256:" not in pin]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_host(name: str) -> None:
    assert hosts_in((ROOT / name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_a_version_and_a_hash(name: str) -> None:
    assert unhashed_in((ROOT / name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line", ["--index-url x", "numpy @ https://a.example/n.whl", "# from files.example.org"]
)
def test_a_planted_host_is_found(line: str) -> None:
    assert hosts_in(f"numpy==2.0\n{line}\n") == [line]


def test_a_planted_pin_without_a_hash_is_found() -> None:
    assert unhashed_in("a==1 \\\n    --hash=sha256:00\nb==2\nc>=3 --hash=sha256:00\n") == [
        "b==2",
        "c>=3 --hash=sha256:00",
    ]


def test_every_runtime_dependency_is_locked() -> None:
    wanted = {_name(r) for r in PYPROJECT["project"]["dependencies"]}
    assert wanted - set(_lock("requirements.lock")) == set()


def test_every_test_dependency_is_locked() -> None:
    extras = PYPROJECT["project"]["optional-dependencies"]
    wanted = {_name(r) for extra in extras.values() for r in extra} - {"edge-autonomy"}
    assert wanted - set(_lock("requirements-test.lock")) == set()


def test_the_build_backend_is_locked() -> None:
    wanted = {_name(r) for r in PYPROJECT["build-system"]["requires"]}
    assert wanted - set(_lock("requirements-build.lock")) == set()


def test_the_locks_agree_where_they_overlap() -> None:
    test_lock = _lock("requirements-test.lock")
    for name in ("requirements.lock", "requirements-build.lock"):
        for package, pins in _lock(name).items():
            assert test_lock.get(package, pins) == pins


def test_every_direct_dependency_has_its_reason() -> None:
    text = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    extras = PYPROJECT["project"]["optional-dependencies"].values()
    direct = [*PYPROJECT["project"]["dependencies"], *(r for extra in extras for r in extra)]
    direct += PYPROJECT["build-system"]["requires"]
    explained = set(re.findall(r"^\| `(\S+)`", text, re.MULTILINE))
    assert {_name(r) for r in direct} - {"edge-autonomy"} - explained == set()


def test_every_lint_exception_has_its_reason() -> None:
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    unexplained = []
    explained = False
    for line in lines:
        codes = re.match(r'\s+(?:"[A-Z]+\d*",\s*)+(#.*)?$', line)
        if codes:
            explained = explained or bool(codes.group(1))
            if not explained:
                unexplained.append(line)
            explained = explained and not codes.group(1)
        else:
            explained = line.lstrip().startswith("#")
    assert unexplained == []


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for path in (p for p in repository_files() if p.endswith(".md")):
        text = (ROOT / path).read_text(encoding="utf-8")
        targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
        local = [target for target in targets if "://" not in target]
        broken += [f"{path}: {t}" for t in local if not ((ROOT / path).parent / t).exists()]
    assert broken == []


def test_the_version_is_that_of_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = PYPROJECT["project"]["version"]
    assert re.search(rf"^## \[(?:Unreleased|{re.escape(version)})\]", changelog, re.MULTILINE)
