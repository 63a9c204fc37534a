"""Small valid files of every kind that a command reads, and what reads them."""

import dataclasses
import functools
import json
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from data.adapters.vlm.frames import frames
from data.adapters.vlm.model import Unwatchable
from data.curate import read_film_captions
from data.priors.prompts import Prompt, read_prompts
from data.priors.store import STAGES, StageOutput, Store
from data.result_cache import Cached
from data.sources import teacher
from data.sources.captioned import read_captions
from data.sources.humanml3d import read_humanml3d
from data.sources.priors import read_priors
from data.sources.vimogen import read_vimogen
from data.text_store import StoredEncoder
from eval import systems
from eval.film_readings import read_truth
from eval.humanml3d.split import read_split
from eval.humanml3d.words import load_words
from eval.mbench.prompts import asked, load_prompts
from eval.mbench.votes import read_votes
from eval.real_motions import read_actions
from eval.robot_limits import read_urdf, violations
from eval.score_cache import ScoreCache
from tests.fuzz.kind import Kind
from tests.helpers import film_results, smplx_files, torch_files
from tests.helpers.humanml3d_files import write_evaluator
from tests.helpers.made_up import made_up_motion
from tests.helpers.synthetic import make_record, write_dataset
from tests.helpers.tiny_package import Letters, tiny_package
from tests.helpers.tiny_umt5 import tiny_umt5
from tests.helpers.videos import write_video
from vimogen_jax import formats
from vimogen_jax.adapter import Adapter, apply_adapter, save_adapter
from vimogen_jax.body.mesh import builtin_body
from vimogen_jax.body.smplx import load_smplx
from vimogen_jax.convert.files import map_weights
from vimogen_jax.convert.nrdf import load_nrdf
from vimogen_jax.convert.pose_prior import load_pose_prior
from vimogen_jax.directing.constraints import read_constraints, to_goals
from vimogen_jax.errors import BadInput
from vimogen_jax.files import parse_json, read_text
from vimogen_jax.formats.retarget import load_skeleton
from vimogen_jax.formats.rig import write_onto
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.mocap.film import frames as film_frames
from vimogen_jax.mocap.film import open_film
from vimogen_jax.models.lora import ADAPTER, LoRAConfig
from vimogen_jax.models.parameters import abstract_params, fingerprint, flatten, unflatten
from vimogen_jax.motion.humanml3d import to_features
from vimogen_jax.motion.representation import encode
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.package import load_package, save_package
from vimogen_jax.studio.work import Settings
from vimogen_jax.tensors import map_folder, map_tensors, write_tensors
from vimogen_jax.text.umt5_files import Weights
from vimogen_jax.viewer.camera import film
from vimogen_jax.viewer.synthetic_film import truth

SKELETONS = Path(formats.__file__).parent / "skeletons"
CAPTIONS = ["a person waves.", "geht im Kreis — 走"]


@functools.cache
def _motion():
    return made_up_motion("walk", np.random.default_rng(0), 45)


def _motion_kind(name: str, make: Callable[[Path], Any] | None = None) -> Kind:
    write = make or (lambda path: formats.write(_motion(), path))
    return Kind(name, lambda folder: write(folder / name), lambda folder: _read(folder / name))


def _read(path: Path) -> None:
    """As building and sampling read a motion, and as evaluation does."""
    try:
        formats.read(path)
    finally:
        systems.read_system("it", path.parent, _asked())


@functools.cache
def _asked() -> systems.Asked:
    return systems.Asked([7], "prompt", lambda name: int(name) if name.isdecimal() else name)


def _visual(path: Path) -> None:
    rng = np.random.default_rng(0)
    parts = dict(global_orient=3, body_pose=63, transl=3, betas=10)
    arrays = {name: rng.normal(0, 0.1, (45, width)) for name, width in parts.items()}
    arrays["global_orient"] += [np.pi / 2, 0, 0]
    save = {
        ".npz": lambda: np.savez(path, **arrays),  # type: ignore[arg-type]
        ".pt": lambda: torch_files.save(path, arrays),
    }
    save[path.suffix]()


