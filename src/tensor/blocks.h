// Quantization blocks exactly as GGUF stores them (little endian, no padding).
//
// Scales are binary16 bits. The element order of each block and the formula for its values are
// those of ggml; codec.cc is their executable definition.
#pragma once

#include <cstdint>

namespace ruvllm {

inline constexpr int kBlock32 = 32;      // elements of a q4_0, q5_0 or q8_0 block
inline constexpr int kSuperblock = 256;  // elements of a k-quant block

struct BlockQ4_0 {  // value = d * (q - 8)
  uint16_t d;
  uint8_t qs[16];  // element j: low nibble of qs[j]; element j + 16: high nibble
};
struct BlockQ5_0 {  // value = d * (q - 16)
  uint16_t d;
  uint8_t qh[4];   // fifth bit of element j: bit j of the little-endian word
  uint8_t qs[16];  // low four bits, ordered as in BlockQ4_0
};
struct BlockQ8_0 {  // value = d * q
  uint16_t d;
  int8_t qs[32];
};
struct BlockQ4_K {  // value = d * scale * q - dmin * min; scale and min: 6 bits per 32 elements
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];
  uint8_t qs[128];  // chunk c: element 64c + l low nibble, 64c + 32 + l high nibble of qs[32c + l]
};
struct BlockQ5_K {  // as BlockQ4_K with a fifth bit
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];
  uint8_t qh[32];  // bit 2c of qh[l]: element 64c + l; bit 2c + 1: element 64c + 32 + l
  uint8_t qs[128];
};
struct BlockQ6_K {  // value = d * scale * (q - 32); a signed scale per 16 elements
  uint8_t ql[128];
  uint8_t qh[64];
  int8_t scales[16];
  uint16_t d;
};

static_assert(sizeof(BlockQ4_0) == 18 && sizeof(BlockQ5_0) == 22 && sizeof(BlockQ8_0) == 34);
static_assert(sizeof(BlockQ4_K) == 144 && sizeof(BlockQ5_K) == 176 && sizeof(BlockQ6_K) == 210);

}  // namespace ruvllm
