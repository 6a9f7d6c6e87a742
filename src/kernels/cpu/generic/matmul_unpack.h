// Blocks of weights taken apart into small integers and float scales. Shared by the portable
// kernels and the float64 reference. The element orders are those of tensor/blocks.h.
#pragma once

#include <cstdint>

#include "base/numeric/half.h"
#include "tensor/blocks.h"

namespace ruvllm::kernels {

// value(k) = d * scale[k / group] * q[k] - dmin * min[k / group], with a group of 16 or 32
// elements; unused parts are not touched.
struct UnpackedBlock {
  float d = 0.0f;
  float dmin = 0.0f;
  int8_t q[kSuperblock];
  int8_t scale[kSuperblock / 16];
  int8_t min[kSuperblock / 16];
};

inline void unpack(const BlockQ4_0& block, UnpackedBlock* out) {
  out->d = f16_to_f32(block.d);
  for (int i = 0; i < 16; ++i) {
    out->q[i] = static_cast<int8_t>((block.qs[i] & 15) - 8);
    out->q[i + 16] = static_cast<int8_t>((block.qs[i] >> 4) - 8);
  }
}

inline void unpack(const BlockQ5_0& block, UnpackedBlock* out) {
  out->d = f16_to_f32(block.d);
  const auto bit = [&](int i) { return ((block.qh[i / 8] >> (i % 8)) & 1) << 4; };
  for (int i = 0; i < 16; ++i) {
    out->q[i] = static_cast<int8_t>(((block.qs[i] & 15) | bit(i)) - 16);
    out->q[i + 16] = static_cast<int8_t>(((block.qs[i] >> 4) | bit(i + 16)) - 16);
  }
}

inline void unpack(const BlockQ4_1& block, UnpackedBlock* out) {
  out->d = f16_to_f32(block.d);
  out->dmin = -f16_to_f32(block.m);
  out->min[0] = 1;
  for (int i = 0; i < 16; ++i) {
    out->q[i] = static_cast<int8_t>(block.qs[i] & 15);
    out->q[i + 16] = static_cast<int8_t>(block.qs[i] >> 4);
  }
}

inline void unpack(const BlockQ5_1& block, UnpackedBlock* out) {
  out->d = f16_to_f32(block.d);
  out->dmin = -f16_to_f32(block.m);
  out->min[0] = 1;
  const auto bit = [&](int i) { return ((block.qh[i / 8] >> (i % 8)) & 1) << 4; };
  for (int i = 0; i < 16; ++i) {
    out->q[i] = static_cast<int8_t>((block.qs[i] & 15) | bit(i));
    out->q[i + 16] = static_cast<int8_t>((block.qs[i] >> 4) | bit(i + 16));
  }
}

inline void unpack(const BlockQ8_0& block, UnpackedBlock* out) {
  out->d = f16_to_f32(block.d);
  for (int i = 0; i < kBlock32; ++i) out->q[i] = block.qs[i];
}

// The 6-bit scales and mins of q4_K and q5_K.
inline void unpack_scales_mins(const uint8_t (&packed)[12], UnpackedBlock* out) {
  for (int i = 0; i < 4; ++i) {
    out->scale[i] = static_cast<int8_t>(packed[i] & 63);
    out->min[i] = static_cast<int8_t>(packed[i + 4] & 63);
    out->scale[i + 4] = static_cast<int8_t>((packed[i + 8] & 15) | ((packed[i] >> 6) << 4));
    out->min[i + 4] = static_cast<int8_t>((packed[i + 8] >> 4) | ((packed[i + 4] >> 6) << 4));
  }
}

inline void unpack(const BlockQ4_K& block, UnpackedBlock* out) {
  out->d = f16_to_f32(block.d);
  out->dmin = f16_to_f32(block.dmin);
  unpack_scales_mins(block.scales, out);
  for (int c = 0; c < 4; ++c) {
    for (int i = 0; i < 32; ++i) {
      out->q[64 * c + i] = static_cast<int8_t>(block.qs[32 * c + i] & 15);
      out->q[64 * c + 32 + i] = static_cast<int8_t>(block.qs[32 * c + i] >> 4);
    }
  }
}

inline void unpack(const BlockQ5_K& block, UnpackedBlock* out) {
  out->d = f16_to_f32(block.d);
  out->dmin = f16_to_f32(block.dmin);
  unpack_scales_mins(block.scales, out);
  for (int c = 0; c < 4; ++c) {
    for (int i = 0; i < 32; ++i) {
      const int low = block.qs[32 * c + i] & 15, high = block.qs[32 * c + i] >> 4;
      const int bits = block.qh[i] >> (2 * c);
      out->q[64 * c + i] = static_cast<int8_t>(low | ((bits & 1) << 4));
      out->q[64 * c + 32 + i] = static_cast<int8_t>(high | ((bits & 2) << 3));
    }
  }
}

inline void unpack(const BlockQ6_K& block, UnpackedBlock* out) {
  out->d = f16_to_f32(block.d);
  for (int i = 0; i < 16; ++i) out->scale[i] = block.scales[i];
  for (int half = 0; half < 2; ++half) {
    const uint8_t* ql = block.ql + 64 * half;
    const uint8_t* qh = block.qh + 32 * half;
    int8_t* q = out->q + 128 * half;
    for (int i = 0; i < 32; ++i) {
      q[i] = static_cast<int8_t>(((ql[i] & 15) | ((qh[i] & 3) << 4)) - 32);
      q[32 + i] = static_cast<int8_t>(((ql[32 + i] & 15) | (((qh[i] >> 2) & 3) << 4)) - 32);
      q[64 + i] = static_cast<int8_t>(((ql[i] >> 4) | (((qh[i] >> 4) & 3) << 4)) - 32);
      q[96 + i] = static_cast<int8_t>(((ql[32 + i] >> 4) | ((qh[i] >> 6) << 4)) - 32);
    }
  }
}

// The order of BlockQ2_K, with `offset` added to every two-bit level.
inline void unpack_two_bits(const uint8_t (&qs)[64], int offset, UnpackedBlock* out) {
  for (int c = 0; c < 8; ++c) {
    for (int i = 0; i < 32; ++i) {
      const int bits = qs[32 * (c / 4) + i] >> (2 * (c % 4));
      out->q[32 * c + i] = static_cast<int8_t>((bits & 3) + offset);
    }
  }
}

inline void unpack(const BlockQ2_K& block, UnpackedBlock* out) {
  out->d = f16_to_f32(block.d);
  out->dmin = f16_to_f32(block.dmin);
  for (int i = 0; i < 16; ++i) {
    out->scale[i] = static_cast<int8_t>(block.scales[i] & 15);
    out->min[i] = static_cast<int8_t>(block.scales[i] >> 4);
  }
  unpack_two_bits(block.qs, 0, out);
}

inline void unpack(const BlockQ3_K& block, UnpackedBlock* out) {
  out->d = f16_to_f32(block.d);
  for (int i = 0; i < 4; ++i) {
    const uint8_t low = block.scales[i], next = block.scales[4 + i], high = block.scales[8 + i];
    out->scale[i] = static_cast<int8_t>(((low & 15) | ((high & 3) << 4)) - 32);
    out->scale[4 + i] = static_cast<int8_t>(((next & 15) | (((high >> 2) & 3) << 4)) - 32);
    out->scale[8 + i] = static_cast<int8_t>(((low >> 4) | (((high >> 4) & 3) << 4)) - 32);
    out->scale[12 + i] = static_cast<int8_t>(((next >> 4) | ((high >> 6) << 4)) - 32);
  }
  unpack_two_bits(block.qs, -4, out);
  for (int k = 0; k < kSuperblock; ++k) {
    const int third = (block.hmask[k % 32] >> (k / 32)) & 1;
    out->q[k] = static_cast<int8_t>(out->q[k] + 4 * third);
  }
}

// Ternary blocks have one scale.
inline void set_unit_scales(UnpackedBlock* out) {
  for (int i = 0; i < 16; ++i) out->scale[i] = 1;
}

inline void unpack(const BlockTQ2_0& block, UnpackedBlock* out) {
  out->d = f16_to_f32(block.d);
  set_unit_scales(out);
  unpack_two_bits(block.qs, -1, out);
}

inline void unpack(const BlockTQ1_0& block, UnpackedBlock* out) {
  out->d = f16_to_f32(block.d);
  set_unit_scales(out);
  int8_t* q = out->q;
  const auto take_digits = [&q](const uint8_t* bytes, int num_bytes, int num_digits) {
    for (int i = 0; i < num_bytes; ++i) {
      int fraction = bytes[i];  // of 256; a digit is what times 3 carries over
      for (int digit = 0; digit < num_digits; ++digit) {
        fraction *= 3;
        q[digit * num_bytes + i] = static_cast<int8_t>((fraction >> 8) - 1);
        fraction &= 255;
      }
    }
    q += num_bytes * num_digits;
  };
  take_digits(block.qs, 32, 5);
  take_digits(block.qs + 32, 16, 5);
  take_digits(block.qh, 4, 4);
}

}  // namespace ruvllm::kernels
