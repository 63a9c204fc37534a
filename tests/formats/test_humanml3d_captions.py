"""HumanML3D's captions, with their tokens and times."""

import pytest

from vimogen_jax.errors import BadInput
from vimogen_jax.formats.humanml3d_captions import Caption, parse_captions


def test_captions_with_their_tokens_and_times():
    content = (
        "a man kicks.#a/DET man/NOUN kick/VERB#0.0#0.0\n\n"
        " he turns. #he/PRON  turn/VERB#1.5#4.0\nnobody.##nan#nan\n"
    )
    assert parse_captions(content, "1.txt") == [
        Caption("a man kicks.", ("a/DET", "man/NOUN", "kick/VERB")),
        Caption("he turns.", ("he/PRON", "turn/VERB"), 1.5, 4.0),
        Caption("nobody."),
    ]


@pytest.mark.parametrize(
    "line",
    ["a man.", "a#b/X#0.0", "a#b/X#0.0#now", "a#b#inf#0.0", "a#b#0.0#-1", "a#b#c#0.0#0.0", "a#b##"],
)
def test_a_caption_of_another_form_is_named(line):
    with pytest.raises(BadInput, match=r"^1\.txt, line 3: not of the form caption#tokens#start"):
        parse_captions(f"a man.#a/DET#0.0#0.0\n\n{line}\n", "1.txt")
