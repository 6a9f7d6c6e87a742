"""Encoders and decoders of the nine tensor types of the golden models.

Decoders return the exact value of every weight in float64 (scale and integers multiplied
without intermediate rounding). Encoders round simply; they aim at valid blocks that use the whole
range of their fields, not at the best quality.
"""

import numpy as np

TYPE_IDS = {"F32": 0, "F16": 1, "Q4_0": 2, "Q5_0": 6, "Q8_0": 8, "Q4_K": 12, "Q5_K": 13,
            "Q6_K": 14, "BF16": 30}
TYPE_NAMES = {value: key for key, value in TYPE_IDS.items()}

# type -> (weights per block, bytes per block)
BLOCKS = {"F32": (1, 4), "F16": (1, 2), "BF16": (1, 2), "Q4_0": (32, 18), "Q5_0": (32, 22),
          "Q8_0": (32, 34), "Q4_K": (256, 144), "Q5_K": (256, 176), "Q6_K": (256, 210)}


def encoded_size(type_name, num_weights):
    weights, size = BLOCKS[type_name]
    assert num_weights % weights == 0, f"{type_name}: {num_weights} weights"
    return num_weights // weights * size


def _half_bytes(values):
    return np.ascontiguousarray(values.astype("<f2")).view(np.uint8).reshape(len(values), 2)


def _halves(raw):
    """float64 [blocks, 1] from two bytes [blocks, 2]."""
    return np.ascontiguousarray(raw).view("<f2").astype(np.float64).reshape(-1, 1)


def _divide(values, scales):
    """values / scales with 0 where the scale is 0."""
    return np.divide(values, scales, out=np.zeros_like(values), where=scales != 0)


def _signed_extreme(x):
    """The element of each row with the largest magnitude, with its sign: [rows, 1]."""
    return np.take_along_axis(x, np.abs(x).argmax(axis=-1)[..., None], axis=-1)


# --- legacy blocks of 32 -------------------------------------------------------------------


def _round_scale(scale):
    """The scale as its fp16 field holds it, so that the integers fit what is decoded."""
    return scale.astype("<f2").astype(np.float64)


def _encode_q4_0(x):
    d = _round_scale(_signed_extreme(x) / -8)
    q = np.clip(np.rint(_divide(x, d)) + 8, 0, 15).astype(np.uint8)
    return np.hstack([_half_bytes(d), q[:, :16] | q[:, 16:] << 4])


def _decode_q4_0(raw):
    qs = raw[:, 2:18]
    return _halves(raw[:, :2]) * (np.hstack([qs & 15, qs >> 4]).astype(np.float64) - 8)


def _encode_q5_0(x):
    d = _round_scale(_signed_extreme(x) / -16)
    q = np.clip(np.rint(_divide(x, d)) + 16, 0, 31).astype(np.uint8)
    high = np.packbits(q >> 4, axis=1, bitorder="little")
    return np.hstack([_half_bytes(d), high, (q[:, :16] & 15) | (q[:, 16:] & 15) << 4])


def _decode_q5_0(raw):
    high = np.unpackbits(raw[:, 2:6], axis=1, bitorder="little")
    qs = raw[:, 6:22]
    q = np.hstack([qs & 15, qs >> 4]) | high << 4
    return _halves(raw[:, :2]) * (q.astype(np.float64) - 16)


def _encode_q8_0(x):
    d = _round_scale(np.abs(x).max(axis=1, keepdims=True) / 127)
    q = np.clip(np.rint(_divide(x, d)), -127, 127).astype(np.int8)
    return np.hstack([_half_bytes(d), q.view(np.uint8)])


def _decode_q8_0(raw):
    return _halves(raw[:, :2]) * np.ascontiguousarray(raw[:, 2:]).view(np.int8).astype(np.float64)


# --- superblocks of 256 --------------------------------------------------------------------


def _pack_scales(sc, m):
    """Eight 6-bit scales and eight 6-bit minima [blocks, 8] in 12 bytes."""
    sc, m = sc.astype(np.uint8), m.astype(np.uint8)
    first = (sc[:, :4] & 63) | (sc[:, 4:] >> 4) << 6
    second = (m[:, :4] & 63) | (m[:, 4:] >> 4) << 6
    third = (sc[:, 4:] & 15) | (m[:, 4:] & 15) << 4
    return np.hstack([first, second, third])


def _unpack_scales(raw):
    a, b, c = raw[:, :4], raw[:, 4:8], raw[:, 8:12]
    sc = np.hstack([a & 63, (c & 15) | (a >> 6) << 4])
    m = np.hstack([b & 63, (c >> 4) | (b >> 6) << 4])
    return sc.astype(np.float64), m.astype(np.float64)


def _quantize_with_minima(x, q_max):
    """x [blocks, 256] -> (d, dmin, sc, m, q): q [blocks, 8, 32] in 0..q_max."""
    x = x.reshape(-1, 8, 32)
    low = np.minimum(x.min(axis=2), 0)
    scale = (x.max(axis=2) - low) / q_max
    d = _round_scale(scale.max(axis=1, keepdims=True) / 63)
    dmin = _round_scale((-low).max(axis=1, keepdims=True) / 63)
    sc = np.clip(np.rint(_divide(scale, d)), 0, 63)
    m = np.clip(np.rint(_divide(-low, dmin)), 0, 63)
    q = np.rint(_divide(x + (dmin * m)[:, :, None], (d * sc)[:, :, None]))
    return d, dmin, sc, m, np.clip(q, 0, q_max).astype(np.uint8)


