// Quantized products with AMX: a tile instruction makes 16 x 16 sums of 64 products of bytes. Used
// for whole tiles of 16 rows of x; the rest goes the way of AVX-512 over the same slices. The sums
// are the exact integers of the other instruction sets and the float chain is theirs (matmul.h).
#include "kernels/cpu/amx/matmul.h"

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/amx/entries.h"
#include "kernels/cpu/amx/panels.h"
#include "kernels/cpu/avx512/vnni.h"
#include "kernels/cpu/packed/packed_formats-inl.h"
#include "kernels/cpu/packed/packed_matmul-inl.h"

namespace ruvllm::kernels::amx {
namespace {

constexpr size_t kTileX = 16;
using Sums = int32_t[16][16];  // [x row][weight row]

// What LDTILECFG reads (Intel SDM, palette 1). Tiles 0 to 3 are sums, 4 and 5 rows of x, 6 and 7
// weights.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t num_rows[16] = {};
};

// `bytes` of k in a row of x: a tile of weights has a fourth as many rows.
class TileSession {
 public:
  explicit TileSession(int bytes) {
    TileConfig config;
    for (int tile = 0; tile < 8; ++tile) {
      const bool is_x = tile == 4 || tile == 5, is_weights = tile >= 6;
      config.row_bytes[tile] = static_cast<uint16_t>(is_x ? bytes : 64);
      config.num_rows[tile] = static_cast<uint8_t>(is_weights ? bytes / 4 : 16);
    }
    _tile_loadconfig(&config);
  }
  ~TileSession() { _tile_release(); }
  TileSession(const TileSession&) = delete;
  TileSession& operator=(const TileSession&) = delete;
};

// Tile loads of GCC do not say that they read memory.
RUVLLM_ALWAYS_INLINE void order_memory() { __asm__ volatile("" : : : "memory"); }

// Sums of 32 or 16 rows of x and one superblock: [tile of x][high, low].
struct alignas(64) SuperblockSums {
  Sums high[2], low[2];
};

template <size_t kTiles>
RUVLLM_ALWAYS_INLINE void add_quarter(const int8_t* q8, size_t stride, const SuperblockPanel& panel,
                                      int quarter) {
  const int8_t* x = q8 + 64 * quarter;
  _tile_loadd(6, panel.high + kTileBytes * quarter, 64);
  _tile_loadd(4, x, stride);
  _tile_dpbssd(0, 4, 6);
  if constexpr (kTiles == 2) {
    _tile_loadd(5, x + kTileX * stride, stride);
    _tile_dpbssd(1, 5, 6);
  }
  _tile_loadd(7, panel.low + kTileBytes * quarter, 64);
  _tile_dpbsud(2, 4, 7);
  if constexpr (kTiles == 2) _tile_dpbsud(3, 5, 7);
}

template <size_t kTiles>
RUVLLM_ALWAYS_INLINE void zero_sums() {
  _tile_zero(0);
  _tile_zero(2);
  if constexpr (kTiles == 2) {
    _tile_zero(1);
    _tile_zero(3);
  }
}

template <size_t kTiles>
RUVLLM_ALWAYS_INLINE void store_sums(SuperblockSums& sums) {
  _tile_stored(0, sums.high[0], 64);
  _tile_stored(2, sums.low[0], 64);
  if constexpr (kTiles == 2) {
    _tile_stored(1, sums.high[1], 64);
    _tile_stored(3, sums.low[1], 64);
  }
}

// Where a step of multiply_superblocks is: a tile of rows of x, and a superblock of the part.
struct Step {
  size_t x_row = 0;
  size_t block = 0;

