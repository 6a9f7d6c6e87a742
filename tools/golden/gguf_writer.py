"""A small GGUF v3 writer, little endian.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct

from quant_codecs import TYPE_IDS, encode

ALIGNMENT = 32

# GGUF value type ids.
U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9

_SCALAR_PACK = {U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}


def _pack_string(text):
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def _pack_value(value_type, value):
    if value_type == STRING:
        return _pack_string(value)
    return struct.pack(_SCALAR_PACK[value_type], value)


def _align(size):
    return -size % ALIGNMENT


class GgufWriter:
    """Collects metadata and tensors in order, then writes the file in one go."""

    def __init__(self):
        self._metadata = []  # (key, packed value with its type id)
        self._tensors = []  # (name, shape outermost first, type name, payload)

    def scalar(self, key, value_type, value):
        self._metadata.append((key, struct.pack("<I", value_type) + _pack_value(value_type, value)))

    def u32(self, key, value):
        self.scalar(key, U32, int(value))

    def f32(self, key, value):
        self.scalar(key, F32, float(value))

    def boolean(self, key, value):
        self.scalar(key, BOOL, bool(value))

    def string(self, key, value):
        self.scalar(key, STRING, value)

    def array(self, key, item_type, values):
        body = b"".join(_pack_value(item_type, v) for v in values)
        head = struct.pack("<IIQ", ARRAY, item_type, len(values))
        self._metadata.append((key, head + body))

    def tensor(self, name, values, type_name="F32"):
        """Adds `values` (numpy, outermost dimension first), encoded as `type_name`."""
        self._tensors.append((name, values.shape, type_name, encode(type_name, values)))

    def write(self, path):
        out = [struct.pack("<4sIQQ", b"GGUF", 3, len(self._tensors), len(self._metadata))]
        for key, packed in self._metadata:
            out.append(_pack_string(key) + packed)
        offset = 0
        for name, shape, type_name, payload in self._tensors:
            # GGUF lists dimensions innermost first.
            dims = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
            out.append(_pack_string(name) + dims + struct.pack("<IQ", TYPE_IDS[type_name], offset))
            offset += len(payload) + _align(len(payload))
        head = b"".join(out)
        with open(path, "wb") as file:
            file.write(head + b"\0" * _align(len(head)))
            for _, _, _, payload in self._tensors:
                file.write(payload + b"\0" * _align(len(payload)))
