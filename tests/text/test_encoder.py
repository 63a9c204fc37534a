"""The identity of encoders: loading by name or recorded spec, refusing any other."""

import dataclasses

import pytest

from vimogen_jax.errors import BadInput
from vimogen_jax.text.encoder import load_text_encoder
from vimogen_jax.text.spec import EncoderSpec, require_same_encoder


def test_spec_survives_json_dict():
    spec = EncoderSpec("minilm", 384, "abc")
    assert EncoderSpec(**dataclasses.asdict(spec)) == spec


@pytest.mark.parametrize("change", [{"name": "other"}, {"width": 64}, {"revision": "2"}])
def test_mismatch_names_both_sides(change):
    a = EncoderSpec("minilm", 384, "1")
    b = dataclasses.replace(a, **change)
    require_same_encoder(a, "the dataset d", a, "the checkpoint c")
    with pytest.raises(BadInput) as fault:
        require_same_encoder(a, "the dataset d", b, "the checkpoint c")
    for part in ("the dataset d", "the checkpoint c", str(a), str(b)):
        assert part in str(fault.value)


def test_unknown_encoder_is_refused():
    with pytest.raises(BadInput, match="unknown text encoder 'mini'"):
        load_text_encoder("mini")


def test_loads_once_and_only_what_the_spec_describes():
    encoder = load_text_encoder("minilm")
    spec = EncoderSpec.of(encoder)
    assert load_text_encoder(spec) is encoder
    with pytest.raises(BadInput, match="revision 0000"):
        load_text_encoder(dataclasses.replace(spec, revision="0000"))
