"""A priors folder: what is paid for once, failures, damage, several processes, and the gate."""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from data.adapters.vlm.judge import Judge, RetryPolicy
from data.priors.prompts import Prompt, read_prompts
from data.priors.quality import measure
from data.priors.report import cards, summary, to_markdown
from data.priors.run import run
from data.priors.stages import QualityStage, ReferenceStage, TextsStage, VerdictStage, VideoStage
from data.priors.store import Entry, StageOutput, Store
from data.priors.texts import Template, video_text
from data.priors.verdicts import Case, Matched, Published, Viewer
from tests.helpers.disks import small_disk
from tests.helpers.repository import ROOT
from tests.helpers.videos import write_video
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.errors import BadInput
from vimogen_jax.matcher import Calibration
from vimogen_jax.mocap.film import open_film
from vimogen_jax.motion.motion import Motion

WAVE, WALK, BOW = (
    Prompt(str(i), text)
    for i, text in enumerate(["a person waves.", "a person walks.", "a person bows."])
)


def swinging(frames, trembling=0.0):
    """A body that swings its joints, standing, and trembles by so many metres."""
    time = np.arange(frames)[:, None, None] / 20
    rotations = axis_angle_to_matrix(
        0.2 * np.sin(2 * np.pi * time + np.arange(22)[:, None]) + [0] * 3
    )
    rotations[:, 0] = axis_angle_to_matrix(np.array([np.pi / 2, 0, 0]))
    transl = np.random.default_rng(0).normal(0, trembling, (frames, 3)) + [0, 0, 1.2]
    return Motion(rotations, transl, 20.0)


class Films:
    """A `TextToVideo` of greys, which fails at some sentences."""

    at_once = 2
    note = "made up"
    licence = "CC0"

    def __init__(self, fails=(), version=1):
        self.settings = dict(name="greys", version=version)
        self.fails, self.asked = fails, Counter()

    def given(self, scene):
        return ""

    def __call__(self, scenes, folders):
        self.asked.update(scene.motion for scene in scenes)
        return [
            BadInput("the camera broke")
            if scene.motion in self.fails
            else write_video(folder / "film.mp4", scene.seed % 100)
            for scene, folder in zip(scenes, folders, strict=True)
        ]


class Reads:
    """A `VideoToMotion` whose motions are made up."""

    def __init__(self, motion, **facts):
        self.settings = dict(name="reads")
        self.motion, self.facts, self.asked = motion, dict(start=0.0) | facts, 0

    def given(self, name):
        return ""

    def __call__(self, name, film, folder):
        from data.adapters.mocap.model import Captured

        assert film and film.is_file() and not any(folder.iterdir())
        self.asked += 1
        return Captured(self.motion, self.facts)


class Waves:
    """A matcher that knows waves alone."""

    name = "waves"

    def __init__(self, offset=0.0):
        self.offset = offset

    def calibration(self, readings):
        return Calibration(1.0, self.offset if readings else 9.0)

    def probability(self, motions, sentences, readings):
        assert len(motions) == len(sentences) and readings
        return np.array([0.9 if "wave" in sentence else 0.2 for sentence in sentences])


@pytest.fixture(scope="module")
def motion():
    return swinging(50)


def stages(films, reads, judge=None):
    return [
        TextsStage(Template()),
        VideoStage(films),
        ReferenceStage(reads, True),
        QualityStage(),
        VerdictStage(judge or Matched(Waves())),
    ]