  void advance(size_t num_blocks, size_t num_rows) {
    if (++block == num_blocks) {
      block = 0;
      x_row += num_rows;
    }
  }
};

RUVLLM_ALWAYS_INLINE __mmask16 rows_mask(int num_rows) {
  return static_cast<__mmask16>((1u << num_rows) - 1);
}

// acc[row] + the terms of one superblock, for `count` rows of x from step.x_row + first on.
template <class Format>
RUVLLM_ALWAYS_INLINE void add_terms(const MatmulArgs& args, const SlicePart& part,
                                    const SuperblockPanel& panel, const SuperblockSums& sums,
                                    const Step& step, size_t first, size_t count,
                                    float (*acc)[16]) {
  using V = Avx512Vnni;
  const size_t row_blocks = static_cast<size_t>(args.num_cols) / kSuperblock;
  const size_t block =
      (step.x_row + first) * row_blocks + static_cast<size_t>(part.first_block) + step.block;
  const float* x_scales = args.x.scales + block;
  const int16_t* x_sums = Format::kHasMins ? args.x.sums32 + 8 * block : nullptr;
  const __m512 d = _mm512_load_ps(panel.d), dmin = _mm512_load_ps(panel.dmin);
  __m512i mins[4];
  for (int p = 0; p < 4; ++p) mins[p] = V::load(panel.mins[p]);
  for (size_t i = first; i < first + count; ++i) {
    const __m512i high = _mm512_load_si512(sums.high[i / kTileX][i % kTileX]);
    const __m512i low = _mm512_load_si512(sums.low[i / kTileX][i % kTileX]);
    const __m512i isum = _mm512_add_epi32(low, _mm512_slli_epi32(high, 8));
    const __m512 d_x = _mm512_set1_ps(*x_scales);
    __m512 out = _mm512_load_ps(acc[i]);
    out = _mm512_fmadd_ps(_mm512_mul_ps(d, d_x), _mm512_cvtepi32_ps(isum), out);
    if constexpr (Format::kHasMins) {
      __m512i msum = _mm512_setzero_si512();
      for (int p = 0; p < 4; ++p) msum = V::add_pairs(msum, mins[p], V::broadcast(x_sums + 2 * p));
      out = _mm512_fnmadd_ps(_mm512_mul_ps(dmin, d_x), _mm512_cvtepi32_ps(msum), out);
      x_sums += 8 * row_blocks;
    }
    _mm512_store_ps(acc[i], out);
    x_scales += row_blocks;
  }
}

// Tiles of kTiles * 16 rows of x times the superblocks of a part. The terms of a step are added
// while the tiles of a later one are multiplied, when the sums have long left the tiles.
template <class Format, size_t kTiles>
RUVLLM_NEVER_INLINE void multiply_superblocks(const MatmulArgs& args, const SlicePart& part,
                                              const SuperblockPanel* panels, size_t num_x,
                                              float* dst) {
  constexpr size_t kRows = kTiles * kTileX, kLag = 2;
  const auto num_cols = static_cast<size_t>(args.num_cols);
  const auto num_blocks = static_cast<size_t>(part.num_blocks);
  const int8_t* q8 = args.x.q8 + static_cast<size_t>(part.first_block) * kSuperblock;
  const __mmask16 mask = rows_mask(part.num_rows);
  const size_t num_steps = num_x / kRows * num_blocks;
  alignas(64) float acc[kRows][16];
  SuperblockSums sums[kLag + 1];
  Step ahead, behind;
  for (size_t s = 0; s < num_steps + kLag; ++s) {
    const bool multiplies = s < num_steps, adds = s >= kLag;
    float* out = dst + behind.x_row * args.dst_stride;
    if (multiplies) zero_sums<kTiles>();
    if (adds && behind.block == 0) {
      for (size_t i = 0; i < kRows; ++i) {
        _mm512_store_ps(acc[i], part.first_block == 0
                                    ? _mm512_setzero_ps()
                                    : _mm512_maskz_loadu_ps(mask, out + i * args.dst_stride));
      }
    }
    for (int quarter = 0; quarter < 4; ++quarter) {
      if (multiplies) {
        add_quarter<kTiles>(q8 + ahead.x_row * num_cols + ahead.block * kSuperblock, num_cols,
                            panels[ahead.block], quarter);
      }
      if (adds) {
        add_terms<Format>(args, part, panels[behind.block], sums[(s - kLag) % (kLag + 1)], behind,
                          static_cast<size_t>(quarter) * (kRows / 4), kRows / 4, acc);
      }
    }
    if (multiplies) {
      store_sums<kTiles>(sums[s % (kLag + 1)]);
      order_memory();
      ahead.advance(num_blocks, kRows);
    }
    if (!adds) continue;
    if (behind.block + 1 == num_blocks) {
      for (size_t i = 0; i < kRows; ++i) {
        _mm512_mask_storeu_ps(out + i * args.dst_stride, mask, _mm512_load_ps(acc[i]));
      }
    }
    behind.advance(num_blocks, kRows);
  }
}

// `args` without its first rows of x.
MatmulArgs without_first_x(const MatmulArgs& args, size_t count, size_t group_elements) {
  const auto num_cols = static_cast<size_t>(args.num_cols);
  MatmulArgs rest = args;
  if (args.x.q8 != nullptr) rest.x.q8 += count * num_cols;
  if (args.x.q16 != nullptr) rest.x.q16 += count * num_cols;
  rest.x.scales += count * (num_cols / group_elements);
  if (args.x.sums16 != nullptr) rest.x.sums16 += count * (num_cols / 16);
  if (args.x.sums32 != nullptr) rest.x.sums32 += count * (num_cols / 32);
  rest.num_x_rows -= static_cast<int32_t>(count);
  return rest;
}

template <class Format>
struct Superblocks {
  using Panel = SuperblockPanel;
  using Packed = typename Format::Packed;
  static constexpr int kXBytes = 64;  // of a tile's row

