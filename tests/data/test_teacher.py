"""A teacher's motions: which are asked for, kept and gone on with, and a student of them."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from configs import finetune
from data import distill
from data.filters.quality import MotionLimits, measured
from data.priors.prompts import Prompt
from data.priors.store import StageOutput, Store
from data.sources import teacher
from tests.helpers.experiments import experiment_of
from tests.helpers.made_up import made_up_dataset, made_up_motion
from tests.helpers.tiny_package import Letters, tiny_package
from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.generator import Generator
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.package import save_package
from vimogen_jax.train.loop import train

SENTENCES = ["a person walks.", "a person waves.", "a person jumps."]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    save_package(folder, tiny_package())
    return folder


@pytest.fixture(scope="module")
def generator(base):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vimogen_jax.generator.load_text_encoder", lambda spec: Letters())
        yield Generator.from_checkpoint(base)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    path = tmp_path_factory.mktemp("prompts") / "prompts.jsonl"
    lines = [SENTENCES[0], json.dumps(dict(text=SENTENCES[1], kind="arms", page=3)), SENTENCES[0]]
    path.write_text("\n".join(["# sentences", *lines, "", SENTENCES[2]]))
    return teacher.ask(teacher.read_sentences(path), [3.0, 2.0], samples=2)


def no_jumps(motions, sentences):
    faults = ["jumps" if "jumps" in sentence else "" for sentence in sentences]
    return [(fault, dict(frames=40.0)) for fault in faults]


@pytest.fixture(scope="module")
def made(generator, asked, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher") / "made"
    teacher.make(generator, asked, folder, no_jumps, dict(teacher="a"))
    return folder


def test_sentences_come_once_with_where_they_stand(asked):
    sentences = list(dict.fromkeys(each.sentence.text for each in asked))
    assert sentences == SENTENCES
    wave = asked[2].sentence
    assert (wave.kind, wave.about) == (
        "arms",
        dict(file="prompts.jsonl", line=3, kind="arms", page=3),
    )
    assert [each.request.seconds for each in asked] == [2.0] * 6 + [3.0] * 6


def test_a_motion_depends_on_its_own_sentence_alone(asked):
    (alone,) = teacher.ask([asked[2].sentence], [2.0], samples=1)
    assert alone.id == asked[2].id and vars(alone.request) == vars(asked[2].request)
    assert len({each.id for each in asked}) == len(asked)


def test_a_sentence_may_have_lengths_of_its_own(tmp_path):
    path = tmp_path / "prompts.jsonl"
    waves = [json.dumps(dict(text="a person waves.", seconds=length)) for length in (4, 6, 4.0)]
    path.write_text("\n".join(["a person walks.", *waves]))
    asked = teacher.ask(teacher.read_sentences(path), [5.0, 3.0], samples=1)
    lengths = [(each.request.text, each.request.seconds) for each in asked]
    assert lengths == [
        ("a person walks.", 3.0), ("a person waves.", 4), ("a person walks.", 5.0),
        ("a person waves.", 6),
    ]  # fmt: skip


def test_a_priors_folder_is_asked_as_its_gate_says(tmp_path):
    store = Store(tmp_path / "priors")
    (entry,) = store.add([Prompt("1", "a person bows.", 4.0)])
    first, second = teacher.ask_priors([entry], samples=2)
    assert first.request.text == "a person bows." and first.request.seconds == 4.0
    about = dict(prior=entry.prompt.id, name="1", verdict=entry.verdict[0])
    assert (first.sentence.about, first.sentence.kind) == (about, entry.verdict[0])
    assert (first.request.seed, second.request.draw) == (entry.prompt.seed, 1)
    # A folder of batches is gone on with for as long as the gate lets the same references pass.
    motion = made_up_motion("walk", np.random.default_rng(0), 60)
    with entry.scratch() as folder:
        formats.write(motion, folder / "reference.npz")
        entry.keep("reference", {}, StageOutput({}, folder / "reference.npz"), 0)
    entry.keep("verdict", {}, StageOutput(dict(matches=True, words="so")), 0)
    (followed,) = teacher.ask_priors([entry], samples=1)
    assert followed.request.reference is not None and followed.id != first.id


def test_those_that_pass_become_records(made, asked, generator):
    rows = list(teacher.made(made))
    assert [row["id"] for row in rows] == [each.id for each in asked]
    assert [row["fault"] for row in rows].count("jumps") == 4
    records = list(teacher.records(made, "ab", "CC0"))
    assert [len(record.motion) for record in records] == [40] * 4 + [60] * 4
    first = records[0]
    assert (first.source, first.caption, first.licence) == ("teacher", SENTENCES[0], "CC0")
    assert first.made is not None and first.made.weights == "ab"
    assert json.loads(first.made.sentence) == dict(file="prompts.jsonl", line=2)
    motion = generator([asked[0].request])[0]
    again = generator.model.layout.decode(first.motion, 20.0)
    np.testing.assert_allclose(again.joints(), motion.joints(), atol=2e-3)


def test_nothing_may_be_kept_of_a_batch(asked, generator, tmp_path):
    teacher.make(generator, asked[-2:], tmp_path, lambda *_: [("jumps", {})] * 2, {})
    assert [row["fault"] for row in teacher.made(tmp_path)] == ["jumps"] * 2
    assert not list(teacher.records(tmp_path, "ab", "CC0"))


def test_what_was_stopped_goes_on_and_comes_out_the_same(made, asked, generator, tmp_path):
    before = (made / "000000.safetensors").read_bytes()
    (made / "000000.json").unlink()
    teacher.make(generator, asked, made, no_jumps, dict(teacher="a"))
    assert (made / "000000.safetensors").read_bytes() == before
    with pytest.raises(BadInput, match="batches of another teacher: name another folder"):
        teacher.make(generator, asked, made, no_jumps, dict(teacher="b"))
    with pytest.raises(BadInput, match="batches of another motions: name another folder"):
        teacher.make(generator, asked[1:], made, no_jumps, dict(teacher="a"))


@pytest.mark.parametrize(
    "said", ["null", '{"id": "a"}', "[3]", '[{"id": "a"}]', lambda rows: [rows[0] | dict(id="no")]]
)
def test_a_batch_that_is_damaged_is_named(said, made, tmp_path):
    shutil.copytree(made, tmp_path / "made")
    path = tmp_path / "made/000000.json"
    path.write_text(json.dumps(said(json.loads(path.read_text()))) if callable(said) else said)
    with pytest.raises(BadInput, match="000000.json is damaged: without it, the same command"):
        list(teacher.records(tmp_path / "made", "ab", "CC0"))


def test_a_file_without_sentences_is_refused_by_its_line(tmp_path):
    path = tmp_path / "prompts.jsonl"
    for content, fault in (
        ("", "holds no sentence"),
        ('{"kind": "x"}', "line 1: has no text or prompt or caption"),
        ('a\n{"text": 3}', "line 2 is a int, not text"),
        ('a\n{"text": "b"', "prompts.jsonl: line 2 is not JSON"),
        ('{"text": "b", "seconds": "3"}', "line 1: its seconds are '3', not a length"),
        ('{"text": "b", "seconds": -1}', "line 1: its seconds are -1, not a length"),
    ):
        path.write_text(content)
        with pytest.raises(BadInput, match=fault):
            teacher.read_sentences(path)


def test_limits_are_those_of_real_takes():
    rng = np.random.default_rng(0)
    takes = [made_up_motion("walk", rng) for _ in range(20)]
    limits = MotionLimits.of(takes)
    assert [limits.fault(measured(take)) for take in takes].count("") >= 14
    still = dataclasses.replace(
        takes[0], rotations=takes[0].rotations[[0] * 40], transl=takes[0].transl[[0] * 40]
    )
    assert limits.fault(measured(still)) == "moves too little"
    shaken = takes[0].transl + rng.normal(0, 0.1, takes[0].transl.shape)
    shaken = dataclasses.replace(takes[0], transl=shaken)
    assert limits.fault(measured(shaken)) == "jitter"


@pytest.fixture(scope="module")
def mixed(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    real, _ = made_up_dataset(folder / "real")
    distill.mix(real, made, folder / "dataset", "ab", "CC0")
    return real, Dataset.open(folder / "dataset")


def test_the_dataset_has_them_beside_the_real_takes(mixed):
    real, dataset = mixed
    sources = dataset.index["train"].sources.tolist()
    assert sources == ["teacher"] * 8 + ["made up"] * len(real.index["train"])
    assert dataset.index["validation"].ids.tolist() == real.index["validation"].ids.tolist()
    assert dataset.records["train"][0].made is not None


def test_the_report_counts_what_was_kept_by_reason_and_kind(mixed, made):
    limits = distill.limits_of(mixed[0])
    rows = [dict(row, measures=dict.fromkeys(limits.most, 0.1)) for row in teacher.made(made)]
    told = distill.report(rows, limits)
    assert (told["asked"], told["kept"], told["dropped"]) == (12, 8, {"jumps": 4})
    assert told["kinds"]["arms"] == dict(asked=4, kept=4)
    assert told["medians"] == dict.fromkeys(limits.most, 0.1)
    assert "8 of 12 motions kept (67%), of 2 of 3 sentences" in distill.in_words(told)


@pytest.mark.slow
def test_a_student_learns_from_them_and_samples_in_two_steps(mixed, generator, base, tmp_path):
    """From the sentences to a student that needs neither guidance nor many steps."""
    experiment = experiment_of(
        finetune,
        init_from=str(base),
        finetune=dict(lora_rank=0),
        model=dict(reference_dim=0, num_layers=1, averages=True),
        objective=dict(guidance=2.0, average=0.5),
        sampler=dict(steps=2, guidance_scale=1.0),
        data=dict(
            path=str(mixed[1].folder),
            batch_size=8,
            buckets=(60,),
            weights={"teacher": 0.5, "made up": 0.5},
        ),
        train=dict(workdir=str(tmp_path / "run"), steps=2, preview_every=9),
    )
    assert train(experiment).step == 2
    student = Generator.from_checkpoint(tmp_path / "run")
    assert student.package.sampler.steps == 2 and not student.package.sampler.guided
    (motion,) = student(["a person walks."], seconds=2)
    assert np.isfinite(motion.joints()).all()
    before = generator.package.params["blocks"]["ffn"]["up"]["kernel"]
    after = student.package.params["blocks"]["ffn"]["up"]["kernel"]
    assert after.shape[0] == 1 and not np.array_equal(after[0], before[0])


@pytest.fixture(scope="module")
def with_paths(generator, asked, tmp_path_factory):
    """A dataset of the teacher's motions with the points of their paths, beside real takes."""
    folder = tmp_path_factory.mktemp("paths")
    real, _ = made_up_dataset(folder / "real")
    teacher.make(generator, asked[:4], folder / "made", no_jumps, {}, legs=2)
    statistics = generator.package.statistics
    distill.mix(real, folder / "made", folder / "dataset", "ab", "CC0", statistics)
    return Dataset.open(folder / "dataset")


