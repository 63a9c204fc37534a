"""The studio over HTTP: who gets in, what is made, what is refused, and what stays apart."""

import io
import threading
import time
import zipfile

import httpx2
import pytest

from tests.helpers.studio_server import served, tiny_workshop
from vimogen_jax.directing.constraints import from_json
from vimogen_jax.studio import hints, queue
from vimogen_jax.studio.work import Settings

TURNED = dict(kind="facing", time=1.9, degrees=20)
WAVE = dict(sentences=["a person waves"], seconds=2, steps=1, guidance_scale=1)


@pytest.fixture(scope="module")
def workshop():
    with tiny_workshop() as found:
        yield found


@pytest.fixture(scope="module")
def address(workshop, tmp_path_factory):
    with served(workshop, tmp_path_factory.mktemp("films")) as found:
        yield found


@pytest.fixture
def person(address):
    with httpx2.Client(base_url=address) as client:
        assert client.get("/").status_code == 200
        yield client


def done(client, count):
    """The visitor's state once so many motions are there and nothing is under way."""
    for _ in range(1200):
        state = client.get("/state").json()
        if not any(job["state"] in ("waiting", "running") for job in state["jobs"]):
            assert len(state["motions"]) == count, state
            return state
        time.sleep(0.05)
    raise AssertionError("never done")


def test_a_sentence_becomes_motions_and_files(person):
    assert person.post("/jobs", json=WAVE | dict(samples=2)).status_code == 202
    first, second = done(person, 2)["motions"]
    told = person.get(f"/motions/{second}").json()
    assert told["title"] == "a person waves" and "draw 1, 1 steps, guidance 1" in told["facts"]
    assert told["command"] == (
        "vimogen sample 'a person waves' --seconds 2 "
        "--checkpoint small --samples 2 --seed 0 --steps 1 --guidance_scale 1"
    )
    assert {"rotations", "pelvis", "path", "fps"} <= set(told["scene"])
    npz = person.get(f"/motions/{first}/npz")
    assert "a-person-waves.npz" in npz.headers["content-disposition"]
    assert "poses.npy" in zipfile.ZipFile(io.BytesIO(npz.content)).namelist()
    assert person.get(f"/motions/{first}/bvh").text.startswith("HIERARCHY")
    assert person.post("/jobs", json=WAVE | dict(reference=first)).status_code == 202
    refined = done(person, 3)["motions"][-1]
    assert person.get(f"/motions/{refined}").json()["title"] == "a person waves, refined"
    assert person.delete(f"/motions/{refined}").status_code == 204
    assert done(person, 2)


def test_sentences_in_a_row_become_one_motion(person):
    row = dict(sentences=["a person waves", "it's over"], in_a_row=True)
    asked = WAVE | row | dict(lengths=[2, 3])
    assert person.post("/jobs", json=asked).status_code == 202
    (name,) = done(person, 1)["motions"]
    told = person.get(f"/motions/{name}").json()
    assert told["title"] == "a person waves; then it's over" and "5.0 s" in told["facts"]
    said = "--seconds 2 --then 'it'\"'\"'s over' --then_seconds 3 --checkpoint"
    assert f"sample 'a person waves' {said}" in told["command"]
    person.delete(f"/motions/{name}")
    facing = dict(constraints=[TURNED | dict(time=3)])
    assert person.post("/jobs", json=WAVE | row | facing).status_code == 202
    (name,) = done(person, 1)["motions"]
    told = person.get(f"/motions/{name}").json()
    assert "4.0 s" in told["facts"]  # as long as seconds says
    assert "--then_seconds 2 --constraints wanted.json" in told["command"]


