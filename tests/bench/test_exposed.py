"""Exposed communication, from made-up profiles as TPUs and GPUs write them, and from a CPU's."""

import gzip
import json

import pytest

from vimogen_jax.bench.exposed import Communication, read_communication
from vimogen_jax.errors import BadInput


def profile(folder, events, run="2026_01_01"):
    target = folder / "plugins" / "profile" / run
    target.mkdir(parents=True)
    data = json.dumps(dict(traceEvents=events)).encode()
    (target / "host.trace.json.gz").write_bytes(gzip.compress(data))


def line(pid, device, tid, name):
    return [
        dict(ph="M", pid=pid, name="process_name", args=dict(name=device)),
        dict(ph="M", pid=pid, tid=tid, name="thread_name", args=dict(name=name)),
    ]


def event(pid, tid, name, start, end, **args):
    return dict(ph="X", pid=pid, tid=tid, name=name, ts=start, dur=end - start, args=args)


def test_what_no_computation_hides_is_exposed(tmp_path):
    tpu = [
        *line(3, "/device:TPU:0", 1, "XLA Ops"),
        *line(3, "/device:TPU:0", 2, "Async XLA Ops"),
        *line(3, "/device:TPU:0", 9, "XLA Modules"),
        event(3, 9, "jit_train_step", 0, 1000),  # not a line of operations
        event(3, 1, "fusion.1", 0, 400),
        event(3, 2, "all-gather-start.2", 300, 600),  # 200 of it beside nothing
        event(3, 1, "fusion.3", 600, 700),
        event(3, 1, "fusion.4", 700, 800, hlo_category="all-reduce-scatter fusion"),
        event(3, 1, "all-reduce.5", 750, 900),  # 50 of it counted already
    ]
    profile(tmp_path, tpu)
    assert read_communication(str(tmp_path), 1) == Communication(
        pytest.approx(500e-6), pytest.approx(400e-6)
    )


def test_of_several_devices_and_calls_it_is_the_mean(tmp_path):
    gpus = [
        *line(1, "/device:GPU:0", 7, "Stream #13(Compute)"),
        *line(1, "/device:GPU:0", 8, "Stream #20(Compute)"),
        *line(2, "/device:GPU:1", 7, "Stream #13(Compute)"),
        *line(5, "/host:CPU", 7, "python"),
        event(5, 7, "all-reduce", 0, 9000),
        event(1, 7, "gemm_fusion_dot_3", 0, 100),
        event(1, 8, "ncclDevKernel_ReduceScatter_Sum_bf16_RING_LL", 50, 250),
        event(2, 7, "gemm_fusion_dot_3", 0, 300),
    ]
    profile(tmp_path, [], run="2025_01_01")  # an older one
    profile(tmp_path, gpus)
    found = read_communication(str(tmp_path), calls=2)
    assert found == Communication(pytest.approx(50e-6), pytest.approx(37.5e-6))


def test_a_profile_without_devices_tells_nothing_and_none_is_refused(tmp_path):
    with pytest.raises(BadInput, match="has no profile"):
        read_communication(str(tmp_path), 1)
    profile(tmp_path, [*line(5, "/host:CPU", 7, "python"), event(5, 7, "all-reduce", 0, 9)])
    assert read_communication(str(tmp_path), 1) is None