def test_a_path_leads_from_the_noise_to_the_motion(with_paths, generator, asked):
    assert with_paths.path_points == 3
    np.testing.assert_array_equal(with_paths.statistics.mean, generator.package.statistics.mean)
    record = with_paths.records["train"][0]
    np.testing.assert_allclose(record.path.times, generator.package.sampler.grid, rtol=1e-6)
    (encoded,) = generator.encode([asked[0].request])
    (sampled, points), *_ = generator.model.paths([encoded], 2)
    np.testing.assert_allclose(record.path.points, points, atol=4e-3)  # of float16
    np.testing.assert_allclose(sampled, generator.model.channels([encoded])[0], atol=1e-5)
    assert 0.9 < points[0].std() < 1.1  # noise
    unsmoothed = dataclasses.replace(generator.package.sampler, smoothing=0.0)
    plain = dataclasses.replace(generator.model, sampler=unsmoothed)
    np.testing.assert_allclose(points[-1], plain.channels([encoded])[0], atol=1e-5)


def student_of(base, dataset, folder, **changes):
    sections = dict(
        init_from=str(base),
        finetune=dict(lora_rank=0),
        model=dict(reference_dim=0, num_layers=1, averages=True),
        objective=dict(path=1.0),
        sampler=dict(steps=2, guidance_scale=1.0),
        data=dict(path=str(dataset.folder), batch_size=8, buckets=(60,), null_text_probability=0.0),
        train=dict(workdir=str(folder), steps=2, preview_every=9),
    )
    return experiment_of(finetune, **(sections | changes))