def _film_result(program: str, file: str, read: str) -> Kind:
    """What another program leaves of a person: a file that is damaged, and what is read with it."""
    write = film_results.WRITERS[program]
    make = lambda folder: write(folder, _motion()[:6])
    return Kind(file, make, lambda folder: _read_film_result(folder / read))


def _read_film_result(path: Path) -> None:
    for view in ("world", "camera"):
        formats.read(path, fps=20, view=view)


def _vimogen_pt(path: Path) -> None:
    torch_files.save(path, encode(_motion()).astype(np.float32))


def _old_pt(path: Path) -> None:
    torch_files.save(path, encode(_motion()).astype(np.float32), zipped=False)


def _results(folder: Path) -> None:
    joints = _motion().joints().astype(np.float32).transpose(1, 2, 0)[None]
    results = dict(motion=joints, text=["walk"], lengths=np.array([45]), num_samples=1)
    np.save(folder / "results.npy", results, allow_pickle=True)  # type: ignore[arg-type]


def _read_results(folder: Path) -> None:
    by_text = systems.Asked([7], "prompt", lambda name: name, {"walk": [7]})
    systems.read_system("it", folder, by_text)


def _lines(path: Path, *rows: dict) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def _captions(folder: Path) -> None:
    (folder / "m").mkdir()
    for i in range(2):
        formats.write(_motion(), folder / "m" / f"{i}.npy")
    extra = dict(id="b", source="studio", licence="CC0", quality="low", start=0.5, end=2, fps=30)
    _lines(
        folder / "captions.jsonl",
        dict(path="0.npy", caption=CAPTIONS[0]),
        dict(path="1.npy", caption=CAPTIONS[1], **extra),
    )


def _humanml3d(folder: Path) -> None:
    for name in ("new_joint_vecs", "texts"):
        (folder / name).mkdir()
    np.save(folder / "new_joint_vecs" / "000001.npy", to_features(_motion()).astype(np.float32))
    text = "a man walks.#a/DET man/NOUN walk/VERB#0.0#0.0\nhe turns.#he/PRON turn/VERB#0.5#2.0\n"
    (folder / "texts" / "000001.txt").write_text(text)
    for name in ("train", "val", "test"):
        (folder / f"{name}.txt").write_text("000001\n" if name == "train" else "\n")


def _read_humanml3d(folder: Path) -> None:
    for take in read_humanml3d(folder)[:5]:
        take.read()


def _vimogen(folder: Path) -> None:
    _vimogen_pt(folder / "a.pt")
    row = dict(id=1, subset="optical", motion_path="a.pt", split="train")
    row |= dict(video_text_annot=CAPTIONS, motion_text_annot="walks")
    (folder / "archive.json").write_text(json.dumps([row, row | dict(id="b", split="val")]))


def _prompts(folder: Path) -> None:
    row = dict(id=7, category="consistency", text="walk", seconds=2.5, distractors=["run", "sit"])
    _lines(folder / "prompts.jsonl", row, row | dict(id=8, category="pose_quality"))


def _published(folder: Path) -> None:
    row = dict(global_id=7, dimension="Motion_Quality", prompt="walk", motion_duration=3)
    row |= dict(prompt_motion_detailed="w", prompt_video_detailed="v", auxiliary_info=["run"])
    table = dict(id=8, dimension="Jitter", category="Pose_Quality", prompt="sit")
    table |= dict(motion_duration=60)
    (folder / "prompts.json").write_text(json.dumps([row, table]))


def _skeleton(folder: Path) -> None:
    table = sorted(SKELETONS.glob("*.json"))[0].read_text(encoding="utf-8")
    (folder / "rig.json").write_text(table, encoding="utf-8")


def _votes(folder: Path) -> None:
    (folder / "votes.csv").write_text(
        "dimension,prompt,first,second,preferred\njitter,7,a,b,a\njitter,8,b,a,tie\n"
    )