  static RUVLLM_ALWAYS_INLINE void decode(const uint8_t* words, const uint8_t* halves,
                                          Panel& panel) {
    Format::decode(words, halves, panel);
  }
  static RUVLLM_ALWAYS_INLINE void multiply(const MatmulArgs& args, const SlicePart& part,
                                            const Panel* panels, size_t num_x, float* dst) {
    const size_t paired = num_x / (2 * kTileX) * (2 * kTileX);
    if (paired != 0) multiply_superblocks<Format, 2>(args, part, panels, paired, dst);
    if (paired == num_x) return;
    multiply_superblocks<Format, 1>(without_first_x(args, paired, kSuperblock), part, panels,
                                    kTileX, dst + paired * args.dst_stride);
  }
};

// Sums of 16 rows of x and one block of 32.
struct alignas(64) Block32Sums {
  Sums first, second;
};

// Two blocks are under way at a time, in tiles of their own.
template <class Format>
RUVLLM_ALWAYS_INLINE void multiply_block(const void* x, size_t stride, const Block32Panel& panel,
                                         bool is_odd, Block32Sums& sums) {
  if (is_odd) {
    _tile_loadd(5, x, stride);
    _tile_loadd(7, panel.first, 64);
    _tile_zero(1);
    if constexpr (Format::kHas16BitX) {
      _tile_dpbusd(1, 5, 7);
      _tile_loadd(7, panel.second, 64);
      _tile_zero(3);
      _tile_dpbssd(3, 5, 7);
      _tile_stored(3, sums.second, 64);
    } else {
      _tile_dpbssd(1, 5, 7);
    }
    _tile_stored(1, sums.first, 64);
  } else {
    _tile_loadd(4, x, stride);
    _tile_loadd(6, panel.first, 64);
    _tile_zero(0);
    if constexpr (Format::kHas16BitX) {
      _tile_dpbusd(0, 4, 6);
      _tile_loadd(6, panel.second, 64);
      _tile_zero(2);
      _tile_dpbssd(2, 4, 6);
      _tile_stored(2, sums.second, 64);
    } else {
      _tile_dpbssd(0, 4, 6);
    }
    _tile_stored(0, sums.first, 64);
  }
}

template <class Format>
RUVLLM_ALWAYS_INLINE void add_block_terms(const Block32Panel& panel, const Block32Sums& sums,
                                          const float* x_scales, size_t stride, __m512 (&acc)[16]) {
  const __m512 d = _mm512_load_ps(panel.d);
#pragma GCC unroll 16
  for (size_t i = 0; i < kTileX; ++i) {
    __m512i isum = _mm512_load_si512(sums.first[i]);
    if constexpr (Format::kHas16BitX) {
      const __m512i high = _mm512_load_si512(sums.second[i]);
      isum = _mm512_add_epi32(isum, _mm512_slli_epi32(high, 8));
    }
    const __m512 scale = _mm512_mul_ps(d, _mm512_set1_ps(x_scales[i * stride]));
    acc[i] = _mm512_fmadd_ps(scale, _mm512_cvtepi32_ps(isum), acc[i]);
  }
}

// The terms of a block are added while the second one after it is multiplied.
template <class Format>
RUVLLM_NEVER_INLINE void multiply_blocks32(const MatmulArgs& args, const SlicePart& part,
                                           const Block32Panel* panels, size_t first_x, float* dst) {
  constexpr size_t kLag = 2;
  const auto num_cols = static_cast<size_t>(args.num_cols);
  const auto num_blocks = static_cast<size_t>(part.num_blocks);
  const size_t row_blocks = num_cols / kBlock32;
  const size_t first_block = first_x * row_blocks + static_cast<size_t>(part.first_block);
  const float* x_scales = args.x.scales + first_block;
  const __mmask16 mask = rows_mask(part.num_rows);
  __m512 acc[kTileX];
#pragma GCC unroll 16
  for (size_t i = 0; i < kTileX; ++i) {
    acc[i] = part.first_block == 0 ? _mm512_setzero_ps()
                                   : _mm512_maskz_loadu_ps(mask, dst + i * args.dst_stride);
  }
  Block32Sums sums[4];
  for (size_t b = 0; b < num_blocks + kLag; ++b) {
    if (b < num_blocks) {
      const size_t at = (first_block + b) * kBlock32;
      if constexpr (Format::kHas16BitX) {
        multiply_block<Format>(args.x.q16 + at, 2 * num_cols, panels[b], b % 2 != 0, sums[b % 4]);
      } else {
        multiply_block<Format>(args.x.q8 + at, num_cols, panels[b], b % 2 != 0, sums[b % 4]);
      }
      order_memory();
    }
    if (b >= kLag) {
      const size_t done = b - kLag;
      add_block_terms<Format>(panels[done], sums[done % 4], x_scales + done, row_blocks, acc);
    }
  }
#pragma GCC unroll 16
  for (size_t i = 0; i < kTileX; ++i) {
    _mm512_mask_storeu_ps(dst + i * args.dst_stride, mask, acc[i]);
  }
}

template <class Format>
struct Blocks32 {
  using Panel = Block32Panel;
  using Packed = typename Format::Packed;
  static constexpr int kXBytes = Format::kHas16BitX ? 64 : 32;