def test_from_sentences_to_requests(motion, tmp_path):
    films, reads = Films(fails=[BOW.text]), Reads(motion, found=1.0, people=1, confidence=0.9)
    entries = Store(tmp_path).add([WAVE, WALK, BOW])
    assert run(entries, stages(films, reads)) == []
    store = Store.open(tmp_path)
    assert store.verdicts() == {"yes": 1, "no": 1, "not judged": 1}
    waves, walks, bows = store.requests()
    assert waves.text is None and waves.reference and waves.reference.num_frames == 50
    assert (walks.text, bows.text) == (WALK.text, BOW.text)
    assert [each.draw for each in (waves, walks, bows)] == [0, 1, 2]
    assert all(each.reference is None for each in store.requests("text"))
    given = store.requests("reference")
    assert [each.reference is None for each in given] == [False, False, True]
    (found, faults) = store.entries()
    assert faults == [] and found[2].verdict == ("not judged", "video: the camera broke")
    report = summary(found, ["one more"])
    assert report["stages"]["video"]["reasons"] == {"the camera broke": 1}
    assert report["notes"] == ["made up"] and report["stages"]["reference"]["made"] == 2
    assert "1 × the camera broke" in to_markdown(report) and "one more" in to_markdown(report)
    (card,) = cards(found[0], tmp_path)
    (film,) = (tmp_path / WAVE.id).glob("*.mp4")
    assert card.filmed and card.filmed.file == f"{WAVE.id}/{film.name}"
    assert "verdict: yes, 90% likely by waves" in card.facts and "made up" in card.facts
    assert cards(found[2], tmp_path) == []
    assert not list(tmp_path.rglob(".work"))


def test_nothing_is_paid_for_twice_and_failures_when_asked(motion, tmp_path):
    films, reads = Films(fails=[BOW.text]), Reads(motion)
    for _ in range(2):
        run(Store(tmp_path).add([WAVE, BOW]), stages(films, reads))
    assert films.asked == {WAVE.text: 1, BOW.text: 1} and reads.asked == 1
    films.fails = ()
    run(Store(tmp_path).add([WAVE, BOW]), stages(films, reads), retry=True)
    assert films.asked == {WAVE.text: 1, BOW.text: 2} and reads.asked == 2
    # Another version is other films, and back again they are there still.
    run(Store(tmp_path).add([WAVE, BOW]), stages(Films(version=2), reads))
    assert reads.asked == 2, "the films are the same, so are their motions"
    run(Store(tmp_path).add([WAVE, BOW]), stages(films, reads))
    assert films.asked[WAVE.text] == 1
    assert Store.open(tmp_path).verdicts() == {"yes": 1, "no": 1}


def test_a_matcher_that_is_calibrated_anew_judges_anew(motion, tmp_path):
    films, reads = Films(), Reads(motion)
    for offset in (0.0, 1.0, 0.0):
        judge = Matched(Waves(offset))
        (entry,) = Store(tmp_path).add([WAVE])
        run([entry], stages(films, reads, judge))
    assert len([*entry.folder.glob("verdict-*.json")]) == 2 and reads.asked == 1


def test_a_run_that_is_killed_goes_on(motion, tmp_path):
    class Killed(Reads):
        def __call__(self, name, film, folder):
            if self.asked == 1:
                (folder / "half").write_bytes(b"half")
                raise KeyboardInterrupt
            return super().__call__(name, film, folder)

    films = Films()
    with pytest.raises(KeyboardInterrupt):
        run(Store(tmp_path).add([WAVE, WALK, BOW]), stages(films, Killed(motion)))
    reads = Reads(motion)
    run(Store(tmp_path).add([WAVE, WALK, BOW]), stages(films, reads))
    assert set(films.asked.values()) == {1} and reads.asked == 2
    assert sum(Store.open(tmp_path).verdicts().values()) == 3


def test_several_work_on_one_folder(motion, tmp_path):
    films, reads = Films(), Reads(motion)
    prompts = [Prompt(str(i), f"a person walks {i} steps.") for i in range(8)]
    work = lambda: run(Store(tmp_path).add(prompts), stages(films, reads))
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(films.asked.values()) == {1} and reads.asked == 8
    assert Store.open(tmp_path).verdicts() == {"no": 8}


