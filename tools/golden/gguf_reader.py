"""Reads a GGUF v3 file into metadata and float64 tensors (dequantized)."""

import struct

import numpy as np

from quant_codecs import TYPE_NAMES, decode, encoded_size

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q",
            11: "<q", 12: "<d"}


class _Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, fmt):
        value = struct.unpack_from(fmt, self.data, self.at)[0]
        self.at += struct.calcsize(fmt)
        return value

    def string(self):
        size = self.take("<Q")
        self.at += size
        return self.data[self.at - size:self.at].decode("utf-8")

    def value(self, value_type):
        if value_type == 8:
            return self.string()
        if value_type == 9:
            item_type, count = self.take("<I"), self.take("<Q")
            return [self.value(item_type) for _ in range(count)]
        return self.take(_SCALARS[value_type])


def _open(path):
    """Cursor behind the metadata, number of tensors, metadata."""
    with open(path, "rb") as file:
        data = file.read()
    cursor = _Cursor(data)
    assert cursor.take("<I") == 0x46554747 and cursor.take("<I") == 3, f"{path}: not GGUF v3"
    num_tensors, num_metadata = cursor.take("<Q"), cursor.take("<Q")
    metadata = {}
    for _ in range(num_metadata):
        key = cursor.string()
        metadata[key] = cursor.value(cursor.take("<I"))
    return cursor, num_tensors, metadata


def read_metadata(path):
    return _open(path)[2]


def read_layout(path):
    """Metadata, and name -> (shape outermost first, type name, offset in the file) of each tensor."""
    cursor, num_tensors, metadata = _open(path)
    infos = []
    for _ in range(num_tensors):
        name = cursor.string()
        dims = [cursor.take("<Q") for _ in range(cursor.take("<I"))]
        infos.append((name, tuple(reversed(dims)), TYPE_NAMES[cursor.take("<I")],
                      cursor.take("<Q")))
    alignment = metadata.get("general.alignment", 32)
    base = cursor.at + (-cursor.at % alignment)
    return metadata, {name: (shape, type_name, base + offset)
                      for name, shape, type_name, offset in infos}


class GgufFile:
    """`metadata`: key -> value; `tensors`: name -> float64 array, outermost dimension first;
    `types`: name -> type name; `num_bytes`: name -> encoded size."""

    def __init__(self, path):
        self.metadata, layout = read_layout(path)
        with open(path, "rb") as file:
            data = file.read()
        self.tensors, self.types, self.num_bytes = {}, {}, {}
        for name, (shape, type_name, offset) in layout.items():
            size = encoded_size(type_name, int(np.prod(shape)))
            payload = data[offset:offset + size]
            assert len(payload) == size, f"{path}: {name} is truncated"
            self.tensors[name] = decode(type_name, payload).reshape(shape)
            self.types[name] = type_name
            self.num_bytes[name] = size
