"""Reads the graph of an ONNX file: its nodes, and the tensors that are stored in it.

Only the standard library is used, as in tensorfile.py: of onnx.proto, the fields that networks are made
of. The numbers below are that file's.
"""
import struct
from collections import defaultdict
from typing import NamedTuple

from tensorfile import Bad, Tensor, head_of


class Node(NamedTuple):
    op: str
    inputs: list  # names of tensors
    outputs: list
    attributes: dict


class Graph(NamedTuple):
    nodes: list
    tensors: dict  # {name: Tensor} of initialisers and constants
    inputs: list  # names, without the initialisers'
    outputs: list


def is_onnx(path):
    """Whether the file begins as ONNX does, with a number that is its version."""
    head = head_of(path)
    return head[:1] == b"\x08" and head[8:] != b"{"  # which a safetensors file has there


def read_graph(path):
    with open(path, "rb") as file:
        data = memoryview(file.read())
    try:
        return _graph(_only(_message(data)[7]))
    except Bad as error:
        raise Bad(f"{path}: {error}") from None
    except Exception as error:  # a field of another kind than it should be can raise anything
        raise Bad(f"{path}: damaged or cut short ({type(error).__name__}: {error}); fetch it again") from None


def _varint(data, at):
    value, shift = 0, 0
    while True:
        if at >= len(data):
            raise ValueError("ends within a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number is too long")


def _message(data):
    """{field's number: its values}, each an int or bytes."""
    fields, at = defaultdict(list), 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
        elif kind not in (1, 2, 5):
            raise ValueError("a field is of no known kind")
        else:
            size, at = _varint(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
            value = data[at:at + size]
            at += size
            if at > len(data):
                raise ValueError(f"ends {at - len(data)} bytes early")
        fields[key >> 3].append(value)
    return fields


def _only(values):
    if len(values) != 1:
        raise ValueError("no model with one graph")
    return values[0]


def _text(data):
    return str(data, "utf-8")


def _ints(values):
    """Signed numbers, each a field of its own or many packed into one."""
    found = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
        else:
            at = 0
            while at < len(value):
                number, at = _varint(value, at)
                found.append(number)
    return [value - (1 << 64) if value >> 63 else value for value in found]


def _floats(values):
    data = b"".join(values)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


_DTYPES = {1: "F32", 6: "I32", 7: "I64", 10: "F16", 11: "F64"}


def _tensor(data):
    fields = _message(data)
    if fields[14] == [1] or fields[13]:
        raise Bad("keeps its weights in another file; save it as one")
    dtype = _DTYPES.get(fields[2][0], f"type {fields[2][0]}")
    # Floats packed into a field are the same bytes as raw ones.
    parts = fields[9] or fields[4] or [struct.pack("<q", value) for value in _ints(fields[7])]
    return Tensor(dtype, tuple(_ints(fields[1])), lambda: b"".join(parts))


def _attribute(fields):
    if fields[4]:
        return str(fields[4][0], "utf-8", "replace")
    if fields[5]:
        return _tensor(fields[5][0])
    if fields[2]:
        return _floats(fields[2])[0]
    if fields[7]:
        return _floats(fields[7])
    if fields[8]:
        return _ints(fields[8])
    return _ints(fields[3])[0] if fields[3] else None


def _node(data):
    fields = _message(data)
    attributes = {_text(attribute[1][0]): _attribute(attribute) for attribute in map(_message, fields[5])}
    return Node(_text(fields[4][0]), list(map(_text, fields[1])), list(map(_text, fields[2])), attributes)


def _graph(data):
    fields = _message(data)
    nodes = list(map(_node, fields[1]))
    tensors = {_text(_message(tensor)[8][0]): _tensor(tensor) for tensor in fields[5]}
    for node in nodes:
        if node.op == "Constant" and "value" in node.attributes:
            tensors[node.outputs[0]] = node.attributes["value"]
    inputs, outputs = ([_text(_message(value)[1][0]) for value in fields[number]] for number in (11, 12))
    return Graph(nodes, tensors, [name for name in inputs if name not in tensors], outputs)