def _package(folder: Path) -> None:
    save_package(folder, tiny_package())


@functools.cache
def _base():
    return tiny_package()


def _adapter(folder: Path) -> None:
    lora = LoRAConfig(rank=2, alpha=1.0, targets=("self_attention",))
    _, shapes = abstract_params(_base().model, lora)
    params = {
        name: np.full(leaf.shape, 0.1, np.float32)
        for name, leaf in flatten(shapes).items()
        if f".{ADAPTER}." in name
    }
    save_adapter(folder, Adapter(fingerprint(_base().params), lora, 3, unflatten(params)))


def _dataset(folder: Path) -> None:
    rng = np.random.default_rng(0)
    write_dataset(folder / "set", [make_record(rng, i, 45) for i in range(2)])


def _read_dataset(folder: Path) -> None:
    dataset = Dataset.open(folder / "set")
    for records in dataset.records.values():
        for i in range(len(records)):
            records.read(i)


def _read_dataset_with_its_sums(folder: Path) -> None:
    """As if whoever damaged a file had corrected its checksum."""
    path = folder / "set" / "manifest.json"
    manifest = json.loads(path.read_text())
    for name in manifest["crc32"]:
        manifest["crc32"][name] = zlib.crc32((path.parent / name).read_bytes())
    for split in manifest["splits"].values():
        for shard in split["shards"]:
            shard["bytes"] = (path.parent / shard["file"]).stat().st_size
    path.write_text(json.dumps(manifest))
    _read_dataset(folder)


def _smplx(folder: Path) -> None:
    model = smplx_files.synthetic_model(smplx_files.SMPLX_PARENTS, vertices=12)
    smplx_files.save(folder / "body.npz", model)


def _prior(folder: Path) -> None:

    rng = np.random.default_rng(0)
    mixture = dict(weights=np.full(2, 0.5), means=rng.normal(size=(2, 69)))
    mixture["covars"] = np.tile(np.eye(69), (2, 1, 1))
    (folder / "prior.pkl").write_bytes(pickle.dumps(mixture, 2))


def _video(folder: Path) -> None:
    write_video(folder / "a.mp4", shade=40)


def _watch(folder: Path) -> None:
    try:
        frames(folder / "a.mp4")
    except Unwatchable as fault:
        raise BadInput(str(fault)) from None


def _film(folder: Path) -> None:
    for _ in film_frames(open_film(folder / "a.mp4")):
        pass


def _texts(folder: Path) -> None:
    StoredEncoder(_Streaming(), folder)(["ab", "c"])
    (made,) = folder.glob("*.safetensors")
    made.rename(folder / "a.safetensors")


class _Streaming(Letters):
    name: str = "letters"
    width: int = 8
    revision: str = "1"

    def stream(self, texts):
        return enumerate(self(texts))


def _pt_weights(folder: Path) -> None:
    torch_files.save(folder / "w.pt", dict(a=np.ones((2, 3), np.float32), b=np.zeros(4)))


def _npy_statistics(folder: Path) -> None:
    Statistics(np.zeros(276, np.float32), np.ones(276, np.float32)).save_npy(folder)


def _index(folder: Path) -> None:
    _package(folder)
    config = {"weight_map": {}}
    (folder / "statistics.safetensors").unlink()

    for name in map_tensors(folder / "model.safetensors"):
        config["weight_map"][name] = "model.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(config))


def _umt5(folder: Path) -> None:
    tiny_umt5(folder / "umt5")


SETS = ("manifest.json", "train.index.npz", "null_text.safetensors", "statistics.safetensors")
SHARD = "train-00000-of-00001.array_record"


def _sentences(folder: Path) -> None:
    (folder / "a.txt").write_text("walk\nrun\n")


def _scores(folder: Path) -> None:
    ScoreCache(folder / "scores.json").add("a", 1.5)


