"""The state of the house: what the repository promises about itself as a whole."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.repository import PACKAGES, ROOT, imports, sources

# Import name -> name in pyproject.toml, where they differ.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "absl": "absl-py",
    "apache_beam": "apache-beam",
    "google": "google-genai",
    "orbax": "orbax-checkpoint",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
BLENDER = {"bpy", "mathutils"}  # in an environment of its own: docs/formats.md
TORCH = {"diffusers", "torch", "transformers", "smplx"}

# A path that exists on one person's machine alone.
MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:home|root|Users|work|tmp|mnt|scratch)/\w")


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if (ROOT / name).is_file()]


with (ROOT / "pyproject.toml").open("rb") as file:
    PYPROJECT = tomllib.load(file)


def required(extra: str | None = None) -> set[str]:
    """The distributions that the library or an extra asks for, without their versions."""
    project = PYPROJECT["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    names = {re.split(r"[<>=;]", line)[0] for line in lines}
    return {
        name
        for each in names
        for name in (
            required(each[len("vimogen_jax[") : -1]) if each.startswith("vimogen_jax[") else {each}
        )
    }


def third_party(folder: str) -> set[str]:
    """The distributions that a folder's modules import when they are imported or run."""
    names = {name.split(".")[0] for path in sources(folder) for name, _ in imports(path)}
    names -= {*sys.stdlib_module_names, *PACKAGES, "tests", "__future__"}
    return {DISTRIBUTIONS.get(name, name) for name in names}


def test_the_package_requires_just_what_is_imported():
    imported = set().union(*map(third_party, PACKAGES)) - TORCH - BLENDER
    imported -= set().union(
        *map(required, ("film", "judge", "beam", "blazepose", "plot", "studio", "wandb"))
    )
    assert required() == imported


def raised(path: Path) -> Iterator[ast.AST]:
    """All parts of what a module raises."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise):
            yield from ast.walk(node)


def test_the_library_names_no_flags_and_every_remedy_is_the_flag_of_a_command():
    """So no message advises what the command at hand does not have: `launch.cli` adds the flag."""
    flags = {
        name
        for path in sources("launch")
        for name in re.findall(r'DEFINE_\w+\(\s*"(\w+)"', path.read_text(encoding="utf-8"))
    }
    for folder in ("vimogen_jax", "data", "eval"):
        for path in sources(folder):
            for node in raised(path):
                if isinstance(node, ast.Constant):
                    named = re.findall(r"(?<![\w-])--(\w+)", str(node.value))
                    assert not flags & {*named}, f"{path}: {node.value}"
                if isinstance(node, ast.keyword) and node.arg == "remedy":
                    words = [x.value for x in ast.walk(node.value) if isinstance(x, ast.Constant)]
                    assert {word for word in words if word} <= flags, f"{path}: {words}"
    assert {"fps", "up", "units", "skeleton"} <= flags


def test_what_is_advised_to_be_installed_is_an_extra():
    written = "\n".join(path.read_text() for folder in PACKAGES for path in sources(folder))
    advised = {*re.findall(r"pip install .?vimogen_jax\[(\w+)\]", written)}
    assert {"film", "judge"} <= advised <= PYPROJECT["project"]["optional-dependencies"].keys()
    assert "pip install -e" not in written, "there may be no checkout"


def test_tests_import_nothing_beyond_their_extras():
    extras = required() | required("test")
    assert third_party("tests") <= extras | TORCH


def test_tests_share_through_their_helpers_alone():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources("tests")
        for name, _ in imports(path)
        if name.split(".")[0] == "tests" and not name.startswith(("tests.helpers.", "tests.fuzz."))
    ]
    assert wrong == []


def test_what_is_not_code_is_installed_too():
    library = ROOT / "vimogen_jax"
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["vimogen_jax"]
    installed = {path for pattern in patterns for path in library.glob(pattern)}
    needed = {path for path in tracked() if path.is_relative_to(library) and path.suffix != ".py"}
    assert needed - installed == set()


def test_no_path_of_one_machine_is_in_the_repository():
    found = []
    for path in tracked():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
            for number, line in enumerate(lines, 1)
            if MACHINE_PATH.search(line)
        ]
    assert found == []


def test_every_page_is_in_the_index():
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert {page for page in pages if f"]({page})" not in index} == set()


def test_links_in_the_pages_lead_somewhere():
    broken = [
        f"{page.relative_to(ROOT)} -> {target}"
        for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_the_contributors_page_names_what_there_is():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    _, rooms, table, *_ = re.split(r"^## (?:The rooms|To change this.*)$", page, flags=re.M)
    named = {*re.findall(r"`([\w/.]+)`", table)}
    assert {name for name in named if "/" in name and not (ROOT / name).exists()} == set()
    there = {path.stem for path in (ROOT / "vimogen_jax").iterdir() if path.suffix in (".py", "")}
    assert there - {*re.findall(r"`(\w+)`", rooms)} <= {"__init__", "__pycache__", "assets"}


def public_definitions(
    tree: ast.AST, names: tuple[str, ...] = ()
) -> Iterator[tuple[str, ast.FunctionDef | ast.AnnAssign]]:
    """The functions and fields of a module or class that others see, by their names."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_definitions(node, (*names, node.name))
        if isinstance(node, ast.FunctionDef) and (node.name[0] != "_" or node.name[:2] == "__"):
            yield ".".join((*names, node.name)), node
        if isinstance(node, ast.AnnAssign) and names:
            yield ".".join((*names, ast.unparse(node.target))), node


def says_no_shape(annotation: ast.AST) -> bool:
    """Whether arrays are in an annotation without jaxtyping's, which has them in front of a shape;
    what the type `Batch` holds has its shapes there."""
    if isinstance(annotation, ast.Subscript):
        if isinstance(annotation.value, ast.Name) and annotation.value.id == "Batch":
            return False
        parts = getattr(annotation.slice, "elts", [])
        if len(parts) == 2 and isinstance(getattr(parts[1], "value", None), str):
            return False
    if isinstance(annotation, ast.Attribute | ast.Name):
        name = annotation.attr if isinstance(annotation, ast.Attribute) else annotation.id
        return name in {"Array", "ArrayLike", "NDArray", "ndarray"}
    return any(map(says_no_shape, ast.iter_child_nodes(annotation)))


def test_public_functions_and_fields_say_the_shapes_of_their_arrays():
    bare = []
    for folder in ("vimogen_jax", "data", "eval"):
        for path in sources(folder):
            for name, node in public_definitions(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.AnnAssign):
                    annotations = [node.annotation]
                else:
                    arguments = [x for x in ast.walk(node.args) if isinstance(x, ast.arg)]
                    annotations = [*(x.annotation for x in arguments), node.returns]
                if any(map(says_no_shape, filter(None, annotations))):
                    bare.append(f"{path.relative_to(ROOT)}: {name}")
    assert bare == []


def test_a_name_of_a_class_has_one_meaning():
    places = defaultdict(list)
    for folder in PACKAGES:
        for path in sources(folder):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(f"{path.relative_to(ROOT)}")
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