  static RUVLLM_ALWAYS_INLINE void decode(const uint8_t* words, const uint8_t* halves,
                                          Panel& panel) {
    Format::decode(words, halves, panel);
  }
  static RUVLLM_ALWAYS_INLINE void multiply(const MatmulArgs& args, const SlicePart& part,
                                            const Panel* panels, size_t num_x, float* dst) {
    for (size_t m = 0; m < num_x; m += kTileX) {
      multiply_blocks32<Format>(args, part, panels, m, dst + m * args.dst_stride);
    }
  }
};

// All rows of x times at most a chunk of a slice, decoded into `panels`.
template <class Family>
RUVLLM_ALWAYS_INLINE void multiply_chunk(const MatmulArgs& args, const SlicePart& part,
                                         typename Family::Panel* panels, float* dst) {
  using Packed = typename Family::Packed;
  const size_t num_x = static_cast<size_t>(args.num_x_rows);
  const size_t num_tiled = num_x / kTileX * kTileX;
  for (int b = 0; b < part.num_blocks; ++b) {
    Family::decode(part.words + static_cast<size_t>(b) * kWordsBytes<Packed>,
                   part.halves + static_cast<size_t>(b) * kHalvesBytes<Packed>, panels[b]);
  }
  order_memory();
  Family::multiply(args, part, panels, num_tiled, dst);
  if (num_tiled < num_x) {
    multiply_all_x<Avx512Vnni, Packed>(without_first_x(args, num_tiled, Packed::kGroupElements),
                                       part, dst + num_tiled * args.dst_stride);
  }
}

template <class Family>
void packed(const MatmulArgs& args) noexcept {
  using Packed = typename Family::Packed;
  if (args.num_x_rows < static_cast<int32_t>(kTileX)) {
    return matmul_packed<Avx512Vnni, Packed>(args);
  }
  const TileSession tiles(Family::kXBytes);
  auto* panels = reinterpret_cast<typename Family::Panel*>(args.scratch);
  const int num_blocks = args.num_cols / Packed::kBlockElements;
  for (int32_t r = 0; r < args.num_weight_rows; r += kSliceRows) {
    const auto* slice = reinterpret_cast<const uint8_t*>(args.weights) +
                        static_cast<size_t>(r) * args.weight_row_stride;
    const uint8_t* halves = slice + static_cast<size_t>(num_blocks) * kWordsBytes<Packed>;
    for (int b = 0; b < num_blocks; b += kChunkBlocks<Packed>) {
      const int left = num_blocks - b;
      const SlicePart part = {slice + static_cast<size_t>(b) * kWordsBytes<Packed>,
                              halves + static_cast<size_t>(b) * kHalvesBytes<Packed>,
                              left < kChunkBlocks<Packed> ? left : kChunkBlocks<Packed>, b,
                              rows_of_slice(args, r)};
      multiply_chunk<Family>(args, part, panels, args.dst + r);
    }
  }
}

template <class Family, DType kType>
void packing(const MatmulArgs& args) noexcept {
  using Packed = typename Family::Packed;
  const PackedLayout layout = packed_layout(kType);
  if (args.num_x_rows < static_cast<int32_t>(kTileX)) {
    return matmul_packing<Avx512Vnni, Packed>(args, layout);
  }
  const TileSession tiles(Family::kXBytes);
  constexpr size_t kPanelBytes = kChunkBlocks<Packed> * sizeof(typename Family::Panel);
  auto* panels = reinterpret_cast<typename Family::Panel*>(args.scratch);
  std::byte* slice = args.scratch + kPanelBytes;
  const auto* words = reinterpret_cast<const uint8_t*>(slice);
  const int num_blocks = args.num_cols / Packed::kBlockElements;
  for (int32_t r = 0; r < args.num_weight_rows; r += kSliceRows) {
    const std::byte* rows = args.weights + static_cast<size_t>(r) * args.weight_row_stride;
    const int num_rows = rows_of_slice(args, r);
    for (int b = 0; b < num_blocks; b += kChunkBlocks<Packed>) {
      const int left = num_blocks - b;
      const int count = left < kChunkBlocks<Packed> ? left : kChunkBlocks<Packed>;
      Avx512Vnni::pack_slice(
          layout, rows + static_cast<size_t>(b) * static_cast<size_t>(layout.block_bytes),
          args.weight_row_stride, num_rows, count, slice);
      const SlicePart part = {words, words + static_cast<size_t>(count) * kWordsBytes<Packed>,
                              count, b, num_rows};
      multiply_chunk<Family>(args, part, panels, args.dst + r);
    }
  }
}

// Panels and a packed slice of one chunk.
template <class Family>
size_t scratch_bytes(int32_t /*num_cols*/) {
  using Packed = typename Family::Packed;
  return static_cast<size_t>(kChunkBlocks<Packed>) *
         (sizeof(typename Family::Panel) + kWordsBytes<Packed> + kHalvesBytes<Packed>);
}

template <class Family, DType kType>
constexpr Entry entry(const char* name) {
  return {kType, name, packing<Family, kType>, packed<Family>, scratch_bytes<Family>};
}

}  // namespace

const Entry kEntries[kNumEntries] = {entry<Blocks32<AmxQ4_0>, DType::kQ4_0>("amx q4_0"),
                                     entry<Blocks32<AmxQ8_0>, DType::kQ8_0>("amx q8_0"),
                                     entry<Superblocks<AmxQ45K<false>>, DType::kQ4_K>("amx q4_K"),
                                     entry<Superblocks<AmxQ45K<true>>, DType::kQ5_K>("amx q5_K"),
                                     entry<Superblocks<AmxQ6K>, DType::kQ6_K>("amx q6_K")};

}  // namespace ruvllm::kernels::amx
