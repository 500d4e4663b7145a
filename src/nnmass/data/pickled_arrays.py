"""Pickles of dictionaries of arrays and lists, as CIFAR's are, read without unpickling.

A pickle is a program. The standard reader runs it; even with a short list of allowed functions, those that rebuild
NumPy arrays are enough to make an array of objects whose addresses the file chooses. Here the instructions are followed
on plain values, and the one thing that a file can build besides numbers, texts, lists, tuples and dictionaries is an
array of bytes, whose length is compared with what the file holds.
"""

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmass.errors import DataError, first_line
from nnmass.plain_text import plain

_MOST_INSTRUCTIONS = 2_000_000  # CIFAR-100's training file has 0.3 million
_MOST_TEXT_BYTES = 200_000_000  # texts that are made bytes, all together; CIFAR's 60,000 images have 184 million
_FUNCTIONS = {
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "_codecs encode": "encode",
    "__builtin__ bytes": "bytes",
    "numpy.core.multiarray _reconstruct": "reconstruct",
    "numpy._core.multiarray _reconstruct": "reconstruct",
    "numpy.core.numeric _frombuffer": "frombuffer",
    "numpy._core.numeric _frombuffer": "frombuffer",
}
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = {
    *("BININT", "BININT1", "BININT2", "INT", "LONG1", "BINSTRING", "SHORT_BINSTRING"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True)
class _Function:
    """A function that a file names; it is never called."""

    name: str


class _ByteType:
    """NumPy's type uint8, the only one."""


@dataclass(eq=False)
class _Array:
    """An array, perhaps yet to be filled."""

    values: npt.NDArray[np.uint8] | None = None


def read_pickled(content: bytes) -> Any:
    """Follow the instructions of a pickle.

    Returns:
        What it holds: numbers, texts, lists, tuples, dictionaries with texts as keys; values of the outermost
        dictionary may be arrays of uint8.

    Raises:
        DataError: damaged, or an instruction, a function or a type that such files do not need.
    """
    machine = _Machine()
    try:
        for count, (instruction, argument, _) in enumerate(pickletools.genops(content)):
            if count > _MOST_INSTRUCTIONS:
                raise DataError(f"has more than {_MOST_INSTRUCTIONS:,} instructions")
            if instruction.name == "STOP":
                return machine.result()
            machine.follow(instruction.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise DataError(f"damaged: {plain(first_line(error), limit=200)}") from None
    raise DataError("ends too soon")


class _Machine:
    """The stack and the memory of a pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memory: dict[int, Any] = {}
        self.text_bytes = 0

    def result(self) -> Any:
        """What the file holds, once its last instruction is reached."""
        (value,) = self.stack
        if isinstance(value, dict):
            return {key: found.values if isinstance(found, _Array) else found for key, found in value.items()}
        return value

    def follow(self, name: str, argument: Any) -> None:
        """Follow one instruction."""
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _LITERALS:
            self.stack.append(argument)
        elif name in _TUPLES:
            self.stack.append(tuple([self.stack.pop() for _ in range(_TUPLES[name])][::-1]))
        elif name in _INSTRUCTIONS:
            _INSTRUCTIONS[name](self, argument)
        elif name not in ("PROTO", "FRAME"):
            raise DataError(f"the instruction {name} is not allowed")

    def above_mark(self) -> list[Any]:
        """Take what lies above the last mark."""
        at = self.marks.pop()
        if at > len(self.stack):
            raise DataError("damaged: a mark that nothing lies above")
        taken = self.stack[at:]
        del self.stack[at:]
        return taken

    def remember(self, key: int) -> None:
        """Keep what lies on top."""
        self.memory[key] = self.stack[-1]

    def add_items(self, items: list[Any]) -> None:
        """Put keys and values into the dictionary on top."""
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise DataError("damaged: items of what is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | bytes):
                raise DataError(f"keys must be texts, got {type(key).__name__}")
            target[key.decode("latin-1") if isinstance(key, bytes) else key] = value

    def append(self, items: list[Any]) -> None:
        """Put values at the end of the list on top."""
        target = self.stack[-1]
        if not isinstance(target, list):
            raise DataError("damaged: values of what is no list")
        target.extend(items)

    def name_function(self, name: object) -> None:
        """Put a function that arrays are rebuilt with on top."""
        if name not in _FUNCTIONS:
            raise DataError(f"{plain(str(name).replace(' ', '.'), limit=100)} is not allowed")
        self.stack.append(_Function(_FUNCTIONS[str(name)]))

    def call(self) -> None:
        """Put what a function would return on top."""
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, _Function) or not isinstance(arguments, tuple):
            raise DataError("damaged: a call of what is no function")
        match function.name, arguments:
            case "reconstruct", (_Function(name="ndarray"), (0,), "b" | b"b"):
                self.stack.append(_Array())
            case "dtype", ("u1" | b"u1", *_):
                self.stack.append(_ByteType())
            case "encode", (str() as text, "latin1" | "latin-1"):
                self.stack.append(self.raw(text))
            case "bytes", ():  # how old pickles say b""
                self.stack.append(b"")
            case "frombuffer", ((bytes() | bytearray()) as raw, _ByteType(), tuple() as shape, "C"):
                self.stack.append(_Array(_bytes_as_array(raw, shape)))
            case _:
                raise DataError(f"arrays must be of uint8, got another call of {function.name}")

    def fill(self) -> None:
        """Give what lies below its state."""
        state = self.stack.pop()
        match self.stack[-1], state:
            case _ByteType(), (3, "|" | b"|", None, None, None, -1, -1, 0):
                pass
            case _Array() as array, (1, tuple() as shape, _ByteType(), False | 0, (str() | bytes()) as raw):
                array.values = _bytes_as_array(self.raw(raw), shape)
            case _:
                raise DataError("arrays must be of uint8, got another state")

    def raw(self, text: str | bytes) -> bytes:
        """The bytes of a text of old pickles."""
        if isinstance(text, bytes):
            return text
        self.text_bytes += len(text)
        if self.text_bytes > _MOST_TEXT_BYTES:
            raise DataError(f"has more than {_MOST_TEXT_BYTES:,} bytes of text")
        return text.encode("latin-1")


def _bytes_as_array(raw: bytes | bytearray, shape: tuple[Any, ...]) -> npt.NDArray[np.uint8]:
    if len(shape) > 4 or not all(type(side) is int and side >= 0 for side in shape):
        raise DataError(f"an array has the shape {plain(shape, limit=80)}")
    if math.prod(shape) != len(raw):
        raise DataError(f"an array of the shape {plain(shape, limit=80)} has {len(raw):,} bytes")
    return np.frombuffer(raw, np.uint8).reshape(shape)


_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "LIST": lambda machine, _: machine.stack.append(machine.above_mark()),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.above_mark())),
    "APPEND": lambda machine, _: machine.append([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.above_mark()),
    "SETITEM": lambda machine, _: machine.add_items([machine.stack.pop(), machine.stack.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.add_items(machine.above_mark()),
    "GLOBAL": lambda machine, name: machine.name_function(name),
    "STACK_GLOBAL": lambda machine, _: machine.name_function(
        " ".join([machine.stack.pop(), machine.stack.pop()][::-1])
    ),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.fill(),
    "MEMOIZE": lambda machine, _: machine.remember(len(machine.memory)),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda machine, key: machine.remember(key)),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, key: machine.stack.append(machine.memory[key])),
}