def test_text_reference_and_gate_stand_side_by_side(person, workshop, monkeypatch):
    person.post("/jobs", json=WAVE)
    (given,) = done(person, 1)["motions"]
    for likely, follows in ((0.9, "reference"), (0.1, "text")):
        monkeypatch.setattr(workshop, "likelihood", lambda motion, sentence, p=likely: p)
        asked = WAVE | dict(reference=given, sentence="a person bows")
        assert person.post("/jobs", json=asked).status_code == 202
        names = done(person, 4)["motions"][1:]
        told = [person.get(f"/motions/{name}").json() for name in names]
        assert [each["title"] for each in told] == 3 * ["a person bows"]
        made = dict(zip(("text", "reference", "gated"), told, strict=True))
        assert all(each["facts"].startswith(kind) for kind, each in made.items())
        same = [kind for kind, each in made.items() if each["scene"] == made["gated"]["scene"]]
        assert same == [*{follows}, "gated"]
        assert "sample 'a person bows' --seconds 2 --checkpoint" in made["text"]["command"]
        assert "sample --reference motion.npz --checkpoint" in made["reference"]["command"]
        assert "sample --priors out/priors --checkpoint small --seed 0" in made["gated"]["command"]
        for name in names:
            person.delete(f"/motions/{name}")


def test_several_steps_are_compared(person):
    assert person.post("/jobs", json=WAVE | dict(steps=[1, 2])).status_code == 202
    told = [person.get(f"/motions/{name}").json() for name in done(person, 2)["motions"]]
    assert ["1 steps" in told[0]["facts"], "2 steps" in told[1]["facts"]] == [True, True]
    assert "--steps 2" in told[1]["command"] and "--steps 2" not in told[0]["command"]


def test_every_combination_of_models_and_samplers_is_made():
    asked = dict(models=["teacher", "student"], steps=[8, 4, 8], guidance_scale=[2.3, None], seed=7)
    found = Settings.each(asked, ["teacher", "student"])
    assert [(each.model, each.steps, each.guidance_scale) for each in found] == [
        (model, steps, scale)
        for model in ("teacher", "student")
        for steps in (8, 4)
        for scale in (2.5, None)
    ]
    assert {each.seed for each in found} == {7}
    assert Settings.each({}, ["teacher", "student"]) == [Settings("teacher")]


def test_a_pose_of_a_motion_is_met_by_another(person):
    person.post("/jobs", json=WAVE)
    (name,) = done(person, 1)["motions"]
    assert person.get(f"/motions/{name}/json").status_code == 404
    pose = person.get(f"/motions/{name}/pose", params=dict(at=1, time=0.5)).json()
    assert (pose["kind"], pose["time"], len(pose["rotations"])) == ("pose", 0.5, 22)
    refused = person.get(f"/motions/{name}/pose", params=dict(at="nan", time=1))
    assert refused.status_code == 400
    path = dict(kind="path", points=[[0, 0], [0, 0.5]], times=[0, 1.9])
    constraints = [pose, path]
    assert person.post("/jobs", json=WAVE | dict(constraints=constraints)).status_code == 202
    directed = done(person, 2)["motions"][1]
    told = person.get(f"/motions/{directed}").json()
    assert told["scene"]["marks"] == dict(paths=[[[0, 0], [0, 0.5]]], places=[])
    assert "--constraints wanted.json" in told["command"]
    given = person.get(f"/motions/{directed}/json").json()
    assert from_json(given, "it") == from_json(dict(constraints=constraints), "it")
    met = person.get(f"/motions/{directed}/pose", params=dict(at=0.5, time=0.5)).json()
    assert met["rotations"]["left_knee"] == pytest.approx(pose["rotations"]["left_knee"], abs=0.02)


def test_people_do_not_see_each_other(person, address):
    person.post("/jobs", json=WAVE)
    (name,) = done(person, 1)["motions"]
    with httpx2.Client(base_url=address) as other:
        assert other.get("/state").status_code == 403  # has not opened the page
        other.get("/")
        assert done(other, 0)
        for path in (f"/motions/{name}", f"/motions/{name}/glb", f"/motions/{name}/film"):
            assert other.get(path).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/..%2f..%2fetc/passwd", "/motions/..%2f..%2fetc%2fpasswd", "/motions/x/../../etc/passwd"],
)
def test_no_path_reaches_a_file(person, path):
    assert person.get(path).status_code == 404


