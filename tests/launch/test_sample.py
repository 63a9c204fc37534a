"""The sampling command: the files it writes, and bad input refused before anything is written."""

import dataclasses
import json
import unicodedata

import numpy as np
import pytest

from launch.motion_files import numbered
from launch.sample import sentences
from tests.helpers.commands import run_command
from tests.helpers.stride import stride
from tests.helpers.tiny_package import tiny_package
from vimogen_jax import formats
from vimogen_jax.diffusion.solvers import PRESETS
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.package import save_package
from vimogen_jax.text.encoder import load_text_encoder
from vimogen_jax.text.spec import EncoderSpec
from vimogen_jax.viewer.mp4 import encode


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    spec = EncoderSpec.of(load_text_encoder("minilm"))
    package = tiny_package(text_encoder=dataclasses.asdict(spec), text_dim=spec.width)
    folder = tmp_path_factory.mktemp("checkpoint")
    save_package(folder, package)
    return folder


def sample(*arguments):
    return run_command("sample", *arguments)


def test_sentences_then_a_reference(checkpoint, tmp_path):
    out = tmp_path / "deep" / "out"
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("# greetings\nA person waves!\n\n  # and others\na person walks.\n")
    common = "--checkpoint", checkpoint, "--out", out
    ended = sample(
        *common,
        *("a person waves", "--prompts", prompts, "--seconds", 2.5),
        *("--formats", "npz,glb,bvh,npy,html"),
    )
    assert ended.returncode == 0, ended.stderr
    names = ("a-person-waves-0", "a-person-waves-1", "a-person-walks-0")
    ends = ("npz", "glb", "bvh", "bvh.json", "npy", "npy.json")
    files = {f"{name}.{end}" for name in names for end in ends}
    assert {path.name for path in out.iterdir()} == files | {"index.html"}
    assert {line.rpartition("/")[2] for line in ended.stdout.splitlines()} == files | {"index.html"}
    motions = [formats.read(out / f"{name}.npz") for name in names]
    assert [motion.num_frames for motion in motions] == [50] * 3
    assert np.abs(motions[0].transl - motions[1].transl).max() > 0.01
    assert "A person waves!" in (out / "index.html").read_text()
    about = json.loads((out / f"{names[2]}.bvh.json").read_text())
    assert (about["prompt"], about["seed"], about["draw"]) == ("a person walks.", 0, 2)
    assert about["checkpoint"] == checkpoint.name
    with np.load(out / f"{names[2]}.npz") as arrays:
        assert json.loads(arrays["provenance"].item()) == about
    assert about["model"]["weights"][:12] in (out / "index.html").read_text()

    ended = sample(
        *common,
        *("--reference", out / "a-person-waves-1.npz", "--formats", "mp4,npz"),
        *("--sampler", "published", "--steps", 3, "--solver", "heun"),
    )
    assert ended.returncode == 0, ended.stderr
    refined = formats.read(out / "a-person-waves-1-refined-0.npz")
    assert refined.num_frames == 50
    assert ended.stdout.splitlines()[-1].endswith(".mp4"), "what takes long comes last"
    with np.load(out / "a-person-waves-1-refined-0.npz") as arrays:
        about = json.loads(arrays["provenance"].item())
    assert about["reference"] == "a-person-waves-1.npz"
    expected = dict(dataclasses.asdict(PRESETS["published"]), steps=3, solver="heun")
    assert about["sampler"] == expected
    assert (out / "a-person-waves-1-refined-0.mp4").read_bytes()[4:8] == b"ftyp"


def test_constraints_and_then_a_gap(checkpoint, tmp_path):
    common = "--checkpoint", checkpoint, "--out", tmp_path, "--formats", "npz", "--seconds", 3
    hand = dict(kind="place", time=1, joint="left_wrist", place=[0.3, 0.3, 1.2])
    path = dict(kind="path", points=[[0, 0], [0, 1]])
    (tmp_path / "wanted.json").write_text(json.dumps(dict(constraints=[hand, path])))
    ended = sample(*common, "a person walks", "--constraints", tmp_path / "wanted.json")
    assert ended.returncode == 0, ended.stderr
    walk = tmp_path / "a-person-walks-0.npz"
    made = formats.read(walk)
    pelvis = made.joints()[:, 0]
    assert np.abs(pelvis[:, 0]).mean() < 0.05 and abs(pelvis[-1, 1] - 1) < 0.1
    with np.load(walk) as arrays:
        about = json.loads(arrays["provenance"].item())
    assert about["constraints"] == "wanted.json" and about["clean_feet"]

    edited = "--edit", walk, "--gap", "1,2"
    ended = sample(*common, "a person waves", *edited, "--clean_feet")
    assert ended.returncode == 0, ended.stderr
    again, before = formats.read(tmp_path / "a-person-waves-0.npz"), canonicalize(made)
    np.testing.assert_allclose(again.joints()[:20], before.joints()[:20], atol=1e-3)
    np.testing.assert_allclose(again.joints()[40:], before.joints()[40:], atol=1e-3)
    assert np.abs(again.joints()[30] - before.joints()[30]).max() > 0.01


