"""BlazePose's two networks, from the public .tflite files to weights and a table of operations.

The files are those of the PyPI wheel `mediapipe` 0.10.21, the last that carries them (Apache-2.0,
Bazarevsky et al. 2020, "BlazePose: On-device Real-time Body Pose tracking"). Their weights are
float16 and stay so. `mocap.network` runs what comes out; the package `tflite`, which knows the
format's schema, is needed here alone.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from vimogen_jax.errors import BadInput

MEMBERS = {  # of the wheel
    "detector": "mediapipe/modules/pose_detection/pose_detection.tflite",
    "landmarks": "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
}
# Of each network: the SHA-256 of its file, and the outputs that are kept, by our names.
NETWORKS: dict[str, tuple[str, dict[str, str]]] = {
    "detector": (
        "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
        {"boxes": "Identity", "scores": "Identity_1"},
    ),
    "landmarks": (
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
        {
            "landmarks": "Identity",
            "presence": "Identity_1",
            "heatmaps": "Identity_3",
            "world": "Identity_4",
        },
    ),
}
_PADDING = ("SAME", "VALID")
_ACTIVATIONS = {0: "none", 1: "relu", 3: "relu6"}


def read_tflite(
    path: str | os.PathLike, network: str
) -> tuple[list[dict], dict[str, Float[np.ndarray, "..."]]]:
    """The operations of a network in order, and its weights, float16 by name.

    An operation is `op`, its `inputs` and `output` (values by number or by our names: "image" and
    the outputs kept), the numbers that it takes, and the names of its weights.

    Raises:
        BadInput: the file is not the published one, or `tflite` is not installed.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as fault:
        raise BadInput(f"{path} cannot be read: {fault.strerror}") from None
    expected, outputs = NETWORKS[network]
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise BadInput(
            f"{path} is not the published {network} network: its SHA-256 is {found[:8]}…, not "
            f"{expected[:8]}…"
        )
    try:
        import tflite  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise BadInput(
            'a .tflite is read by the package "tflite": install the extra "blazepose"'
        ) from None
    model: Any = tflite.Model.GetRootAsModel(content, 0)
    return _Reader(tflite, model, outputs).read()