def test_other_sites_are_refused(person, address):
    stranger = {"Origin": "https://evil.example"}
    assert person.post("/jobs", json=WAVE, headers=stranger).status_code == 403
    assert person.get("/state", headers={"Host": "evil.example"}).status_code == 403
    embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert person.get("/", headers=embedded).status_code == 403
    assert person.get("/state", headers={"Sec-Fetch-Site": "same-site"}).status_code == 403
    assert person.get("/state", headers={"Origin": address}).status_code == 200
    policy = person.get("/").headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy and "unsafe-inline'; img" in policy
    assert "script-src 'sha256-" in policy


@pytest.mark.parametrize(
    "asked, fault",
    [
        (dict(seconds=11), "seconds must lie in 2 to 10"),
        (dict(samples=1.5), "samples must be a whole number"),
        (dict(samples=True), "samples must lie in 1 to 16"),
        (dict(sentences=9 * ["a"], samples=2), "18 motions were asked for at once"),
        (dict(sentences="a person"), "sentences must be a list"),
        (dict(sentences=[" "]), "prompt 1 is empty"),
        (dict(models=["../secret"]), "there is no model '../secret' here"),
        (dict(steps=["many"]), "steps must lie in 1 to 100"),
        (dict(steps=[1, 2, 3], samples=6), "18 motions were asked for at once"),
        (dict(constraints=[dict(kind="hop")]), "constraint 1 is of the kind 'hop'"),
        (dict(constraints=[dict(kind="keep", file="/etc/passwd")]), "constraints that name a file"),
        (
            dict(constraints=[dict(kind="pose", time=1, file="a.npz")]),
            "constraints that name a file",
        ),
        (dict(in_a_row=True, sentences=["a", "b"], lengths=[3]), "lengths must be 2"),
        (
            dict(in_a_row=True, sentences=["a", "b"], lengths=[3, 11]),
            "the length of sentence 2 must lie in 2 to 10",
        ),
        (dict(sentences=["a" * 70000]), "more than can be asked for at once"),
    ],
)
def test_what_makes_no_sense_is_refused(person, asked, fault):
    answer = person.post("/jobs", json=WAVE | asked)
    assert answer.status_code == 400 and fault in answer.json()["fault"]


def test_a_hundred_at_once_are_queued_or_refused_in_order(person, workshop, monkeypatch):
    gate = threading.Event()
    slow = workshop._made
    monkeypatch.setattr(workshop, "_made", lambda *args: (gate.wait(30), slow(*args))[1])
    codes = [person.post("/jobs", json=WAVE).status_code for _ in range(100)]
    accepted = queue.WAITING_OF_ONE
    assert codes == accepted * [202] + (100 - accepted) * [429]
    last = person.get("/state").json()["jobs"][-1]
    assert person.delete(f"/jobs/{last['id']}").status_code == 204
    gate.set()
    done(person, accepted - 1)


def test_films_are_looked_at_by_their_name_and_read_in_turn(person):
    refused = person.post("/films", params=dict(name="../../x.txt"), content=b"x")
    assert refused.status_code == 400 and "a film ends in one of" in refused.json()["fault"]
    sent = person.post("/films", params=dict(name="../no film.mp4"), content=b"x" * 100)
    assert sent.status_code == 202
    (job,) = done(person, 0)["jobs"]
    assert job["state"] == "failed" and job["fault"].startswith("no film.mp4: ")


def test_a_sentence_far_from_all_captions_is_told(person, monkeypatch):
    found = {"fly": (0.2, ("a person walks.",)), "walk": (0.9, ("a person walks.",))}
    monkeypatch.setattr(hints, "nearest", found.__getitem__)
    assert person.get("/near", params=dict(sentence="fly")).json() == ["a person walks."]
    assert person.get("/near", params=dict(sentence="walk")).json() == []


def test_elsewhere_the_token_is_asked_for(workshop, tmp_path):
    elsewhere = {"Host": "studio.local"}
    with (
        served(workshop, tmp_path, token="secret") as address,
        httpx2.Client(base_url=address, headers=elsewhere) as client,
    ):
        assert client.get("/").status_code == 403
        assert client.get("/state?token=secret").status_code == 403
        assert client.get("/?token=wrong").status_code == 403
        assert client.get("/?token=secret").status_code == 303
        assert client.get("/").status_code == 200
        assert client.get("/state").status_code == 200