def test_an_act_and_what_follows_it(checkpoint, tmp_path):
    common = "--checkpoint", checkpoint, "--out", tmp_path, "--formats", "npz,robot,html"
    ended = sample(
        *common, "a person walks.", "--then", "a person bows.", "--seconds", 4, "--then_seconds", 8
    )
    assert ended.returncode == 0, ended.stderr
    path = tmp_path / "a-person-walks-then-a-person-bows-0.npz"
    assert formats.read(path).num_frames == 240
    with np.load(tmp_path / "a-person-walks-then-a-person-bows-0-robot.npz") as arrays:
        shapes = {key: arrays[key].shape for key in ("trans", "root_orient", "pose_body", "betas")}
        assert arrays["mocap_frame_rate"].item() == arrays["mocap_framerate"].item() == 30
    frames = 359  # from 0 to 11.95 s
    assert shapes == dict(
        trans=(frames, 3), root_orient=(frames, 3), pose_body=(frames, 63), betas=(16,)
    )
    with np.load(path) as arrays:
        about = json.loads(arrays["provenance"].item())
    assert about["then"] == [dict(prompt="a person bows.", seconds=8.0, seed=0, draw=1)]
    assert (about["prompt"], about["seconds"], about["seam"]) == ("a person walks.", 4.0, 10)


@pytest.mark.parametrize(
    "arguments, fault",
    [
        ([], "give a sentence, --prompts FILE or --reference FILE"),
        (["--prompt", " "], "prompt 1 is empty"),
        (["--prompt=walk", "--formats=mp4,fbx"], "'fbx' is not one of"),
        (["--prompt=walk", "--seconds=11"], "11 s"),
        (["--prompt=walk", "--checkpoint=NOWHERE"], "NOWHERE"),
        (["--prompts=LONG"], "long.txt: line 2 has 10,000 characters"),
        (["--prompts=COMMENTS"], "comments.txt holds no sentence"),
        (["walk", "--reference=NOWHERE.npz"], "either --reference or prompts"),
        (["--prompt=walk", "--steps=0"], "steps must lie in 1 to 1000, not 0"),
        (["--prompt=walk", "--solver=rk4"], "--solver=rk4: value should be one of <euler|heun>"),
        (["--reference=NOWHERE.npz"], "NOWHERE.npz"),
        (["--reference=LONG"], "a motion is read from"),
        (["--prompt=walk", "--body=NOWHERE.npz"], "NOWHERE.npz"),
        (["--prompt=walk", "--edit=NOWHERE.npz"], "give --gap or --keep"),
        (["--prompt=walk", "--edit=NOWHERE.npz", "--gap=1"], "--gap is two times, A,B, not '1'"),
        (["--prompt=walk", "--gap=1,2"], "--gap and --keep are of --edit"),
        (["--prompt=walk", "--constraints=WALL"], "constraint 1 wants left_wrist 3 m up"),
        (["--prompt=walk", "--then= "], "what --then says is empty"),
        (["--prompt=walk", "--then=run", "--seam=1"], "2 to 60 frames, not 1"),
        (["--prompt=walk", "--then=run", "--then_seconds=1"], "act 2 lasts 1 s"),
        (["--prompt=walk", "--then=run", "--seconds=1e300"], "act 1 lasts 1e+300 s; an act has"),
        (["--prompt=walk", "--then_seconds=3"], "has 1 lengths for 0 --then"),
        (["--prompt=walk", "--seam=10"], "--seam is of --then"),
        (["--prompt=walk", "--then=NOWHERE.npz"], "NOWHERE.npz: cannot be read"),
        (["--prompt=walk", "--then=WALK", "--then_seconds=5"], "walk.npz: lasts 2 s, of which"),
        (
            ["--prompt=walk", "--edit=WALK", "--keep=legs", "--seconds=3"],
            "walk.npz: lasts 2 s, whi",
        ),
        (["--prompt=walk", "--edit=WALK", "--gap=1,1.01"], "in which no frame lies"),
        (["--prompt=walk", "--edit=WALK", "--gap=1,1.5", "--fps=30"], "has to say all of itself"),
        (["--priors=NOWHERE", "--then=run"], "--priors says itself what is asked for"),
        (["--prompt=walk", "--sampler=DDIM"], "--sampler=DDIM: value should be one of <published>"),
    ],
)
def test_bad_input(arguments, fault, checkpoint, tmp_path):
    (tmp_path / "long.txt").write_text("# walks\n" + "walk " * 2000)
    (tmp_path / "comments.txt").write_text("# walk\n\n")
    high = dict(kind="place", time=1, joint="left_wrist", place=[0, 0, 3])
    (tmp_path / "wall.txt").write_text(json.dumps(dict(constraints=[high])))
    formats.write(stride(40), tmp_path / "walk.npz")
    for word, end in dict(LONG="txt", COMMENTS="txt", WALL="txt", WALK="npz").items():
        path = str(tmp_path / f"{word.lower()}.{end}")
        arguments = [argument.replace(word, path) for argument in arguments]
    ended = sample("--checkpoint", checkpoint, "--out", tmp_path / "out", *arguments)
    assert ended.returncode == 1
    (sentence,) = ended.stderr.strip().splitlines()
    assert sentence.startswith("error: ")
    assert fault in sentence
    assert not (tmp_path / "out").exists()