class _Reader:
    """One file's graph; values are numbers of tensors until they get names."""

    def __init__(self, schema: Any, model: Any, outputs: dict[str, str]):
        self._schema, self._model, self._graph = schema, model, model.Subgraphs(0)
        self._codes = {
            number: name
            for name, number in vars(schema.BuiltinOperator).items()
            if isinstance(number, int)
        }
        by_tensor = {self._graph.Tensors(i).Name().decode(): i for i in self._numbers()}
        self._names = {by_tensor[theirs]: ours for ours, theirs in outputs.items()}
        self._names[int(self._graph.Inputs(0))] = "image"
        self._constants = {i: array for i in self._numbers() if (array := self._constant(i)).size}

    def _numbers(self) -> range:
        return range(self._graph.TensorsLength())

    def read(self) -> tuple[list[dict], dict[str, np.ndarray]]:
        operations, weights = [], {}
        for i in range(self._graph.OperatorsLength()):
            operator = self._graph.Operators(i)
            code = self._model.OperatorCodes(operator.OpcodeIndex())
            name = self._codes[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            inputs = [int(number) for number in operator.InputsAsNumpy()]
            output = int(operator.Outputs(0))
            if name in ("DEQUANTIZE", "DENSIFY"):  # of weights: we keep them as they are stored
                self._constants[output] = self._constants[inputs[0]]
                continue
            entry = dict(op=name.lower()) | self._numbers_of(name, operator, inputs)
            for kind, number in zip(("kernel", "bias"), inputs[1:], strict=False):
                if name.endswith("CONV_2D"):
                    entry[kind] = f"{len(operations):03d}.{kind}"
                    weights[entry[kind]] = self._constants[number]
            entry["inputs"] = [x for x in inputs if x not in self._constants]
            entry["output"] = output
            operations.append(entry)
        return self._live(operations, weights)

    def _live(
        self, operations: list[dict], weights: dict[str, np.ndarray]
    ) -> tuple[list[dict], dict[str, np.ndarray]]:
        """What the named outputs need, in order: the segmentation of the picture goes."""
        needed, live = set(self._names), []
        for entry in reversed(operations):
            if entry["output"] in needed:
                needed |= set(entry["inputs"])
                live.append(entry)
        named = lambda number: self._names.get(number, number)
        for entry in live:
            entry["inputs"] = [named(number) for number in entry["inputs"]]
            entry["output"] = named(entry["output"])
        live.reverse()
        used = {entry[kind] for entry in live for kind in ("kernel", "bias") if kind in entry}
        return live, {name: weights[name] for name in sorted(used)}

    def _numbers_of(self, name: str, operator: Any, inputs: list[int]) -> dict[str, Any]:
        """What an operation takes beside arrays."""

        def options(kind: str) -> Any:
            table, at = getattr(self._schema, kind)(), operator.BuiltinOptions()
            table.Init(at.Bytes, at.Pos)
            return table

        match name:
            case "CONV_2D" | "DEPTHWISE_CONV_2D":
                o = options("Conv2DOptions" if name == "CONV_2D" else "DepthwiseConv2DOptions")
                if (o.DilationHFactor(), o.DilationWFactor()) != (1, 1):
                    raise BadInput("a dilated convolution is not expected in BlazePose")
                return dict(
                    stride=o.StrideH(),
                    padding=_PADDING[o.Padding()],
                    activation=_ACTIVATIONS[o.FusedActivationFunction()],
                )
            case "MAX_POOL_2D":
                o = options("Pool2DOptions")
                return dict(size=o.FilterHeight(), stride=o.StrideH())
            case "ADD":
                return dict(
                    activation=_ACTIVATIONS[options("AddOptions").FusedActivationFunction()]
                )
            case "RESIZE_BILINEAR":
                o = options("ResizeBilinearOptions")
                if o.AlignCorners():
                    raise BadInput("resizing by corners is not expected in BlazePose")
                size = self._constants[inputs[1]].tolist()
                return dict(size=size, half_pixel=bool(o.HalfPixelCenters()))
            case "CONCATENATION":
                return dict(axis=options("ConcatenationOptions").Axis())
            case "DEPTH_TO_SPACE":
                return dict(block=options("DepthToSpaceOptions").BlockSize())
            case "PAD":
                return dict(amounts=self._constants[inputs[1]].tolist())
            case "RESHAPE":
                return dict(shape=self._constants[inputs[1]].tolist())
            case "LOGISTIC":
                return {}
        raise BadInput(f"the operation {name} is not expected in BlazePose")

    def _constant(self, number: int) -> np.ndarray:
        tensor = self._graph.Tensors(number)
        buffer = self._model.Buffers(tensor.Buffer())
        if not buffer.DataLength():
            return np.empty(0)
        dtype = {0: np.float32, 1: np.float16, 2: np.int32}[tensor.Type()]
        values = np.frombuffer(buffer.DataAsNumpy().tobytes(), dtype)
        if tensor.Sparsity() is not None:
            return self._dense(tensor, values)
        return values.reshape(tensor.ShapeAsNumpy())

    def _dense(self, tensor: Any, values: np.ndarray) -> np.ndarray:
        """A sparse tensor written out: its levels are walked in order, all entries at once.

        A level lists every index (dense) or those between two segments (compressed rows). Levels
        beyond the tensor's own axes are indices inside blocks of one of them.
        """
        sparsity, shape = tensor.Sparsity(), tensor.ShapeAsNumpy()
        axes = [sparsity.TraversalOrder(i) for i in range(sparsity.TraversalOrderLength())]
        blocks = [sparsity.BlockMap(i) for i in range(sparsity.BlockMapLength())]
        levels = [sparsity.DimMetadata(i) for i in range(len(axes))]
        sizes = {axis: levels[len(shape) + i].DenseSize() for i, axis in enumerate(blocks)}
        index = np.zeros((1, len(shape)), int)
        row = np.zeros(1, int)  # which entry of the level above
        for axis, level in zip(axes, levels, strict=True):
            if level.Format() == 0:
                counts = np.full(len(row), level.DenseSize())
                steps = np.tile(np.arange(level.DenseSize()), len(row))
                following = np.repeat(row, counts) * level.DenseSize() + steps
            else:
                segments = self._vector(level.ArraySegments(), level.ArraySegmentsType())
                indices = self._vector(level.ArrayIndices(), level.ArrayIndicesType())
                counts = segments[row + 1] - segments[row]
                within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
                following = np.repeat(segments[row], counts) + within
                steps = indices[following]
            index, row = np.repeat(index, counts, axis=0), following
            if axis < len(shape):
                index[:, axis] += steps * sizes.get(axis, 1)
            else:
                index[:, blocks[axis - len(shape)]] += steps
        dense = np.zeros(shape, values.dtype)
        dense[tuple(index.T)] = values
        return dense

    def _vector(self, at: Any, kind: int) -> np.ndarray:
        table = getattr(
            self._schema, {1: "Int32Vector", 2: "Uint16Vector", 3: "Uint8Vector"}[kind]
        )()
        table.Init(at.Bytes, at.Pos)
        return table.ValuesAsNumpy().astype(int)
