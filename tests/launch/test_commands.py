"""Commands given bad input end with one sentence that names the fault, and no traceback."""

import pytest

from tests.helpers.commands import run_command

TINY = "--config=configs/tiny.py"

# module, arguments, what the sentence must name
BAD = [
    ("build_data", [], "--out"),
    ("build_data", ["--out=OUT"], "--motions"),
    ("build_data", ["--motions=NO", "--captions=no.jsonl", "--out=OUT"], "NO"),
    ("build_data", ["--beam=x", "--text_store=OUT", "--out=OUT"], "leave one of them out"),
    ("build_data", ["--vimogen=NO.json", "--out=OUT"], "NO.json"),
    ("build_data", ["--humanml3d=NO", "--out=OUT"], "NO"),
    ("convert_umt5", ["--weights=NOWHERE.pth", "--out=OUT"], "NOWHERE.pth"),
    ("mocap", ["--video=NOWHERE.mp4", "--out=OUT"], "NOWHERE.mp4"),
    ("mocap", ["--video=x.mp4", "--out=OUT", "--formats=fbx"], "fbx"),
    ("convert_blazepose", ["--wheel=NOWHERE.whl", "--out=OUT"], "NOWHERE.whl"),
    (
        "train",
        [TINY, "--config.data.pth=x"],
        "--config.data.pth is unknown; did you mean",
    ),
    (
        "train",
        [TINY, "--config.train.learning_rate=1"],
        "did you mean --config.optim.learning_rate",
    ),
    ("train", [TINY, "--config.daat.path=x"], "did you mean --config.data.path"),
    (
        "plan",
        [TINY, "--topology=cpu:8", "--config.train.steps=0"],
        "error: --config.train.steps must",
    ),
    ("train", [TINY, "--config.data.path=NOWHERE"], "NOWHERE"),
    ("train", [TINY, "--config.data.path=http://x/y"], "http://x/y is on no store"),
    ("train", [TINY, "--config.data.path=x", "--config.init_from=ftp://x"], "ftp://x is on no"),
    ("sample", ["--prompt=walk", "--checkpoint=http://x/y", "--out=OUT"], "http://x/y is on no"),
    ("train", [TINY, "--config.data.path=x", "--config.data.corrupt=maybe"], "maybe"),
    ("train", ["--config=configs/no_such.py"], "no_such.py"),
    ("train", [TINY, "--config=configs/small.py"], "--config is given twice"),
    ("train", [TINY, "--config.=3"], "unknown config key"),
    ("train", [f"{TINY}:x"], "TypeError: get_config() takes 0 positional arguments"),
    ("train", [TINY, "rubbish"], "rubbish"),
    ("bench", [TINY, "--measure=feeding", "--chip=moon", "--out=OUT"], "moon"),
    ("faults", [TINY, "--config.train.keep=1", "--out=OUT"], "config.train.keep"),
    ("sample", ["--promt=a person walks."], "promt"),
    ("sample", ["walk", "--fps=nan", "--out=OUT"], "flag --fps=nan is not a finite number"),
    ("sample", ["walk", "--seconds=inf", "--out=OUT"], "--seconds=inf is not a finite"),
    ("sample", ["walk", "--constraints=", "--out=OUT"], "--constraints is given empty text"),
    ("view", ["a.bvh", "--skeleton=", "--out=OUT"], "--skeleton is given empty text"),
    ("evaluate", ["--dataset=NOWHERE", "--out=OUT"], "NOWHERE"),
    ("export", ["--run=NOWHERE", "--out=OUT"], "NOWHERE"),
    ("calibrate", ["--run=small", "--dataset=NOWHERE", "--out=OUT"], "NOWHERE"),
    ("faults", [TINY, "--out=OUT"], "config.data.path"),
    ("data_ablation", [TINY, "--out=OUT"], "--config.data.path is empty"),
    ("distill", ["--real=NOWHERE", "--out=OUT"], "--prompts FILE or --priors FOLDER"),
    ("distill", ["--priors=NOWHERE", "--real=NOWHERE", "--out=OUT"], "no priors folder"),
    ("convert", ["--weights=NOWHERE.pt", "--out=OUT"], "NOWHERE.pt is missing"),
    ("convert", [f"--weights={__file__}", "--out=OUT"], "--statistics"),
    ("convert", ["--weights=NOWHERE.pt", "--statistics=NOWHERE", "--out=OUT"], "NOWHERE"),
    ("convert", ["--to=reference", "--weights=NOWHERE", "--out=OUT/back.safetensors"], "NOWHERE"),
]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"Dear Sir, this is a letter.", "a.py is no config: invalid syntax"),
        (b"\xff\xfe", "a.py is no config: "),
        (b"a = 1\n", "a.py is no config: it defines no get_config"),
    ],
)
def test_a_config_that_is_none_is_named(content, fault, tmp_path):
    (tmp_path / "a.py").write_bytes(content)
    ended = run_command("train", f"--config={tmp_path / 'a.py'}")
    assert ended.returncode == 1 and ended.stderr.count("\n") == 1 and fault in ended.stderr


@pytest.mark.parametrize(("module", "arguments", "named"), BAD)
def test_bad_input_gives_one_sentence(module, arguments, named, tmp_path):
    arguments = [argument.replace("OUT", str(tmp_path / "out")) for argument in arguments]
    ended = run_command(module, *arguments)
    assert ended.returncode == 1
    (sentence,) = ended.stderr.strip().splitlines()
    assert sentence.startswith("error: ")
    assert named in sentence
    assert not (tmp_path / "out").exists()
