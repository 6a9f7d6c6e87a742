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
struct BlockQ4_1 {  // value = d * q + m
  uint16_t d;
  uint16_t m;
  uint8_t qs[16];  // as BlockQ4_0
};
struct BlockQ5_1 {  // value = d * q + m
  uint16_t d;
  uint16_t m;
  uint8_t qh[4];  // as BlockQ5_0
  uint8_t qs[16];
};
struct BlockQ2_K {     // value = d * scale * q - dmin * min; scale and min: 4 bits per 16 elements
  uint8_t scales[16];  // low nibble scale, high nibble min
  uint8_t qs[64];      // bits 2c and 2c + 1 of qs[32h + l]: element 128h + 32c + l
  uint16_t d;
  uint16_t dmin;
};
struct BlockQ3_K {     // value = d * (scale - 32) * (q - 4); a 6-bit scale per 16 elements
  uint8_t hmask[32];   // third bit of q; bit s of hmask[l]: element 32s + l
  uint8_t qs[64];      // low two bits, ordered as in BlockQ2_K
  uint8_t scales[12];  // byte i: low nibble of scale i, high nibble scale 8 + i (i < 8);
                       // bits 2c and 2c + 1 of byte 8 + i: upper bits of scale 4c + i (i < 4)
  uint16_t d;
};

// Levels on a fixed table instead of evenly spaced ones (iq/grids.h).
struct BlockIQ4_NL {  // value = d * kIq4Values[q]
  uint16_t d;
  uint8_t qs[16];  // as BlockQ4_0
};
struct BlockIQ4_XS {  // value = d * (scale - 32) * kIq4Values[q]; a 6-bit scale per 32 elements
  uint16_t d;
  uint16_t scales_h;    // upper two bits of scale s: bits 2s and 2s + 1
  uint8_t scales_l[4];  // low nibble scale 2i, high nibble scale 2i + 1
  uint8_t qs[128];      // 16 bytes per 32 elements, each 16 as in BlockQ4_0
};
struct BlockMXFP4 {  // value = 2^(e - 127) * kMxfp4Values[q] / 2 (OCP microscaling, E2M1 and E8M0)
  uint8_t e;
  uint8_t qs[16];  // as BlockQ4_0
};

// Vectors of 8 (4 for IQ3) magnitudes from a grid (iq/grids.h), and signs.
// 7 sign bits stand for 8: the eighth makes the number of minus signs even.
struct BlockIQ2_XXS {  // value = d * (scale + 1/2) / 4 * grid * sign; a 4-bit scale per 32
  uint16_t d;
  uint16_t qs[32];  // per 32 elements 8 bytes: 4 grid indices, then 4 * 7 sign bits and the scale
};
struct BlockIQ2_XS {  // as BlockIQ2_XXS with a 4-bit scale per 16 elements
  uint16_t d;
  uint16_t qs[32];    // per 8 elements: 9 bits grid index, 7 sign bits
  uint8_t scales[8];  // per 32: low nibble the first 16, high nibble the last 16
};
struct BlockIQ2_S {  // as BlockIQ2_XS with 10-bit indices and all sign bits
  uint16_t d;
  uint8_t qs[32];     // low 8 bits of the index per 8 elements
  uint8_t signs[32];  // bit j: sign of element j of the 8
  uint8_t qh[8];      // per 32: upper two bits of 4 indices
  uint8_t scales[8];
};
struct BlockIQ3_XXS {  // value = d * (scale + 1/2) / 2 * grid * sign; a 4-bit scale per 32
  uint16_t d;
  uint8_t qs[64];                // index per 4 elements
  uint8_t scales_and_signs[32];  // per 32 elements a word: 4 * 7 sign bits and the scale
};
struct BlockIQ3_S {  // value = d * (2 * scale + 1) * grid * sign; a 4-bit scale per 32
  uint16_t d;
  uint8_t qs[64];  // low 8 bits of the index per 4 elements
  uint8_t qh[8];   // bit i of byte s: ninth bit of index 8s + i
  uint8_t signs[32];
  uint8_t scales[4];  // low nibble scale 2i, high nibble scale 2i + 1
};
struct BlockIQ1_S {  // value = d * (2 * scale + 1) * (grid + delta); scale and delta per 32
  uint16_t d;
  uint8_t qs[32];  // low 8 bits of the index per 8 elements
  uint16_t qh[8];  // upper three bits of 4 indices, 3-bit scale, sign of delta = +-1/8
};
struct BlockIQ1_M {  // as BlockIQ1_S with a scale per 16 and a delta per 8 elements
  uint8_t qs[32];
  uint8_t qh[16];     // a nibble per 8 elements: upper three bits of the index, sign of delta
  uint8_t scales[8];  // 4 words: 4 scales of 3 bits each; their upper nibbles are d, lowest first
};

struct BlockTQ1_0 {  // value = d * (t - 1), t in 0..2
  uint8_t qs[48];    // 5 elements a byte: the leading base-3 digits of byte / 256
  uint8_t qh[4];     // 4 elements a byte
  uint16_t d;
};
struct BlockTQ2_0 {  // value = d * (q - 1)
  uint8_t qs[64];    // ordered as in BlockQ2_K
  uint16_t d;
};

static_assert(sizeof(BlockQ4_0) == 18 && sizeof(BlockQ5_0) == 22 && sizeof(BlockQ8_0) == 34);
static_assert(sizeof(BlockQ4_K) == 144 && sizeof(BlockQ5_K) == 176 && sizeof(BlockQ6_K) == 210);
static_assert(sizeof(BlockQ4_1) == 20 && sizeof(BlockQ5_1) == 24);
static_assert(sizeof(BlockQ2_K) == 84 && sizeof(BlockQ3_K) == 110);
static_assert(sizeof(BlockIQ4_NL) == 18 && sizeof(BlockIQ4_XS) == 136 && sizeof(BlockMXFP4) == 17);
static_assert(sizeof(BlockIQ2_XXS) == 66 && sizeof(BlockIQ2_XS) == 74 && sizeof(BlockIQ2_S) == 82);
static_assert(sizeof(BlockIQ3_XXS) == 98 && sizeof(BlockIQ3_S) == 110);
static_assert(sizeof(BlockIQ1_S) == 50 && sizeof(BlockIQ1_M) == 56);
static_assert(sizeof(BlockTQ1_0) == 54 && sizeof(BlockTQ2_0) == 66);

}  // namespace ruvllm
