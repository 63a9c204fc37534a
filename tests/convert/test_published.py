"""Published key names: every key used, nothing lost on the way there and back."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from vimogen_jax.convert.published import from_published, to_published
from vimogen_jax.errors import BadInput


@pytest.mark.parametrize("name", ["tm2m_micro_full_state", "tm2m_params", "t2m_params"])
def test_round_trip_is_bitwise(shared, name):
    arrays = load_file(shared / "golden" / f"{name}.safetensors")
    back = to_published(from_published(arrays))
    assert back.keys() == {key for key in arrays if not key.endswith(".pe")}
    for key, array in back.items():
        assert array.dtype == arrays[key].dtype
        assert array.tobytes() == arrays[key].tobytes(), key


def test_every_key_of_the_release_is_known(shared):
    config = json.loads((shared / "golden" / "tm2m_config.json").read_text())
    arrays = {row["key"]: np.zeros(row["shape"], np.float32) for row in config["state_dict"]}
    flat = from_published(arrays)
    assert sum(a.size for a in flat.values()) == sum(
        a.size for key, a in arrays.items() if not key.endswith(".pe")
    )


def test_the_head_changes_sign_and_linears_are_transposed():
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    flat = from_published({"motion_head.head.weight": weight, "motion_embedding.weight": weight})
    np.testing.assert_array_equal(flat["head.linear.kernel"], -weight.T)
    np.testing.assert_array_equal(flat["motion_embedding.kernel"], weight.T)


def test_unknown_and_missing_keys_are_named():
    with pytest.raises(BadInput, match=r"fusion\.weight"):
        from_published({"fusion.weight": np.zeros((2, 2))})
    with pytest.raises(BadInput, match=r"blocks\.ffn\.up\.bias.*\[0, 2\]"):
        from_published({f"blocks.{i}.ffn.0.bias": np.zeros(2) for i in (0, 2)})
    with pytest.raises(BadInput, match="adapter"):
        to_published({"adapter": np.zeros(2)})