def test_who_was_killed_holds_nothing(motion, tmp_path):
    (entry,) = Store(tmp_path).add([WAVE])
    code = (
        "import sys, time; from vimogen_jax.files import locked\n"
        f"with locked({str(entry.folder)!r}): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdout.readline() == "held\n"
    with entry.claimed(wait=False) as mine:
        assert not mine
    process.kill()
    process.communicate()
    run([entry], stages(Films(), Reads(motion)))
    assert entry.verdict[0] == "yes"


@pytest.mark.parametrize("what", ["film", "entry", "prompt"])
def test_damage_is_told_and_made_anew(what, motion, tmp_path):
    films, reads = Films(), Reads(motion)
    run(Store(tmp_path).add([WAVE]), stages(films, reads))
    folder = tmp_path / WAVE.id
    (video,) = folder.glob("video-*.json")
    damaged = {
        "film": video.with_suffix(".mp4"),
        "entry": video,
        "prompt": folder / "prompt.json",
    }[what]
    damaged.write_bytes(damaged.read_bytes()[:40])
    store = Store.open(tmp_path)
    if what == "prompt":
        entries, (fault,) = store.entries()
        assert entries == [] and "prompt.json" in fault
    else:
        assert store.verdicts() == {"not judged": 1} and store.requests()[0].text == WAVE.text
    told = run(store.add([WAVE]), stages(films, reads))
    assert len(told) == (what != "prompt") and films.asked[WAVE.text] == 1 + (what != "prompt")
    assert store.verdicts() == {"yes": 1} and reads.asked == 1


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("verdict", dict(facts={})),
        ("quality", dict(facts=[])),
        ("quality", dict(facts=dict(faults=5))),
        ("reference", dict(facts=dict(found="all"))),
        ("reference", dict(facts=dict(start=None))),
        ("texts", dict(facts=dict(motion="a person waves."))),
        ("video", dict(facts=dict(licence="CC0"))),
        ("video", dict(file="../film.mp4")),
        ("reference", dict(file="a\0b")),
        ("reference", dict(file="x" * 5000)),
    ],
)
def test_a_result_that_lacks_what_others_rely_on_is_damaged(stage, said, motion, tmp_path):
    (entry,) = Store(tmp_path).add([WAVE])
    run([entry], stages(Films(), Reads(motion)))
    (path,) = entry.folder.glob(f"{stage}-*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | said))
    with pytest.raises(BadInput, match=f"{path.name} is damaged"):
        entry.result(stage)
    assert entry.verdict[0] == "not judged"
    said = dict(prompt=vars(WAVE), stages=dict(texts="../" * 500))
    (entry.folder / "prompt.json").write_text(json.dumps(said))
    with pytest.raises(BadInput, match="prompt.json is damaged"):
        Entry.read(entry.folder)
    entry.save()
    (tmp_path / "prompts.json").write_text(json.dumps([WAVE.id, "../it", "a\0b"]))
    assert len(Store.open(tmp_path).entries()[1]) == 2


def test_no_disk_left_ends_the_run(motion, tmp_path, monkeypatch):
    def full(self, *args, **kwargs):
        raise BadInput("film.mp4 cannot be written: the disk is full")

    entries = Store(tmp_path).add([WAVE])
    monkeypatch.setattr(Entry, "keep", full)
    with pytest.raises(BadInput, match="the disk is full"):
        run(entries, stages(Films(), Reads(motion)))
    assert not list(tmp_path.rglob("*.mp4"))


def test_quality_says_what_is_wrong(motion):
    good = measure(motion, dict(found=1.0, people=1, confidence=0.9))
    assert good.faults == () and good.jitter is not None and 0 < good.jitter < 0.04
    assert measure(motion[:20], {}).faults == ("lasts 1.0 s, of which a reference has 2 to 10",)
    (lost,) = measure(motion, dict(found=0.5)).faults
    assert "lost in 50% of the frames" in lost
    (unsure,) = measure(motion, dict(confidence=0.2)).faults
    assert "confidence of 0.20" in unsure
    wild = swinging(50, trembling=0.05)
    faults = measure(wild, {}).faults
    assert len(faults) == 1 and "not below 0.04" in faults[0]


def test_what_is_not_good_enough_is_not_judged_by_anybody(tmp_path):
    class Nobody:
        settings, at_once = dict(name="nobody"), 4

        def __call__(self, cases, folders):
            raise AssertionError("asked")

    reads = Reads(swinging(50, trembling=0.05))
    run(Store(tmp_path).add([WAVE]), stages(Films(), reads, Nobody()))
    (entry,), _ = Store.open(tmp_path).entries()
    assert entry.verdict[0] == "no" and "not below 0.04" in entry.verdict[1]


def test_published_verdicts_are_repeated(motion):
    cases = [Case(Prompt("1", "a", verdict=verdict), motion, None) for verdict in (True, None)]
    yes, none = Published()(cases, [Path(), Path()])
    assert isinstance(yes, StageOutput) and yes.facts == dict(matches=True, words="as published")
    assert str(none) == "no verdict was published"


def test_prompts_of_a_text_are_taken_once_and_faults_told(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text(f"# two\na person waves.\n\na person waves.\n{'walk ' * 2000}\na bow.\n")
    prompts, faults = read_prompts(path, 3.0)
    assert [(each.name, each.text, each.seconds) for each in prompts] == [
        ("2", "a person waves.", 3.0),
        ("6", "a bow.", 3.0),
    ]
    assert "line 4: repeats prompt 2" in faults[0] and "10,000 characters" in faults[1]
    (tmp_path / "none.txt").write_text("# nothing\n")
    with pytest.raises(BadInput, match="holds no sentence"):
        read_prompts(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("{", "not JSON"),
        ("[]", "not an object"),
        ("{}", "is empty"),
        ('{"text": 3}', "is a int, not text"),
        ('{"text": "a", "id": "../b"}', "cannot be a file's name"),
        ('{"text": "a", "seconds": 11}', "2 to 10 seconds, not 11"),
        ('{"text": "a", "video": 1}', "texts are not all text"),
        ('{"text": "a", "verdict": 1}', "its verdict is 1"),
    ],
)
def test_rows_that_are_no_prompts(row, fault, tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text(f'{row}\n{{"text": "a person waves.", "id": "w", "motion": "waving"}}\n')
    (prompt,), (told,) = read_prompts(path)
    assert fault in told and (prompt.name, prompt.motion) == ("w", "waving")


def test_published_prompts_come_with_their_texts_and_verdicts(shared):
    prompts, faults = read_prompts(shared / "mbench/MBench_final.json")
    assert len(prompts) == 450 - len(faults) and len(faults) < 5
    assert all(prompt.motion and prompt.video for prompt in prompts)
    assert 150 < sum(bool(prompt.verdict) for prompt in prompts) <= 162


def test_texts_given_stand(tmp_path):
    given = Prompt("1", "a wave.", motion="m", video="v")
    entries = Store(tmp_path).add([given, WAVE])
    run(entries, [TextsStage(Template())])
    found = [entry.result("texts") for entry in entries]
    assert [result and result.facts for result in found] == [
        dict(motion="m", video="v"),
        dict(motion=WAVE.text, video=video_text(WAVE.text)),
    ]
    assert json.loads((tmp_path / "prompts.json").read_text()) == [given.id, WAVE.id]


class Speaks:
    """A vision-language model that says what the question's sentence makes it say."""

    name, at_once = "speaks", 4
    server = preface = ""
    timeout: float | None = 0.3

    def ask(self, question, video):
        assert video.is_file()
        if WAVE.text in question:
            return "They wave. Answer: yes"
        if WALK.text in question:
            return "What a fine floor."
        time.sleep(5)
        return "Answer: no"


def judged(tmp_path, motion, looks_at, *prompts):
    judge = Viewer(Judge(Speaks(), tmp_path / "answers", RetryPolicy(tries=1)), looks_at)
    run(Store(tmp_path).add(prompts), stages(Films(), Reads(motion), judge))
    return [entry.verdict for entry in Store.open(tmp_path).entries()[0]]


def test_a_judge_that_hangs_or_talks_nonsense_is_no_no(motion, tmp_path):
    waves, walks, bows = judged(tmp_path, motion, "video", WAVE, WALK, BOW)
    assert waves == ("yes", "They wave. Answer: yes")
    assert walks[0] == bows[0] == "not judged"
    assert "neither yes nor no: What a fine floor." in walks[1] and "0.3 s" in bows[1]


def test_what_a_judge_was_shown_of_a_reference_is_kept(motion, tmp_path):
    assert judged(tmp_path, motion[:40], "reference", WAVE)[0][0] == "yes"
    (seen,) = tmp_path.rglob("verdict-*.mp4")
    assert open_film(seen).width == 448


def test_a_full_disk_is_one_sentence_and_what_was_made_stays(motion, tmp_path):
    with small_disk(tmp_path, "64k"):
        prompts = [Prompt(str(i), f"a person walks {i} steps.") for i in range(8)]
        with pytest.raises(BadInput, match="disk is full"):
            run(Store(tmp_path).add(prompts), stages(Films(), Reads(motion)))
        entries, faults = Store.open(tmp_path).entries()
        assert faults == [] and entries[0].result("texts")
