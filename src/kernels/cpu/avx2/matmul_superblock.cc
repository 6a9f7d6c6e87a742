// Superblocks of the less common types on AVX2: q2_K, q3_K, iq4_xs, iq1, iq2, iq3 and ternary.
//
// A type says how to take one row's block apart (avx2/rows/): 8 vectors of 32 levels and up to 16
// scales. Products of a few x rows do so in registers, one row after the other; products of many
// write 8 rows to the first-level cache and transpose them into a panel. Everything else is common.
//
// Levels are unsigned, level - kOffset being the integer weight; only iq4_xs, whose span is too
// wide, keeps its sign. vpmaddubsw multiplies levels and activations: pairs sum to at most 2 * 127
// * 127 = 32258. vpmaddwd applies the scale and widens: the largest |isum| <= 31 * 124 * 127 * 256
// < 2^27 is exact in int32.
#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/avx2/matmul_driver.h"
#include "kernels/cpu/avx2/matmul_entries.h"
#include "kernels/cpu/avx2/matmul_simd.h"
#include "kernels/cpu/avx2/rows/grid_rows.h"
#include "kernels/cpu/avx2/rows/level_rows.h"
#include "kernels/cpu/matmul.h"
#include "tensor/blocks.h"

namespace ruvllm::kernels::avx2 {
namespace {

// How many quads of products fit an int16 sum, a power of two of at most `limit`.
constexpr int quads_per_sum(int max_level, int limit) {
  int quads = limit;
  while (quads > 1 && quads * 2 * max_level * 127 > 32767) quads /= 2;
  return quads;
}

// x's sums over 16 in the order of RowScales: even groups in the low lane, odd ones in the high.
RUVLLM_INLINE __m256i even_odd_sums(const XRow& x, ptrdiff_t k) {
  const __m256i even_odd_words = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
  return _mm256_permute4x64_epi64(_mm256_shuffle_epi8(load256(x.sums16 + k / 16), even_odd_words),
                                  0xd8);
}

template <class Row>
struct RowFormat {
  static constexpr int kBlockElements = kSuperblock;
  static constexpr int kGroupElements = kSuperblock;
  static constexpr int kPanelElements = kBytePanelElements;
  static constexpr int kBlockBytes = Row::kBlockBytes;
  static constexpr int kNumGroups = kSuperblock / Row::kScaleGroup;
  static constexpr int kNumPairs = kNumGroups / 2;
  static constexpr size_t kPairRows = static_cast<size_t>(kNumPairs);

  struct alignas(64) Panel {
    uint8_t weights[64][2][32];                          // [quad of k][group of 8 rows], lane = row
    uint8_t scales[kPairRows][2][32];                    // 2i in the low, 2i + 1 in the high half
    uint8_t mins[Row::kHasMins ? kPairRows : 1][2][32];  // as scales
    float d[2][8];
    float dmin[2][8];
  };

  struct alignas(64) RowPart {
    int32_t isum[8];  // to be added up
    int32_t msum[4];  // to be added up
    int32_t d_dmin;   // both halves as stored
  };

  template <size_t kNumX>
  RUVLLM_INLINE void row_block(const uint8_t* block, const XRow* x, int block_idx, RowPart* parts) {
    const ptrdiff_t k = static_cast<ptrdiff_t>(block_idx) * kSuperblock;
    const __m256i scales = Row::scales(block);
    __m256i isum[kNumX];
    for (size_t i = 0; i < kNumX; ++i) {
      isum[i] = _mm256_setzero_si256();
      if constexpr (Row::kOffset != 0) {
        const __m256i sums = _mm256_madd_epi16(scales, even_odd_sums(x[i], k));
        isum[i] = _mm256_mullo_epi32(sums, _mm256_set1_epi32(-Row::kOffset));
      }
    }
#pragma GCC unroll 8
    for (int c = 0; c < 8; ++c) {
      const __m256i levels = Row::levels(block, c);
      const __m256i scale = _mm256_shuffle_epi8(scales, spread_word(c));
      for (size_t i = 0; i < kNumX; ++i) {
        const __m256i q8 = load256(x[i].q8 + k + 32 * c);
        __m256i products;
        if constexpr (Row::kSigned) {
          products = _mm256_maddubs_epi16(_mm256_abs_epi8(levels), _mm256_sign_epi8(q8, levels));
        } else {
          products = _mm256_maddubs_epi16(levels, q8);
        }
        isum[i] = _mm256_add_epi32(isum[i], _mm256_madd_epi16(products, scale));
      }
    }
    for (size_t i = 0; i < kNumX; ++i) {
      RowPart& part = parts[i * kGroupRows];
      store256(part.isum, isum[i]);
      if constexpr (Row::kHasMins) {
        const __m256i sums = _mm256_madd_epi16(Row::mins(block), even_odd_sums(x[i], k));
        _mm_store_si128(
            reinterpret_cast<__m128i*>(part.msum),
            _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1)));
      }
      part.d_dmin = Row::d_dmin(block);
    }
  }

