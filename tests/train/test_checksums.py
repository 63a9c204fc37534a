"""A bit that flips on one device is found, and its host named; what is the same is let be."""

import socket

import jax
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from vimogen_jax.errors import Interrupted
from vimogen_jax.train.checksums import Replicas, _in_minority


def flipped(array, device, byte=0):
    """The array, with a bit flipped in the copy that one device holds."""
    parts = []
    for shard in array.addressable_shards:
        data = np.array(shard.data)
        if shard.device.id == device:
            data.view(np.uint8).reshape(-1)[byte] ^= 4
        parts.append(jax.device_put(data, shard.device))
    return jax.make_array_from_single_device_arrays(array.shape, array.sharding, parts)


MESH = jax.make_mesh((4, 2), ("data", "fsdp"))


@pytest.fixture
def laid_out():
    """A state cut over one axis, with four copies, or whole on all devices; and who compares it."""
    layouts = dict(
        cut=NamedSharding(MESH, PartitionSpec("fsdp")),
        whole=NamedSharding(MESH, PartitionSpec()),
        half=NamedSharding(MESH, PartitionSpec(None, "fsdp")),
        everywhere=NamedSharding(MESH, PartitionSpec(("data", "fsdp"))),
    )
    values = dict.fromkeys(layouts, np.arange(64, dtype=np.float32).reshape(8, 8))
    values["half"] = values["half"].astype(ml_dtypes.bfloat16)
    return jax.tree.map(jax.device_put, values, layouts), Replicas(layouts)


def test_what_is_the_same_is_let_be(laid_out):
    state, replicas = laid_out
    replicas.require_same(replicas.sums(state), 3)


@pytest.mark.parametrize(("part", "device"), [("cut", 5), ("whole", 0), ("half", 7)])
def test_a_flipped_bit_is_found_and_its_host_named(laid_out, part, device):
    state, replicas = laid_out
    state[part] = flipped(state[part], device)
    message = f"after step 3 .* on: device {device} of process 0 .host {socket.gethostname()}.;"
    with pytest.raises(Interrupted, match=message):
        replicas.require_same(replicas.sums(state), 3)


def test_where_nothing_is_held_twice_nothing_is_compared():
    replicas = Replicas(dict(all=NamedSharding(MESH, PartitionSpec(("data", "fsdp")))))
    assert replicas.sums(dict(all=np.zeros(8))) is None
    replicas.require_same(None, 3)


def test_where_two_copies_differ_both_are_named():
    values = np.array([[7, 7], [7, 8]])  # cut over the first axis, copied over the second
    np.testing.assert_array_equal(_in_minority(values, (1,)), [[False, False], [True, True]])
    np.testing.assert_array_equal(_in_minority(values.T, (0,)), [[False, True], [False, True]])
    most = np.array([3, 3, 4, 3])
    np.testing.assert_array_equal(_in_minority(most, (0,)), most == 4)