def test_a_student_learns_its_teachers_path(base, with_paths, tmp_path):
    weights = {"teacher": 0.75, "made up": 0.25}
    experiment = student_of(base, with_paths, tmp_path / "run")
    data = dataclasses.replace(experiment.data, weights=weights)
    assert train(dataclasses.replace(experiment, data=data)).step == 2
    student = Generator.from_checkpoint(tmp_path / "run")
    assert student.package.objective.path == 1.0
    (motion,) = student(["a person walks."], seconds=2)
    assert np.isfinite(motion.joints()).all()


def test_paths_that_are_not_there_or_in_other_units_are_refused(base, mixed, with_paths, tmp_path):
    with pytest.raises(BadInput, match="dataset was distilled without legs: it has no paths"):
        train(student_of(base, mixed[1], tmp_path / "run"))
    other = tiny_package()
    mean = other.statistics.mean + 1
    other = dataclasses.replace(other, statistics=dataclasses.replace(other.statistics, mean=mean))
    save_package(tmp_path / "other", other)
    with pytest.raises(BadInput, match="are normalised as its teacher is, but the weights of"):
        train(student_of(tmp_path / "other", with_paths, tmp_path / "run"))
    with pytest.raises(BadInput, match="objective.path is of a model with model.averages"):
        student_of(base, with_paths, tmp_path / "run", model=dict(reference_dim=0, num_layers=1))