def _pack_nibbles(q):
    """Low 4 bits of [blocks, 8, 32]: sub-block 2c in the low, 2c+1 in the high nibbles."""
    return ((q[:, 0::2] & 15) | (q[:, 1::2] & 15) << 4).reshape(-1, 128)


def _unpack_nibbles(raw):
    qs = raw.reshape(-1, 4, 1, 32)
    return np.concatenate([qs & 15, qs >> 4], axis=2).reshape(-1, 8, 32)


def _apply_minima(raw, q):
    sc, m = _unpack_scales(raw[:, 4:16])
    values = ((_halves(raw[:, :2]) * sc)[:, :, None] * q
              - (_halves(raw[:, 2:4]) * m)[:, :, None])
    return values.reshape(-1, 256)


def _encode_q4_k(x):
    d, dmin, sc, m, q = _quantize_with_minima(x, 15)
    return np.hstack([_half_bytes(d), _half_bytes(dmin), _pack_scales(sc, m), _pack_nibbles(q)])


def _decode_q4_k(raw):
    return _apply_minima(raw, _unpack_nibbles(raw[:, 16:144]).astype(np.float64))


def _encode_q5_k(x):
    d, dmin, sc, m, q = _quantize_with_minima(x, 31)
    high = np.packbits((q >> 4).transpose(0, 2, 1), axis=2, bitorder="little").reshape(-1, 32)
    return np.hstack([_half_bytes(d), _half_bytes(dmin), _pack_scales(sc, m), high,
                      _pack_nibbles(q)])


def _decode_q5_k(raw):
    bits = np.unpackbits(raw[:, 16:48].reshape(-1, 32, 1), axis=2, bitorder="little")
    q = _unpack_nibbles(raw[:, 48:176]) | bits.transpose(0, 2, 1) << 4
    return _apply_minima(raw, q.astype(np.float64))


def _encode_q6_k(x):
    groups = x.reshape(-1, 16, 16)
    scale = _signed_extreme(groups)[:, :, 0] / -32
    d = _round_scale(np.abs(scale).max(axis=1, keepdims=True) / 127)
    sc = np.clip(np.rint(_divide(scale, d)), -127, 127)
    q = np.rint(_divide(groups, (d * sc)[:, :, None]))
    q = (np.clip(q, -32, 31) + 32).astype(np.uint8).reshape(-1, 2, 4, 32)  # half, quarter, l
    low = (q[:, :, :2] & 15) | (q[:, :, 2:] & 15) << 4
    high = q[:, :, 0] >> 4
    for quarter in range(1, 4):
        high = high | (q[:, :, quarter] >> 4) << (2 * quarter)
    return np.hstack([low.reshape(-1, 128), high.reshape(-1, 64),
                      sc.astype(np.int8).view(np.uint8), _half_bytes(d)])


def _decode_q6_k(raw):
    low = raw[:, :128].reshape(-1, 2, 2, 32)
    high = raw[:, 128:192].reshape(-1, 2, 1, 32)
    sc = np.ascontiguousarray(raw[:, 192:208]).view(np.int8).astype(np.float64)
    low = np.concatenate([low & 15, low >> 4], axis=2)
    shifts = np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1)
    q = (low | (high >> shifts & 3) << 4).astype(np.float64) - 32
    return ((_halves(raw[:, 208:210]) * sc)[:, :, None] * q.reshape(-1, 16, 16)).reshape(-1, 256)


_ENCODERS = {"Q4_0": _encode_q4_0, "Q5_0": _encode_q5_0, "Q8_0": _encode_q8_0,
             "Q4_K": _encode_q4_k, "Q5_K": _encode_q5_k, "Q6_K": _encode_q6_k}
_DECODERS = {"Q4_0": _decode_q4_0, "Q5_0": _decode_q5_0, "Q8_0": _decode_q8_0,
             "Q4_K": _decode_q4_k, "Q5_K": _decode_q5_k, "Q6_K": _decode_q6_k}


def encode(type_name, values):
    """Payload bytes of `values` (any shape; rows must be whole blocks)."""
    if type_name == "F32":
        return values.astype("<f4").tobytes()
    if type_name == "F16":
        return values.astype("<f2").tobytes()
    if type_name == "BF16":
        bits = np.ascontiguousarray(values.astype("<f4")).view("<u4").astype(np.uint64)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2").tobytes()
    weights, size = BLOCKS[type_name]
    assert values.shape[-1] % weights == 0, f"{type_name}: rows of {values.shape[-1]}"
    blocks = _ENCODERS[type_name](values.astype(np.float64).reshape(-1, weights))
    assert blocks.dtype == np.uint8 and blocks.shape[1] == size
    return blocks.tobytes()


def decode(type_name, payload):
    """Exact float64 weights of a payload, flat."""
    if type_name == "F32":
        return np.frombuffer(payload, "<f4").astype(np.float64)
    if type_name == "F16":
        return np.frombuffer(payload, "<f2").astype(np.float64)
    if type_name == "BF16":
        bits = np.frombuffer(payload, "<u2").astype("<u4") << 16
        return bits.view("<f4").astype(np.float64)
    raw = np.frombuffer(payload, np.uint8).reshape(-1, BLOCKS[type_name][1])
    return _DECODERS[type_name](raw).reshape(-1)