def test_words_without_quotes_are_one_sentence():
    assert sentences(["a", "person", "waves"]) == ["a person waves"]
    assert sentences(["walk"]) == ["walk"]
    assert sentences(["a person waves", "walk"]) == ["a person waves", "walk"]
    assert sentences([]) == []


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("A person walks, then runs!", "a-person-walks-then-runs-0"),
        ("人が手を振る。", "人が手を振る-0"),
        ("Человек идёт", "человек-идёт-0"),
        ("Un garçon lève la main", "un-garçon-lève-la-main-0"),
        ("वह चलता है", "वह-चलता-है-0"),
        ("../../etc/passwd", "etc-passwd-0"),
        ("CON", "con-0"),
        ("?*:|<>", "motion-0"),
        ("\N{WAVING HAND SIGN}", "motion-0"),
    ],
)
def test_files_have_the_letters_of_every_script(title, name):
    assert numbered([unicodedata.normalize("NFD", title)], 1) == [name]


def test_names_are_short_and_their_own_where_no_case_is_known():
    titles = ["Walk", "walk", "WALK!", "\U00020000" * 300, "Straße", "STRASSE", "ﬁnd", "find"]
    names = numbered(titles, 2)
    assert len({name.casefold() for name in names}) == len(names) == 16
    assert max(len(f"{name}.bvh.json".encode()) for name in names) <= 255


def test_without_a_folder_it_is_called_after_the_sentence(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.helpers.commands.ROOT", tmp_path)
    ended = sample("--checkpoint", checkpoint, "a", "person", "waves", "--seconds=2")
    assert ended.returncode == 0, ended.stderr
    names = {path.name for path in (tmp_path / "out" / "a-person-waves").iterdir()}
    assert names == {"a-person-waves-0.glb", "a-person-waves-0.npz", "index.html"}


def test_a_film_is_read_and_refined(checkpoint, shared, tmp_path):
    film = shared / "priors/filmed/raise.mp4"
    ended = sample(
        *("--checkpoint", checkpoint, "--out", tmp_path / "out", "--reference", film),
        *("--formats", "npz,html", "--steps", 2),
    )
    assert ended.returncode == 0, ended.stderr
    assert formats.read(tmp_path / "out/raise-refined-0.npz").num_frames == 40
    assert "raise.mp4: 2 s from 0 s; person 0" in ended.stdout
    assert "raise.mp4" in (tmp_path / "out/index.html").read_text()


def test_of_a_long_film_a_part_is_asked_for(tmp_path):
    encode(np.zeros((230, 32, 32, 3), np.uint8), tmp_path / "long.mp4", fps=20)
    for more in ([], ["--seconds=10.2"]):
        given = "--reference", tmp_path / "long.mp4", "--start=1", *more
        ended = sample(*given, "--out", tmp_path / "out")
        assert ended.returncode == 1 and not (tmp_path / "out").exists()
        assert "long.mp4: goes on for 10.5 s, of which a reference can have 10" in ended.stderr
