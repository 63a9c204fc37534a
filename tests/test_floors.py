"""Who may import whom: the floors of the design, enforced by walking every import statement."""

import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.repository import PACKAGES, ROOT, imports, sources

# Top-level folder: the top-level folders it may import besides itself. Nobody imports launch.
FOLDERS = {
    "vimogen_jax": set(),
    "configs": set(),
    "data": {"vimogen_jax"},
    "eval": {"vimogen_jax", "data"},
    "launch": {"vimogen_jax", "configs", "data", "eval"},
}

# Room of the library: the rooms on the floor below. It may import these and what lies under them.
ROOMS = {
    "errors": (),
    "caches": (),
    "stopping": (),
    "command": ("stopping",),
    "markdown": (),
    "files": ("errors",),
    "npz": ("files",),
    "body": ("npz",),
    "tensors": ("files",),
    "motion": ("body", "tensors"),
    "formats": ("motion",),
    "viewer": ("motion",),
    "metrics": ("motion",),
    "mocap": ("metrics", "viewer"),
    "animation": ("formats", "mocap"),
    "input_pipeline": ("caches", "motion"),
    "config": ("errors",),
    "chips": (),
    "flops": (),
    "wiring": (),
    "sharding": ("config", "wiring"),
    "models": ("sharding", "motion"),
    "diffusion": ("motion",),
    "directing": ("config", "formats"),
    "text": ("models", "tensors"),
    "package": ("config", "diffusion", "motion", "text"),
    "adapter": ("package",),
    "experiment": ("package",),
    "convert": ("formats", "metrics", "package"),
    "sampling": ("diffusion", "directing", "input_pipeline", "models"),
    "train": ("adapter", "chips", "experiment", "flops", "formats", "input_pipeline", "sampling"),
    "long_motion": ("sampling",),
    "generator": ("animation", "long_motion", "train"),
    "matcher": ("train",),
    "studio": ("generator", "matcher"),
    "planning": ("markdown", "train"),
    "bench": ("planning",),
}

# Processes that prepare data run these: NumPy alone.
WITHOUT_JAX = ("body", "caches", "files", "npz", "tensors", "motion", "input_pipeline")
JAX = {"jax", "jaxlib", "flax", "optax", "orbax"}

# torch and what brings it along: only here, and only inside functions.
MAY_IMPORT_TORCH = ("vimogen_jax/convert", "data", "eval", "tests/parity")
TORCH = {"torch", "transformers", "smplx", "diffusers"}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "vimogen_jax").with_suffix("").parts[0]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def under(room: str) -> set[str]:
    below = set(ROOMS[room])
    return below.union(*(under(other) for other in below))


def test_every_package_has_its_floor():
    assert FOLDERS.keys() == set(PACKAGES)


def test_folders_import_only_what_they_may():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for folder, allowed in FOLDERS.items()
        for path in sources(folder)
        for name, _ in imports(path)
        if name.split(".")[0] in FOLDERS and name.split(".")[0] not in allowed | {folder}
    ]
    assert wrong == []


def test_protocols_of_evaluation_know_what_they_share_and_not_each_other():
    protocols = {path.parent.name for path in sources("eval")} - {"eval"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources("eval")
        for name, _ in imports(path)
        if name.startswith("eval.") and name.split(".")[1] in protocols - {path.parent.name}
    ]
    assert {"mbench", "humanml3d"} <= protocols and wrong == []


def test_evaluation_takes_of_data_its_adapters_alone():
    taken = {name for path in sources("eval") for name, _ in imports(path)}
    taken = {name for name in taken if name.split(".")[0] == "data"}
    assert taken and all(name.startswith("data.adapters.") for name in taken)


def test_configs_import_ml_collections_and_configs_alone():
    for path in sources("configs"):
        assert {name.split(".")[0] for name, _ in imports(path)} <= {"ml_collections", "configs"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_lies_under_it(room):
    allowed = under(room) | {room, "__version__"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources("vimogen_jax")
        if room_of(path) == room
        for name, _ in imports(path)
        if name.startswith("vimogen_jax") and name.split(".")[1] not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ROOMS)
def test_no_edge_is_allowed_that_nobody_uses(room):
    used = {
        name.split(".")[1]
        for path in sources("vimogen_jax")
        if room_of(path) == room
        for name, _ in imports(path)
        if name.startswith("vimogen_jax.")
    }
    assert set(ROOMS[room]) <= used


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_file_imports_itself_over_others_be_it_in_functions(folder):
    files = {module_of(path): path for path in sources(folder)}
    files.pop("vimogen_jax", None)  # the door: it loads Generator when that is asked for

    def imported(name: str) -> str | None:
        parts = name.split(".")
        prefixes = (".".join(parts[:size]) for size in range(len(parts), 0, -1))
        return next((prefix for prefix in prefixes if prefix in files), None)

    graph = {
        module: {target for name, _ in imports(path) if (target := imported(name))}
        for module, path in files.items()
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names a circle


def test_planning_and_its_figures_load_without_what_training_alone_needs():
    heavy = {"orbax", "grain", "tensorboardX"}
    modules = "vimogen_jax.planning.plan, vimogen_jax.bench.programs, vimogen_jax.experiment"
    code = f"import sys, {modules}; found = {heavy!r} & set(sys.modules); assert not found, found"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_every_room_has_its_floor():
    rooms = {room_of(path) for path in sources("vimogen_jax")} - {"__init__"}
    assert rooms == set(ROOMS)


def test_what_workers_run_imports_no_jax():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources("vimogen_jax")
        if room_of(path) in WITHOUT_JAX
        for name, _ in imports(path)
        if name.split(".")[0] in JAX
    ]
    assert wrong == []


def test_torch_stays_in_its_rooms_and_inside_functions():
    places = [ROOT / place for place in MAY_IMPORT_TORCH]
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for folder in (*FOLDERS, "tests")
        for path in sources(folder)
        for name, at_module_level in imports(path)
        if name.split(".")[0] in TORCH
        and (at_module_level or not any(path.is_relative_to(place) for place in places))
    ]
    assert wrong == []


def test_only_what_draws_needs_numba():
    """An extra brings it, so whoever draws as one of several things says so when it comes to it."""
    drawing = {
        f"vimogen_jax.viewer.{name}"
        for name in ("raster", "render", "figure", "video", "synthetic_film")
    }
    files = {f"{name.replace('.', '/')}.py" for name in drawing}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for folder in PACKAGES
        for path in sources(folder)
        if path.relative_to(ROOT).as_posix() not in files
        for name, at_module_level in imports(path)
        if at_module_level and any(f"{name}.".startswith(f"{each}.") for each in drawing)
    ]
    assert wrong == []


def test_what_windows_lacks_is_imported_where_it_is_used():
    unix = {"fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for folder in PACKAGES
        for path in sources(folder)
        for name, at_module_level in imports(path)
        if at_module_level and name.split(".")[0] in unix
    ]
    assert wrong == []


def test_configs_load_without_jax():
    modules = ", ".join(f"configs.{path.stem}" for path in sources("configs"))
    code = f"import sys, {modules}; assert not {JAX | TORCH!r} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