def _actions(folder: Path) -> None:
    _lines(folder / "actions.jsonl", dict(id="a", source="s", action="walk"))


def _constraints(folder: Path) -> None:
    formats.write(_motion(), folder / "walk.npz")
    rows = [
        dict(kind="pose", time=0.5, file="walk.npz", at=1.5, joints=["left_elbow"]),
        dict(kind="pose", time=1, rotations={"right_elbow": [0, 1.2, 0]}, place=[0, 1, 0.9]),
        dict(kind="path", points=[[0, 0], [0, 1], [1, 1]], times=[0, 1, 2]),
        dict(kind="path", points=[[0, 0], [0, 1], [1, 1]]),
        dict(kind="place", time=1.5, joint="left_wrist", place=[0.3, 1.2, 1.4]),
        dict(kind="facing", time=2, degrees=90),
        dict(kind="keep", file="walk.npz", joints=["left_knee"], gap=[1, 2]),
    ]
    (folder / "asked.json").write_text(json.dumps(dict(constraints=rows)))


def _read_constraints(path: Path) -> None:
    for each in read_constraints(path):  # together they contradict each other
        to_goals([each], 45, 20.0)


def _priors_kind(file: str) -> Kind:
    """A store of one prompt; that, or the result of a stage, is damaged."""

    def make(folder: Path) -> None:
        prompt = Prompt("1", "a person walks.")
        (entry,) = Store(folder / "priors").add([prompt])
        with entry.scratch() as work:
            facts = [dict(motion="walks"), dict(licence="CC0", note=""), {}]
            facts += [dict(faults=[]), dict(matches=True, words="it does")]
            facts += [dict(follows="the reference")]
            for stage, said in zip(STAGES, facts, strict=True):
                motion = work / f"{stage}.npz" if stage in ("reference", "motion") else None
                if motion:
                    formats.write(_motion(), motion)
                entry.keep(stage, dict(of=stage), StageOutput(said, motion), 1.5)
        for result in entry.folder.glob(f"{file}[-.]*json"):
            result.rename(folder / file)
            result.symlink_to(folder / file)

    return Kind(file, make, _read_store)


def _read_store(folder: Path) -> None:
    store = Store.open(folder / "priors")
    store.verdicts()
    for entry in store.entries()[0]:
        entry.request("reference")
        entry.final()
        str(entry.note)
    read_priors(folder / "priors")


def _truth(folder: Path) -> None:
    shot = film(_motion()[:5], builtin_body(), "never")
    np.savez(folder / "a.npz", allow_pickle=False, **truth(_motion()[:5], shot, 64))


def _taught_batch(folder: Path) -> None:
    (folder / "made").mkdir()
    row = dict(id="a", sentence="walk", kind="", seconds=2.2, seed=1, draw=0, fault="")
    row |= dict(measures=dict(jitter=0.1), about=dict(file="a.txt", line=1))
    (folder / "made/000000.json").write_text(json.dumps([row, row | dict(id="b", fault="odd")]))
    tensors = {"motion.a": encode(_motion()).astype(np.float32), "text.a": np.ones((2, 8), "f4")}
    write_tensors(folder / "made/000000.safetensors", tensors)


def _read_taught(folder: Path) -> None:
    list(teacher.made(folder / "made"))
    list(teacher.records(folder / "made", "0" * 8, "CC0"))


def _urdf(folder: Path) -> None:
    turns = [f"{side}_{part}" for side in ("left", "right") for part in PARTS]
    joint = (
        '<joint name="{}_joint" type="revolute"><origin xyz="0 0 0" rpy="0.4 0 0"/>'
        '<axis xyz="0 1 0"/><limit lower="-1.5" upper="1.2" effort="9"/></joint>'
    )
    (folder / "robot.urdf").write_text(
        f"<?xml version='1.0'?><robot name='it'>{''.join(map(joint.format, turns))}</robot>"
    )


PARTS = ("hip_roll", "hip_yaw", "knee_pitch", "shoulder_pitch", "shoulder_roll", "elbow_pitch")