  // The float chain of the contract for one superblock of 8 rows; msum counts with minimums only.
  RUVLLM_INLINE __m256 add_chain(__m256 d, __m256 dmin, __m256i isum, __m256i msum, const XRow& x,
                                 int block_idx, __m256 acc) {
    const __m256 dx = _mm256_set1_ps(x.scales[block_idx]);
    acc = _mm256_fmadd_ps(_mm256_mul_ps(d, dx), _mm256_cvtepi32_ps(isum), acc);
    if constexpr (Row::kHasMins) {
      acc = _mm256_fnmadd_ps(_mm256_mul_ps(dmin, dx), _mm256_cvtepi32_ps(msum), acc);
    }
    return acc;
  }

  RUVLLM_INLINE void split_d_dmin(__m256i d_dmin, __m256* d, __m256* dmin) {
    split_halves(d_dmin, d, dmin);
    if constexpr (Row::kFactor != 1.0f) *d = _mm256_mul_ps(*d, _mm256_set1_ps(Row::kFactor));
  }

  RUVLLM_INLINE __m256 add_rows(const RowPart* parts, const XRow& x, int block_idx, __m256 acc) {
    __m256 d, dmin;
    split_d_dmin(gather_i32(reinterpret_cast<const uint8_t*>(&parts[0].d_dmin), sizeof(RowPart)),
                 &d, &dmin);
    __m256i mins = _mm256_setzero_si256();
    if constexpr (Row::kHasMins) {
      __m256i msum[4];
      for (int r = 0; r < 4; ++r) {
        msum[r] = _mm256_inserti128_si256(_mm256_castsi128_si256(load128(parts[r].msum)),
                                          load128(parts[r + 4].msum), 1);
      }
      mins = add_pair_64(add_pair_32(msum[0], msum[1]), add_pair_32(msum[2], msum[3]));
    }
    return add_chain(d, dmin, reduce_parts(parts), mins, x, block_idx, acc);
  }

  // Eight rows taken apart, on their way into the panel.
  struct alignas(64) RowBuffer {
    uint8_t levels[kGroupRows][kSuperblock];
    int16_t scales[kGroupRows][16];  // in natural order; 8 of them for groups of 32
    int16_t mins[kGroupRows][16];
    int32_t d_dmin[kGroupRows];
  };

  // RowScales to natural order.
  RUVLLM_INLINE void store_words(__m256i words, int16_t* dst) {
    if constexpr (Row::kScaleGroup == 32) {
      _mm_store_si128(reinterpret_cast<__m128i*>(dst), _mm256_castsi256_si128(words));
    } else {
      const __m128i even = _mm256_castsi256_si128(words);
      const __m128i odd = _mm256_extracti128_si256(words, 1);
      _mm_store_si128(reinterpret_cast<__m128i*>(dst), _mm_unpacklo_epi16(even, odd));
      _mm_store_si128(reinterpret_cast<__m128i*>(dst + 8), _mm_unpackhi_epi16(even, odd));
    }
  }

  RUVLLM_INLINE void transpose_words(const int16_t (*rows)[16], uint8_t (*pairs)[2][32],
                                     int group) {
    for (int quarter = 0; quarter < kNumPairs / 4; ++quarter) {
      __m256i words[4];
      transpose_16_bytes(reinterpret_cast<const uint8_t*>(rows) + 16 * quarter, sizeof(rows[0]),
                         words);
      for (int j = 0; j < 4; ++j) store256(pairs[4 * quarter + j][group], words[j]);
    }
  }

  RUVLLM_INLINE void decode(const uint8_t* weights, size_t stride, Panel* panel) {
    RowBuffer rows;
    for (int group = 0; group < 2; ++group) {
#pragma GCC unroll 1
      for (int r = 0; r < kGroupRows; ++r) {
        const uint8_t* block = weights + static_cast<size_t>(group * kGroupRows + r) * stride;
#pragma GCC unroll 8
        for (int c = 0; c < 8; ++c) store256(rows.levels[r] + 32 * c, Row::levels(block, c));
        store_words(Row::scales(block), rows.scales[r]);
        if constexpr (Row::kHasMins) store_words(Row::mins(block), rows.mins[r]);
        rows.d_dmin[r] = Row::d_dmin(block);
      }
      for (int part = 0; part < 16; ++part) {
        __m256i quads[4];
        transpose_16_bytes(rows.levels[0] + 16 * part, kSuperblock, quads);
        for (int j = 0; j < 4; ++j) store256(panel->weights[4 * part + j][group], quads[j]);
      }
      transpose_words(rows.scales, panel->scales, group);
      if constexpr (Row::kHasMins) transpose_words(rows.mins, panel->mins, group);
      __m256 d, dmin;
      split_d_dmin(load256(rows.d_dmin), &d, &dmin);
      _mm256_store_ps(panel->d[group], d);
      _mm256_store_ps(panel->dmin[group], dmin);
    }
  }

