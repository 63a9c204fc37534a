"""Votes: who wins by people and by values, and Spearman's correlation of the two."""

import numpy as np
import pytest

from eval.mbench.votes import Vote, agreement, read_votes, spearman
from vimogen_jax.errors import BadInput

REPORT = {
    "dimensions": [
        {"name": "jitter_degree", "higher_is_better": False},
        {"name": "dynamic_degree", "higher_is_better": True},
    ],
    "systems": {
        name: {
            "scores": {
                dimension: {"values": {"0": value, "1": value}}
                for dimension in ("jitter_degree", "dynamic_degree")
            }
        }
        for name, value in (("calm", 0.1), ("plain", 0.2), ("wild", 0.3))
    },
}
HEAD = "dimension,prompt,first,second,preferred\n"


def write(path, *rows):
    path.write_text(HEAD + "".join(f"{row}\n" for row in rows))
    return path


def read(path):
    return read_votes(path, ("jitter_degree", "dynamic_degree"), REPORT["systems"])


def test_people_who_see_what_the_values_see(tmp_path):
    rows = ["0,calm,plain,calm", "1,plain,wild,plain", "0,wild,calm,calm", "1,calm,wild,tie"]
    votes = read(
        write(
            tmp_path / "votes.csv",
            *(f"jitter_degree,{row}" for row in rows),
            *(f"dynamic_degree,{row}" for row in rows),
            "jitter_degree,9,calm,wild,calm",
        )
    )
    found = agreement(REPORT, votes)
    assert found["jitter_degree"]["preferred"] == pytest.approx(
        {"calm": 2.5 / 3, "plain": 0.5, "wild": 0.5 / 3}
    )
    assert found["jitter_degree"]["better"] == pytest.approx({"calm": 1, "plain": 0.5, "wild": 0})
    assert found["jitter_degree"]["spearman"] == pytest.approx(1)
    assert (found["jitter_degree"]["votes"], found["jitter_degree"]["left_out"]) == (4, 1)
    assert found["dynamic_degree"]["spearman"] == pytest.approx(-1)


@pytest.mark.parametrize(
    ("separator", "encoding"),
    [(",", "utf-8-sig"), (";", "utf-8-sig"), ("\t", "utf-16"), (",", "utf-16")],
)
@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r"])
def test_votes_are_read_as_spreadsheets_save_them(separator, encoding, line_end, tmp_path):
    text = HEAD + "jitter_degree,0,calm,plain,calm\n"
    text = text.replace(",", separator).replace("\n", line_end)
    (tmp_path / "votes.csv").write_bytes(text.encode(encoding))
    assert read(tmp_path / "votes.csv") == [Vote("jitter_degree", "0", "calm", "plain", "calm")]


def test_two_systems_are_too_few(tmp_path):
    votes = read(write(tmp_path / "votes.csv", "jitter_degree,0,calm,plain,calm"))
    assert agreement(REPORT, votes)["jitter_degree"]["spearman"] is None


def test_spearman_of_known_ranks():
    # By hand: d = (0, 1, -1, 0), so 1 - 6 * 2 / (4 * 15).
    assert spearman(np.array([1, 2, 3, 4]), np.array([1, 3, 2, 9])) == pytest.approx(0.8)
    # Ranks 0, 1.5, 1.5, 3 and 0 to 3.
    assert spearman(np.array([1, 2, 2, 3]), np.array([1, 2, 3, 4])) == pytest.approx(0.9**0.5)
    assert spearman(np.array([1, 1, 1]), np.array([1, 2, 3])) is None


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("jitter_degree,0,calm,plain,", "line 2 has no preferred"),
        ("jitter_degree,0,calm,plain,wild", "neither of the two"),
        ("beauty,0,calm,plain,calm", "line 2: 'beauty' is no dimension"),
        ("jitter_degree,0,calm,MDM,calm", "line 2: 'MDM' is no system"),
    ],
)
def test_bad_votes(row, fault, tmp_path):
    with pytest.raises(BadInput, match=fault):
        read(write(tmp_path / "votes.csv", row))


def test_files_that_hold_no_votes(tmp_path):
    with pytest.raises(BadInput, match="holds no votes"):
        read(write(tmp_path / "votes.csv"))
    with pytest.raises(BadInput, match=r"nowhere\.csv is missing"):
        read(tmp_path / "nowhere.csv")