def _rig(name: str) -> Kind:
    """A file that motions are written onto."""

    def onto(folder: Path) -> None:
        write_onto(_motion()[:5], folder / name, folder / f"out{Path(name).suffix}")

    return Kind(name, lambda folder: formats.write(_motion()[:5], folder / name), onto)


@dataclasses.dataclass(frozen=True)
class _Measured:
    failed: str
    values: dict[str, float]


class _Measuring:
    """A step of curating films, by hand."""

    findings = _Measured

    def made_from(self, film: Path) -> dict[str, Any]:
        return dict(step="it")

    def __call__(self, film: Path, sha256: str, out: Path) -> tuple[dict[str, Any], list[Path]]:
        return dict(failed="", values={}), []


def _curated(folder: Path) -> None:
    (folder / "a.mp4").write_bytes(b"film")
    (folder / "work").mkdir()
    Cached(_Measuring(), folder / "work")(folder / "a.mp4")
    (kept,) = (folder / "work").glob("*.json")
    kept.rename(folder / "kept.json")


def _read_curated(folder: Path) -> None:
    work = Cached(_Measuring(), folder / "work")
    work(folder / "a.mp4")
    (kept,) = (folder / "work").glob("*.json")
    (folder / "kept.json").replace(kept)
    work(folder / "a.mp4")


def _form(folder: Path) -> None:
    form = dict(model="small", seconds=4, samples=2, seed=7, steps=20, guidance_scale=2.5)
    (folder / "form.json").write_text(json.dumps(form))


def _read_form(path: Path) -> None:
    form = parse_json(read_text(path))
    if not isinstance(form, dict):  # as the studio's server does
        raise BadInput("no object")
    for settings in Settings.each(form, ["small"]):
        settings.flags()


def _wishes(folder: Path) -> None:
    row = dict(id="a", text="a person walks.", seconds=4, motion="walks", video="a film")
    _lines(folder / "wishes.jsonl", row, row | dict(id=2, verdict=True))


def _taught(folder: Path) -> None:
    (folder / "taught.txt").write_text('walk\n{"text": "run", "kind": "gait", "n": [1]}\n# no\n')


def _words(folder: Path) -> None:
    write_evaluator(folder / "it")


def _one(name: str, make: Callable[[Path], Any], read: Callable[[Path], Any]) -> Kind:
    """A kind whose reader takes the file alone."""
    return Kind(name, make, lambda folder: read(folder / name))


def _of_set(name: str) -> Kind:
    plain = name == "manifest.json"
    return Kind(f"set/{name}", _dataset, _read_dataset if plain else _read_dataset_with_its_sums)