  // Sum over the groups of a superblock of pairs[...] * (sum of x over the group), 8 rows.
  RUVLLM_INLINE __m256i sum_of_pairs(const uint8_t (*pairs)[2][32], int group, const XRow& x,
                                     ptrdiff_t k) {
    const int16_t* sums = Row::kScaleGroup == 16 ? x.sums16 + k / 16 : x.sums32 + k / 32;
    __m256i sum = _mm256_setzero_si256();
    for (int j = 0; j < kNumPairs; ++j) {
      sum = _mm256_add_epi32(
          sum, _mm256_madd_epi16(load256(pairs[j][group]), broadcast_i32(sums + 2 * j)));
    }
    return sum;
  }

  template <size_t kNumX>
  RUVLLM_INLINE void tile(const Panel* panels, int num_blocks, const XRow* x, int first_block,
                          __m256 acc[kNumX][2]) {
    constexpr int kGroupQuads = Row::kScaleGroup / 4;
    constexpr int kQuads = quads_per_sum(Row::kMaxLevel, kGroupQuads);
    for (int b = 0; b < num_blocks; ++b) {
      const Panel& panel = panels[b];
      const ptrdiff_t k = static_cast<ptrdiff_t>(first_block + b) * kSuperblock;
      __m256i isum[kNumX][2];
      for (int group = 0; group < 2; ++group) {
        for (size_t i = 0; i < kNumX; ++i) {
          isum[i][group] = _mm256_setzero_si256();
          if constexpr (Row::kOffset != 0) {
            isum[i][group] = _mm256_mullo_epi32(sum_of_pairs(panel.scales, group, x[i], k),
                                                _mm256_set1_epi32(-Row::kOffset));
          }
        }
      }
#pragma GCC unroll 1
      for (int s = 0; s < kNumGroups; ++s) {
        // The low or the high half of each dword in both.
        const __m256i half = _mm256_add_epi8(_mm256_broadcastsi128_si256(_mm_setr_epi32(
                                                 0x01000100, 0x05040504, 0x09080908, 0x0d0c0d0c)),
                                             _mm256_set1_epi8(static_cast<char>(2 * (s % 2))));
        const __m256i scale0 = _mm256_shuffle_epi8(load256(panel.scales[s / 2][0]), half);
        const __m256i scale1 = _mm256_shuffle_epi8(load256(panel.scales[s / 2][1]), half);
        for (int part = 0; part < kGroupQuads; part += kQuads) {
          const int quad = kGroupQuads * s + part;
          __m256i sum[kNumX][2];
          multiply_quads<kNumX, kQuads, Row::kSigned>(panel.weights + quad, x, k + 4 * quad, sum);
          for (size_t i = 0; i < kNumX; ++i) {
            isum[i][0] = _mm256_add_epi32(isum[i][0], _mm256_madd_epi16(sum[i][0], scale0));
            isum[i][1] = _mm256_add_epi32(isum[i][1], _mm256_madd_epi16(sum[i][1], scale1));
          }
        }
      }
      for (int group = 0; group < 2; ++group) {
        const __m256 d = _mm256_load_ps(panel.d[group]);
        const __m256 dmin = _mm256_load_ps(panel.dmin[group]);
        for (size_t i = 0; i < kNumX; ++i) {
          __m256i msum = _mm256_setzero_si256();
          if constexpr (Row::kHasMins) msum = sum_of_pairs(panel.mins, group, x[i], k);
          acc[i][group] =
              add_chain(d, dmin, isum[i][group], msum, x[i], first_block + b, acc[i][group]);
        }
      }
    }
  }
};

}  // namespace

// Those of types with packed slices (packed/) pack for many rows of x.
void gemv_q2_k(const MatmulArgs& args) noexcept { gemv<RowFormat<RowQ2_K>>(args); }
void gemv_q3_k(const MatmulArgs& args) noexcept { gemv<RowFormat<RowQ3_K>>(args); }
void gemv_iq4_xs(const MatmulArgs& args) noexcept { gemv<RowFormat<RowIQ4_XS>>(args); }

#define RUVLLM_PRODUCTS(name, Row)                                                  \
  void gemv_##name(const MatmulArgs& args) noexcept { gemv<RowFormat<Row>>(args); } \
  void gemm_##name(const MatmulArgs& args) noexcept { gemm<RowFormat<Row>>(args); }

RUVLLM_PRODUCTS(tq1_0, RowTQ1_0)
RUVLLM_PRODUCTS(tq2_0, RowTQ2_0)
RUVLLM_PRODUCTS(iq2_xxs, RowIQ2_XXS)
RUVLLM_PRODUCTS(iq2_xs, RowIQ2_XS)
RUVLLM_PRODUCTS(iq2_s, RowIQ2_S)
RUVLLM_PRODUCTS(iq3_xxs, RowIQ3_XXS)
RUVLLM_PRODUCTS(iq3_s, RowIQ3_S)
RUVLLM_PRODUCTS(iq1_s, RowIQ1_S)
RUVLLM_PRODUCTS(iq1_m, RowIQ1_M)

#undef RUVLLM_PRODUCTS

// The largest panel of these: scales per 16 and minimums.
size_t scratch_bytes_superblock(int32_t) { return panel_scratch_bytes<RowFormat<RowQ2_K>>(); }

}  // namespace ruvllm::kernels::avx2
