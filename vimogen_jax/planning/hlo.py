"""What a compiled program says of itself: its collectives and the bytes it moves, loops included.

Read from the program's text, which is all that compilers for absent devices give. Every
instruction counts as often as the loops around it turn, and once where that is not said; of a
conditional, each branch counts once.
"""

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

BITS = {"pred": 8, "s4": 4, "u4": 4, "bf16": 16}  # the other types end in their number of bits

COLLECTIVES = (
    "all-gather",
    "all-reduce",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
    "collective-broadcast",
)
# These name or wire values and move none.
FREE = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "conditional"),
    *("call", "async", "partition-id", "replica-id", "after-all", "opt-barrier"),
}
WINDOWS = {"dynamic-slice", "slice", "gather"}  # these read as much as they return

_COMPUTATION = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\) -> .*\{$")
_NAME = re.compile(r"(ROOT )?%?([\w.\-]+) = ")
_ARRAY = re.compile(r"\b([a-z]+[0-9]*[a-z0-9]*)\[([0-9,]*)\]")
# By which the program of one of several slices says what its hosts exchange.
_TRANSFER = re.compile(r'_xla_megascale_transfer_type="(\w+)"')
_ALIASES = {"bitcast", "copy", "convert", "reshape", "transpose"}


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of a computation; `rest` is its text from the opcode's parenthesis on."""

    name: str
    opcode: str
    shape: str
    operands: tuple[str, ...]
    rest: str
    root: bool

    @property
    def sizes(self) -> list[int]:
        """Bytes of each array of the result."""
        return [_bytes(dtype, dims) for dtype, dims in _ARRAY.findall(self.shape)]

    @property
    def dtype(self) -> str:
        """Of the arrays of its result, without counters and tokens."""
        dtypes = {dtype for dtype, _ in _ARRAY.findall(self.shape)} - {"u32", "token"}
        return "+".join(sorted(dtypes))

    @property
    def made(self) -> list[int]:
        """Bytes of each array that it computes; the result of a -start may name others too."""
        operands = len(self.operands)
        if self.opcode == "copy-start":
            return self.sizes[:1]
        if self.opcode.endswith("-start") and self.opcode != "all-reduce-start":
            return self.sizes[operands : 2 * operands]
        return self.sizes

    def called(self, attribute: str) -> str:
        """The computation that an attribute such as `body` names."""
        match = re.search(rf"\b{attribute}=%?([\w.\-]+)", self.rest)
        assert match, f"{self.name} has no {attribute}"
        return match[1]


Computations = Mapping[str, Mapping[str, Instruction]]


Groups = tuple[tuple[int, ...], ...]


@dataclasses.dataclass(frozen=True)
class Collective:
    """All collectives of one kind among the same groups, as one device sees them.

    Attributes:
        kind: one of `COLLECTIVES`.
        dtype: of its arrays, as the program writes it; several are joined by "+".
        groups: the devices that exchange with each other, numbered as in the mesh.
        between_slices: whether the slices' hosts exchange it, over their network.
        count: how often it runs.
        payload: bytes of the whole arrays that are gathered, reduced or scattered.
        sent: bytes that the device must send at the very least.
    """

    kind: str
    dtype: str
    groups: Groups
    between_slices: bool = False
    count: int = 1
    payload: int = 0
    sent: int = 0

    def times(self, number: int) -> "Collective":
        """As often as it runs in a loop."""
        return dataclasses.replace(
            self,
            count=self.count * number,
            payload=self.payload * number,
            sent=self.sent * number,
        )


def added(collectives: Iterable[Collective]) -> list[Collective]:
    """The same in as few records as can be."""
    found: dict[Any, Collective] = {}
    for one in collectives:
        key = (one.kind, one.dtype, one.groups, one.between_slices)
        before = found.get(key, dataclasses.replace(one, count=0, payload=0, sent=0))
        found[key] = dataclasses.replace(
            before,
            count=before.count + one.count,
            payload=before.payload + one.payload,
            sent=before.sent + one.sent,
        )
    return list(found.values())


class Module:
    """A compiled program, from `compiled.as_text()`."""

    def __init__(self, text: str, devices: int, slices: int = 1):
        self._computations, self._entry = _parse(text)
        # Of several slices each has a program of its own; this is that of the first.
        self._devices, self._slices = devices // slices, slices

    def collectives(self) -> list[Collective]:
        """What devices exchange."""
        found: list[Collective] = []
        for computation, times in self._running(self._entry, 1, fusions=True):
            for instruction in self._computations[computation].values():
                kind = instruction.opcode.removesuffix("-start")
                if kind in COLLECTIVES:
                    if computation.startswith("all-reduce-scatter"):  # so the TPU's are written
                        kind = "reduce-scatter"
                    found.append(self._collective(kind, instruction).times(times))
                elif kind == "send" and _TRANSFER.search(instruction.rest):
                    found.append(self._between_slices(instruction).times(times))
        return added(found)

    def memory_traffic(self) -> int:
        """Bytes that one device reads from and writes to its memory: an estimate.

        Each instruction that is not inside a fusion reads its operands and writes its result, of
        arrays that it cuts from or writes into only the window; no cache keeps anything between.
        """
        return sum(
            times * self._traffic(instruction, self._computations[computation])
            for computation, times in self._running(self._entry, 1, fusions=False)
            for instruction in self._computations[computation].values()
        )

    def estimated_cycles(self) -> int:
        """The compiler's own estimate of a device's cycles, without collectives; 0 if it has none.

        Only the compilers for TPUs write one, beside each instruction.
        """
        total = 0
        for computation, times in self._running(self._entry, 1, fusions=False):
            for instruction in self._computations[computation].values():
                match = re.search(r'"estimated_cycles":"(\d+)"', instruction.rest)
                total += times * int(match[1]) if match else 0
        return total

    def uncounted(self) -> list[str]:
        """The loops that count as one turn, because the program does not say how often they do."""
        return [
            instruction.name
            for computation, _ in self._running(self._entry, 1, fusions=False)
            for instruction in self._computations[computation].values()
            if instruction.opcode == "while" and self._turns(instruction) is None
        ]

    def _running(self, name: str, times: int, *, fusions: bool) -> Iterator[tuple[str, int]]:
        """The computations under one, each with how often it runs; or those in fusions as well."""
        yield name, times
        for instruction in self._computations[name].values():
            below: list[tuple[str, int]] = []
            if instruction.opcode == "while":
                turns = self._turns(instruction)
                below = [(instruction.called("body"), times * (1 if turns is None else turns))]
            elif instruction.opcode == "conditional":
                below = [(branch, times) for branch in _branches(instruction)]
            elif instruction.opcode == "call":
                below = [(instruction.called("to_apply"), times)]
            elif instruction.opcode == "async-start" or (
                fusions and instruction.opcode == "fusion"
            ):
                below = [(instruction.called("calls"), times)]
            for called, number in below:
                yield from self._running(called, number, fusions=fusions)

    def _turns(self, loop: Instruction) -> int | None:
        """How often a loop turns: as noted, or as the constant that its condition compares with.

        None where there is neither.
        """
        match = re.search(r'"known_trip_count":\{"n":"(\d+)"', loop.rest)
        if match:
            return int(match[1])
        condition = self._computations[loop.called("condition")].values()
        constants = [
            int(match[1])
            for instruction in condition
            if instruction.opcode == "constant" and instruction.shape.startswith("s32[]")
            if (match := re.match(r"\((\d+)\)", instruction.rest))
        ]
        return max(constants, default=None)

    def _collective(self, kind: str, instruction: Instruction) -> Collective:
        groups = _groups(instruction.rest, self._devices)
        size = len(groups[0])
        payload = sum(instruction.made)
        if instruction.opcode.removesuffix("-start") == "reduce-scatter":
            payload *= size
        sent = round(share_sent(kind, size) * payload)
        return Collective(kind, instruction.dtype, groups, payload=payload, sent=sent)

    def _between_slices(self, send: Instruction) -> Collective:
        """What a chip hands to its host, for the hosts to exchange with those of other slices."""
        match = _TRANSFER.search(send.rest)
        assert match
        kind = match[1].lower().replace("_", "-")
        payload, devices = send.sizes[0], range(self._devices)
        if kind == "all-gather":
            payload *= self._slices
        groups = tuple(
            tuple(device + number * self._devices for number in range(self._slices))
            for device in devices
        )
        sent = round(share_sent(kind, self._slices) * payload)
        return Collective(kind, send.dtype, groups, True, payload=payload, sent=sent)

    def _traffic(self, instruction: Instruction, around: Mapping[str, Instruction]) -> int:
        opcode, made = instruction.opcode.removesuffix("-start"), sum(instruction.made)
        if opcode in FREE or opcode.endswith(("-done", "-update")):
            return 0
        if opcode in WINDOWS:
            return 2 * made
        operands = [sum(around[name].sizes) for name in instruction.operands if name in around]
        if opcode == "dynamic-update-slice":
            return 2 * operands[1]
        if opcode == "fusion":
            read = [self._read(instruction, index) for index in range(len(instruction.operands))]
            return sum(read) + self._written(instruction)
        return sum(operands) + made

    def _read(self, fusion: Instruction, index: int) -> int:
        """Bytes that a fusion reads of an operand: where it only takes windows, those."""
        body = self._computations[fusion.called("calls")]
        (parameter,) = (
            instruction
            for instruction in body.values()
            if instruction.opcode == "parameter" and instruction.rest.startswith(f"({index})")
        )
        whole = sum(parameter.sizes)
        return min(whole, self._read_by_users(body, parameter.name, whole))

    def _read_by_users(self, body: Mapping[str, Instruction], name: str, whole: int) -> int:
        total = 0
        for user in body.values():
            for index in [i for i, operand in enumerate(user.operands) if operand == name]:
                if user.opcode in _ALIASES:
                    total += self._read_by_users(body, user.name, whole)
                elif user.opcode in WINDOWS and index == 0:
                    total += sum(user.sizes)
                elif user.opcode == "fusion":
                    total += self._read(user, index)
                elif user.opcode != "dynamic-update-slice" or index != 0:
                    total += whole
        return total

    def _written(self, fusion: Instruction) -> int:
        """Bytes that a fusion writes: where it updates an array in place, the window."""
        body = self._computations[fusion.called("calls")]
        (root,) = (instruction for instruction in body.values() if instruction.root)
        results = [body[name] for name in root.operands] if root.opcode == "tuple" else [root]
        total = 0
        for result in results:
            source = result
            while source.opcode in _ALIASES and source.operands[0] in body:
                source = body[source.operands[0]]
            if source.opcode == "dynamic-update-slice":
                total += sum(body[source.operands[1]].sizes)
            elif source.opcode == "fusion":
                total += self._written(source)
            else:
                total += sum(result.sizes)
        return total


def _parse(text: str) -> tuple[Computations, str]:
    computations: dict[str, dict[str, Instruction]] = {}
    entry, current = "", None
    for line in text.splitlines():
        header = _COMPUTATION.match(line)
        if header:
            current = computations.setdefault(header[2], {})
            entry = header[2] if header[1] else entry
        elif line == "}":  # only at the margin: kernels carry text of their own
            current = None
        elif current is not None and (instruction := _instruction(line.strip())):
            current[instruction.name] = instruction
    return computations, entry


def _instruction(line: str) -> Instruction | None:
    name = _NAME.match(line)
    if not name:
        return None
    shape, rest = _shape(line[name.end() :])
    opcode = re.match(r"\s*([a-z][a-z0-9\-]*)(?=\()", rest)
    if not opcode:
        return None
    rest = rest[opcode.end() :]
    inside = rest[1 : _closing(rest)]
    operands = tuple(re.findall(r"%([\w.\-]+)", inside))
    return Instruction(name[2], opcode[1], shape, operands, rest, bool(name[1]))


def _shape(text: str) -> tuple[str, str]:
    """Cut a line behind its result's shape, which may be a tuple."""
    if not text.startswith("("):
        shape, _, rest = text.partition(" ")
        return shape, rest
    end = _closing(text) + 1
    return text[:end], text[end:]


def _closing(text: str) -> int:
    """Where the parenthesis that opens a text is closed."""
    depth = 0
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return index
    return len(text)


def _bytes(dtype: str, dims: str) -> int:
    if dtype in ("token", "opaque"):
        return 0
    digits = re.search(r"(\d+)", dtype)  # f8e4m3fn has 8 bits
    bits = BITS.get(dtype) or (int(digits[1]) if digits else 0)
    return math.ceil(bits / 8 * math.prod(int(size) for size in dims.split(",") if size))


def share_sent(kind: str, size: int) -> float:
    """Of a collective's whole arrays, what each of a group must send at the very least."""
    part = (size - 1) / size
    return {"all-reduce": 2 * part, "collective-permute": 1.0}.get(kind, part)


def _groups(rest: str, devices: int) -> Groups:
    """The devices of each of a collective's groups; several notations are in use."""
    if match := re.search(r"(?:replica_groups|source_target_pairs)=\{(\{[\d,{}]+\})\}", rest):
        return tuple(
            tuple(int(number) for number in group.split(","))
            for group in re.findall(r"\{([\d,]+)\}", match[1])
        )
    if match := re.search(r"replica_groups=\[(\d+),(\d+)\]<=(\[[\d,]+\](?:T\([\d,]+\))?)", rest):
        return _rows(_numbered(match[3]).reshape(int(match[1]), int(match[2])))
    if match := re.search(r"replica_groups=mesh\[([^\]]*)\]([^{]*)\{([^}]*)\}", rest):
        sizes = {axis: int(size) for axis, size in re.findall(r"'(\w+)'=(\d+)", match[1])}
        order = re.search(r"\[[\d,]+\](?:T\([\d,]+\))?", match[2])
        numbers = _numbered(order[0]) if order else np.arange(devices)
        taken = re.findall(r"'(\w+)'", match[3])
        axes = [number for number, axis in enumerate(sizes) if axis in taken]
        mesh = np.moveaxis(numbers.reshape(*sizes.values()), axes, range(-len(axes), 0))
        return _rows(mesh.reshape(-1, math.prod(sizes[axis] for axis in taken)))
    return (tuple(range(devices)),)


def _numbered(order: str) -> np.ndarray:
    """The numbers of `[2,4]T(1,0)`: counted in the first shape, then transposed."""
    shape, *transposed = [tuple(map(int, x.split(","))) for x in re.findall(r"[\d,]+", order)]
    numbers = np.arange(math.prod(shape)).reshape(shape)
    return numbers.transpose(*transposed).ravel()


def _rows(groups: np.ndarray) -> Groups:
    return tuple(tuple(group) for group in groups.tolist())


def _branches(instruction: Instruction) -> list[str]:
    match = re.search(r"branch_computations=\{([^}]*)\}", instruction.rest)
    if match:
        return re.findall(r"%?([\w.\-]+)", match[1])
    return [instruction.called("true_computation"), instruction.called("false_computation")]