KINDS: dict[str, Kind] = {
    "bvh": _motion_kind("7.bvh"),
    "amass": _motion_kind("7.npz"),
    "glb": _motion_kind("7.glb"),
    "joints": _motion_kind("7.npy"),
    "visual npz": _motion_kind("7.npz", _visual),
    "visual pt": _motion_kind("7.pt", _visual),
    "vimogen pt": _motion_kind("7.pt", _vimogen_pt),
    "old pt": _motion_kind("7.pt", _old_pt),
    "features": _motion_kind("7.npy", lambda path: np.save(path, to_features(_motion()))),
    "results": Kind("results.npy", _results, _read_results),
    **{
        f"{program} {Path(file).name}": _film_result(program, file, read)
        for program, file, read in (
            ("GVHMR", "hmr4d_results.pt", "hmr4d_results.pt"),
            ("GVHMR npz", "dance.npz", "dance.npz"),
            ("GEM", "hmr4d_results.pt", "hmr4d_results.pt"),
            ("WHAM", "wham_output.pkl", "wham_output.pkl"),
            ("TRAM", "hps_track_0.npy", "hps_track_0.npy"),
            ("TRAM", "camera.npy", "hps_track_0.npy"),
            ("PromptHMR", "results.pkl", "results.pkl"),
            ("SMPLer-X", "smplx/00002_0.npz", "smplx"),
            ("SAM 3D Body", "sam/img0002.npz", "sam"),
        )
    },
    "captions": _one("captions.jsonl", _captions, lambda x: read_captions(x, x.parent / "m")),
    "humanml3d list": Kind("train.txt", _humanml3d, _read_humanml3d),
    "humanml3d text": Kind("texts/000001.txt", _humanml3d, _read_humanml3d),
    "humanml3d motion": Kind("new_joint_vecs/000001.npy", _humanml3d, _read_humanml3d),
    "vimogen": _one("archive.json", _vimogen, read_vimogen),
    "prompts": _one("prompts.jsonl", _prompts, lambda path: asked(load_prompts(path))),
    "published": _one("prompts.json", _published, lambda path: asked(load_prompts(path))),
    "sentences": _one("a.txt", _sentences, read_text),
    "skeleton": _one("rig.json", _skeleton, load_skeleton),
    "votes": _one("votes.csv", _votes, lambda path: read_votes(path, ["jitter"], ["a", "b"])),
    "scores": _one("scores.json", _scores, ScoreCache),
    "actions": _one("actions.jsonl", _actions, lambda path: read_actions([path])),
    "package config": Kind("config.json", _package, load_package),
    "package weights": Kind("model.safetensors", _package, load_package),
    "package statistics": Kind("statistics.safetensors", _package, load_package),
    "weights index": Kind("model.safetensors.index.json", _index, map_folder),
    "npy statistics": Kind("mean.npy", _npy_statistics, Statistics.load_npy),
    "adapter config": Kind("config.json", _adapter, lambda x: apply_adapter(_base(), x)),
    "adapter weights": Kind("adapter.safetensors", _adapter, lambda x: apply_adapter(_base(), x)),
    "pt weights": _one("w.pt", _pt_weights, map_weights),
    "text store": Kind("a.safetensors", _texts, lambda x: StoredEncoder(_Streaming(), x)(["ab"])),
    "umt5 config": Kind("umt5/config.json", _umt5, lambda folder: Weights(folder / "umt5")),
    "umt5 weights": Kind("umt5/model.safetensors", _umt5, lambda folder: Weights(folder / "umt5")),
    **{f"dataset {name}": _of_set(name) for name in (*SETS, SHARD)},
    "body": _one("body.npz", _smplx, load_smplx),
    "pose prior": _one("prior.pkl", _prior, load_pose_prior),
    "nrdf": _one("w.pt", _pt_weights, load_nrdf),
    "constraints": _one("asked.json", _constraints, _read_constraints),
    **{f"priors {file}": _priors_kind(file) for file in ("prompt", *STAGES)},
    "priors list": Kind("priors/prompts.json", _priors_kind("prompt").make, _read_store),
    "film captions": _one("captions.jsonl", _captions, lambda x: read_film_captions(x, x.parent)),
    "truth of a film": _one("a.npz", _truth, read_truth),
    "taught": Kind("made/000000.json", _taught_batch, _read_taught),
    "wishes": _one("wishes.jsonl", _wishes, lambda path: read_prompts(path)),
    "sentences to teach": _one("taught.txt", _taught, teacher.read_sentences),
    "rig bvh": _rig("rig.bvh"),
    "rig glb": _rig("rig.glb"),
    "urdf": _one("robot.urdf", _urdf, lambda path: violations(_motion(), read_urdf(path))),
    "curated": Kind("kept.json", _curated, _read_curated),
    "form": _one("form.json", _form, _read_form),
    "split": Kind("train.txt", _humanml3d, lambda folder: read_split(folder, "train")),
    "split text": Kind("texts/000001.txt", _humanml3d, lambda x: read_split(x, "train")),
    "words": Kind("it/glove/our_vab_idx.pkl", _words, lambda x: load_words(x / "it" / "glove")),
    "video": Kind("a.mp4", _video, _watch),
    "film": Kind("a.mp4", _video, _film),
}
