"""Copies a GGUF file with its MXFP4 tensors as another type, BF16 (which holds them exactly) or F32.

  python3 expand_mxfp4.py IN OUT [BF16|F32]

The same model without int8 activations, so that an engine can be compared closely.
"""

import os
import struct
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from hf import weights

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_MXFP4, _F32, _BF16, _ALIGNMENT = 39, 0, 30, 32


class _Cursor:
    def __init__(self, data):
        self.data, self.at = data, 24

    def take(self, fmt):
        value = struct.unpack_from(fmt, self.data, self.at)[0]
        self.at += struct.calcsize(fmt)
        return value

    def string(self):
        size = self.take("<Q")
        self.at += size
        return self.data[self.at - size:self.at]

    def skip(self, value_type):
        if value_type == 8:
            self.string()
        elif value_type == 9:
            item, count = self.take("<I"), self.take("<Q")
            for _ in range(count):
                self.skip(item)
        else:
            self.at += _SIZES[value_type]


def _decode(raw):
    """float32 values of GGUF's blocks: an exponent, then 16 bytes of which byte j holds element j
    in the low nibble and element j + 16 in the high one."""
    blocks = np.frombuffer(raw, np.uint8).reshape(-1, 17)
    codes = np.concatenate([blocks[:, 1:] & 15, blocks[:, 1:] >> 4], axis=1)
    return weights.decode_mxfp4(codes[:, 0::2] | (codes[:, 1::2] << 4), blocks[:, 0])


def expand(source, target, type_name="BF16"):
    with open(source, "rb") as file:
        data = file.read()
    cursor = _Cursor(data)
    num_tensors, num_metadata = struct.unpack_from("<QQ", data, 8)
    for _ in range(num_metadata):
        cursor.string()
        cursor.skip(cursor.take("<I"))
    head, infos = data[:cursor.at], []
    for _ in range(num_tensors):
        name = cursor.string()
        dims = [cursor.take("<Q") for _ in range(cursor.take("<I"))]
        infos.append((name, dims, cursor.take("<I"), cursor.take("<Q")))
    base = cursor.at + -cursor.at % _ALIGNMENT
    ends = sorted(offset for *_, offset in infos) + [len(data) - base]
    listing, body = b"", b""
    for name, dims, kind, offset in infos:
        payload = data[base + offset:base + ends[ends.index(offset) + 1]]
        if kind == _MXFP4:
            values = _decode(payload[:int(np.prod(dims)) // 32 * 17])
            kind = _BF16 if type_name == "BF16" else _F32
            payload = values.tobytes()
            if kind == _BF16:
                assert not (values.view(np.uint32) & 0xFFFF).any(), "BF16 cannot hold a value"
                payload = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
        listing += struct.pack("<Q", len(name)) + name
        listing += struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, len(body))
        body += payload + b"\0" * (-len(payload) % _ALIGNMENT)
    head += listing
    with open(target, "wb") as file:
        file.write(head + b"\0" * (-len(head) % _ALIGNMENT) + body)


if __name__ == "__main__":
    expand(*sys.argv[1:])
