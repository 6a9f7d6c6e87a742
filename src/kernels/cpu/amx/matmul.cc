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
#include "kernels/cpu/packed/packed_matmul-inl.h"
#include "kernels/cpu/packed/packed_products.h"

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

// Sums of 16 rows of x and one superblock of up to two slices.
struct alignas(64) SuperblockSums {
  Sums high[2], low[2];
};

// Panels of one or two slices: [slice][superblock].
template <class Panel>
struct SlicePanels {
  const Panel* first;
  size_t num_blocks;

  const Panel& at(size_t slice, size_t block) const { return first[slice * num_blocks + block]; }
};

// A tile of x comes from far, with a row in each of 16 lines: it meets the tiles of both slices.
template <size_t kSlices>
RUVLLM_ALWAYS_INLINE void add_quarter(const int8_t* q8, size_t stride,
                                      const SlicePanels<SuperblockPanel>& panels, size_t block,
                                      size_t quarter) {
  const SuperblockPanel& panel = panels.at(0, block);
  _tile_loadd(4, q8 + 64 * quarter, stride);
  _tile_loadd(6, panel.high + kTileBytes * quarter, 64);
  _tile_dpbssd(0, 4, 6);
  _tile_loadd(7, panel.low + kTileBytes * quarter, 64);
  _tile_dpbsud(1, 4, 7);
  if constexpr (kSlices == 2) {
    const SuperblockPanel& second = panels.at(1, block);
    _tile_loadd(6, second.high + kTileBytes * quarter, 64);
    _tile_dpbssd(2, 4, 6);
    _tile_loadd(7, second.low + kTileBytes * quarter, 64);
    _tile_dpbsud(3, 4, 7);
  }
}

template <size_t kSlices>
RUVLLM_ALWAYS_INLINE void zero_sums() {
  _tile_zero(0);
  _tile_zero(1);
  if constexpr (kSlices == 2) {
    _tile_zero(2);
    _tile_zero(3);
  }
}

template <size_t kSlices>
RUVLLM_ALWAYS_INLINE void store_sums(SuperblockSums& sums) {
  _tile_stored(0, sums.high[0], 64);
  _tile_stored(1, sums.low[0], 64);
  if constexpr (kSlices == 2) {
    _tile_stored(2, sums.high[1], 64);
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

// acc[row] + the terms of one superblock of a slice, for `count` rows of x from step.x_row + first
// on.
template <class Format>
RUVLLM_ALWAYS_INLINE void add_terms(const MatmulArgs& args, size_t first_block,
                                    const SuperblockPanel& panel, const Sums& highs,
                                    const Sums& lows, const Step& step, size_t first, size_t count,
                                    float (*acc)[16]) {
  using V = Avx512Vnni;
  const size_t row_blocks = static_cast<size_t>(args.num_cols) / kSuperblock;
  const size_t block = (step.x_row + first) * row_blocks + first_block + step.block;
  const float* x_scales = args.x.scales + block;
  const int16_t* x_sums = nullptr;
  const __m512 d = _mm512_load_ps(panel.d);
  __m512 dmin = d;
  __m512i mins[Format::kNumPairs + 1];
  if constexpr (Format::kHasMins) {
    x_sums = Format::sums(args.x) + 2 * Format::kNumPairs * block;
    dmin = _mm512_load_ps(panel.dmin);
    for (size_t p = 0; p < Format::kNumPairs; ++p) mins[p] = V::load(panel.mins[p]);
  }
  for (size_t i = first; i < first + count; ++i) {
    const __m512i high = _mm512_load_si512(highs[i]), low = _mm512_load_si512(lows[i]);
    const __m512i isum = _mm512_add_epi32(low, _mm512_slli_epi32(high, 8));
    const __m512 d_x = _mm512_set1_ps(*x_scales);
    __m512 out = _mm512_load_ps(acc[i]);
    out = _mm512_fmadd_ps(_mm512_mul_ps(d, d_x), _mm512_cvtepi32_ps(isum), out);
    if constexpr (Format::kHasMins) {
      __m512i msum = _mm512_setzero_si512();
      for (size_t p = 0; p < Format::kNumPairs; ++p) {
        msum = V::add_pairs(msum, mins[p], V::broadcast(x_sums + 2 * p));
      }
      out = _mm512_fnmadd_ps(_mm512_mul_ps(dmin, d_x), _mm512_cvtepi32_ps(msum), out);
      x_sums += 2 * Format::kNumPairs * row_blocks;
    }
    _mm512_store_ps(acc[i], out);
    x_scales += row_blocks;
  }
}

// Tiles of 16 rows of x times the superblocks of the same part of one or two slices. The terms of a
// step are added while the tiles of a later one are multiplied, when the sums have long left the
// tiles.
template <class Format, size_t kSlices>
RUVLLM_NEVER_INLINE void multiply_superblocks(const MatmulArgs& args, const SlicePart& part,
                                              const SuperblockPanel* first_panel, size_t num_x,
                                              float* dst) {
  constexpr size_t kLag = 1, kRowsAtOnce = kTileX / 4;
  const auto num_cols = static_cast<size_t>(args.num_cols);
  const auto num_blocks = static_cast<size_t>(part.num_blocks);
  const auto first_block = static_cast<size_t>(part.first_block);
  const SlicePanels<SuperblockPanel> panels = {first_panel, num_blocks};
  const int8_t* q8 = args.x.q8 + first_block * kSuperblock;
  __mmask16 masks[kSlices];
  for (size_t s = 0; s < kSlices; ++s) {
    masks[s] =
        rows_mask(s + 1 < kSlices ? kSliceRows : part.num_rows - static_cast<int>(s) * kSliceRows);
  }
  const size_t num_steps = num_x / kTileX * num_blocks;
  alignas(64) float acc[kSlices][kTileX][16];
  SuperblockSums sums[kLag + 1];
  Step ahead, behind;
  for (size_t at = 0; at < num_steps + kLag; ++at) {
    const bool multiplies = at < num_steps, adds = at >= kLag;
    float* out = dst + behind.x_row * args.dst_stride;
    if (multiplies) zero_sums<kSlices>();
    if (adds && behind.block == 0) {
      for (size_t s = 0; s < kSlices; ++s) {
        for (size_t i = 0; i < kTileX; ++i) {
          const float* from = out + i * args.dst_stride + s * kSliceRows;
          _mm512_store_ps(acc[s][i], first_block == 0 ? _mm512_setzero_ps()
                                                      : _mm512_maskz_loadu_ps(masks[s], from));
        }
      }
    }
    const SuperblockSums& done = sums[(at + 1) % (kLag + 1)];  // kLag steps ago
    for (size_t quarter = 0; quarter < 4; ++quarter) {
      if (multiplies) {
        add_quarter<kSlices>(q8 + ahead.x_row * num_cols + ahead.block * kSuperblock, num_cols,
                             panels, ahead.block, quarter);
      }
      for (size_t s = 0; s < kSlices && adds; ++s) {
        add_terms<Format>(args, first_block, panels.at(s, behind.block), done.high[s], done.low[s],
                          behind, quarter * kRowsAtOnce, kRowsAtOnce, acc[s]);
      }
    }
    if (multiplies) {
      store_sums<kSlices>(sums[at % (kLag + 1)]);
      order_memory();
      ahead.advance(num_blocks, kTileX);
    }
    if (!adds) continue;
    if (behind.block + 1 == num_blocks) {
      for (size_t s = 0; s < kSlices; ++s) {
        for (size_t i = 0; i < kTileX; ++i) {
          _mm512_mask_storeu_ps(out + i * args.dst_stride + s * kSliceRows, masks[s],
                                _mm512_load_ps(acc[s][i]));
        }
      }
    }
    behind.advance(num_blocks, kTileX);
  }
}

// `args` without its first rows of x.
MatmulArgs without_first_x(const MatmulArgs& args, size_t count, size_t group_elements) {
  const auto num_cols = static_cast<size_t>(args.num_cols);
  MatmulArgs rest = args;
  rest.x.q8 += count * num_cols;
  rest.x.scales += count * (num_cols / group_elements);
  if (args.x.sums16 != nullptr) rest.x.sums16 += count * (num_cols / 16);
  if (args.x.sums32 != nullptr) rest.x.sums32 += count * (num_cols / 32);
  rest.num_x_rows -= static_cast<int32_t>(count);
  return rest;
}

// How a family of formats works on slices: `kSlices` at a time, of which `kChunkElements` columns
// are decoded into panels that stay in the first-level cache.
template <class Format>
struct Superblocks {
  using Panel = SuperblockPanel;
  using Packed = typename Format::Packed;
  static constexpr int kXBytes = 64;    // of a tile's row
  static constexpr int32_t kMinX = 32;  // rows of x from which tiles are faster
  static constexpr int kSlices = 2;
  static constexpr int kChunkElements = 512;

  static RUVLLM_ALWAYS_INLINE void decode(const uint8_t* words, const uint8_t* halves,
                                          Panel& panel) {
    Format::decode(words, halves, panel);
  }
  static RUVLLM_ALWAYS_INLINE void multiply(const MatmulArgs& args, const SlicePart& part,
                                            const Panel* panels, size_t num_x, float* dst) {
    if (part.num_rows > kSliceRows) {
      multiply_superblocks<Format, 2>(args, part, panels, num_x, dst);
    } else {
      multiply_superblocks<Format, 1>(args, part, panels, num_x, dst);
    }
  }
};

// Two blocks are under way at a time, in tiles of their own.
RUVLLM_ALWAYS_INLINE void multiply_block(const int8_t* q8, size_t stride, const Block32Panel& panel,
                                         bool is_odd, Sums& sums) {
  if (is_odd) {
    _tile_loadd(5, q8, stride);
    _tile_loadd(7, panel.levels, 64);
    _tile_zero(1);
    _tile_dpbssd(1, 5, 7);
    _tile_stored(1, sums, 64);
  } else {
    _tile_loadd(4, q8, stride);
    _tile_loadd(6, panel.levels, 64);
    _tile_zero(0);
    _tile_dpbssd(0, 4, 6);
    _tile_stored(0, sums, 64);
  }
}

RUVLLM_ALWAYS_INLINE void add_block_terms(const Block32Panel& panel, const Sums& sums,
                                          const float* x_scales, size_t stride, __m512 (&acc)[16]) {
  const __m512 d = _mm512_load_ps(panel.d);
#pragma GCC unroll 16
  for (size_t i = 0; i < kTileX; ++i) {
    const __m512 isum = _mm512_cvtepi32_ps(_mm512_load_si512(sums[i]));
    const __m512 scale = _mm512_mul_ps(d, _mm512_set1_ps(x_scales[i * stride]));
    acc[i] = _mm512_fmadd_ps(scale, isum, acc[i]);
  }
}

// The terms of a block are added while the second one after it is multiplied.
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
  alignas(64) Sums sums[4];
  for (size_t b = 0; b < num_blocks + kLag; ++b) {
    if (b < num_blocks) {
      const int8_t* q8 = args.x.q8 + (first_block + b) * kBlock32;
      multiply_block(q8, num_cols, panels[b], b % 2 != 0, sums[b % 4]);
      order_memory();
    }
    if (b >= kLag) {
      const size_t done = b - kLag;
      add_block_terms(panels[done], sums[done % 4], x_scales + done, row_blocks, acc);
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
  static constexpr int kXBytes = 32;
  static constexpr int32_t kMinX = 16;
  static constexpr int kSlices = 1;
  static constexpr int kChunkElements = kSliceChunkElements;

  static RUVLLM_ALWAYS_INLINE void decode(const uint8_t* words, const uint8_t* halves,
                                          Panel& panel) {
    Format::decode(words, halves, panel);
  }
  static RUVLLM_ALWAYS_INLINE void multiply(const MatmulArgs& args, const SlicePart& part,
                                            const Panel* panels, size_t num_x, float* dst) {
    for (size_t m = 0; m < num_x; m += kTileX) {
      multiply_blocks32(args, part, panels, m, dst + m * args.dst_stride);
    }
  }
};

template <class Family>
constexpr int kPanelBlocks = Family::kChunkElements / Family::Packed::kBlockElements;
// Of the panels of one chunk.
template <class Family>
constexpr size_t kPanelsBytes =
    static_cast<size_t>(Family::kSlices * kPanelBlocks<Family>) * sizeof(typename Family::Panel);
template <class Family>
constexpr size_t kPackedBytes =
    static_cast<size_t>(kPanelBlocks<Family>) * kSliceBlockBytes<typename Family::Packed>;

// The blocks [first, first + count) of the slice that begins at weight row `row`.
using SlicePartOf = SlicePart (*)(const MatmulArgs& args, int32_t row, int first, int count,
                                  std::byte* scratch);

template <class Packed>
SlicePart packed_part(const MatmulArgs& args, int32_t row, int first, int count,
                      std::byte* /*scratch*/) {
  const auto* slice = reinterpret_cast<const uint8_t*>(args.weights) +
                      static_cast<size_t>(row) * args.weight_row_stride;
  return {slice + static_cast<size_t>(first) * kSliceBlockBytes<Packed>, count, first,
          rows_of_slice(args, row)};
}

template <class Packed, DType kType>
SlicePart packing_part(const MatmulArgs& args, int32_t row, int first, int count,
                       std::byte* scratch) {
  const PackedLayout layout = packed_layout(kType);
  const std::byte* rows = args.weights + static_cast<size_t>(row) * args.weight_row_stride;
  const int num_rows = rows_of_slice(args, row);
  Avx512Vnni::pack_slice(
      layout, rows + static_cast<size_t>(first) * static_cast<size_t>(layout.block_bytes),
      args.weight_row_stride, num_rows, count, scratch);
  return {reinterpret_cast<const uint8_t*>(scratch), count, first, num_rows};
}

// Whole tiles of rows of x, then the rest with AVX-512.
template <class Family, SlicePartOf kPartOf>
RUVLLM_ALWAYS_INLINE void multiply_with_tiles(const MatmulArgs& args) {
  using Packed = typename Family::Packed;
  const TileSession tiles(Family::kXBytes);
  const size_t num_x = static_cast<size_t>(args.num_x_rows), num_tiled = num_x / kTileX * kTileX;
  const MatmulArgs rest = without_first_x(args, num_tiled, Packed::kGroupElements);
  auto* panels = reinterpret_cast<typename Family::Panel*>(args.scratch);
  const int num_blocks = args.num_cols / Packed::kBlockElements;
  constexpr int32_t kRows = Family::kSlices * kSliceRows;
  const auto num_panels = static_cast<size_t>((num_blocks - 1) / kPanelBlocks<Family> + 1);
  PrefetchWalk prefetch(args.prefetch, args.num_prefetch,
                        num_panels * static_cast<size_t>((args.num_weight_rows - 1) / kRows + 1));
  PrefetchWalk nothing(nullptr, 0, 0);
  for (int32_t row = 0; row < args.num_weight_rows; row += kRows) {
    const int32_t end = args.num_weight_rows - row < kRows ? args.num_weight_rows : row + kRows;
    for (int first = 0; first < num_blocks; first += kPanelBlocks<Family>) {
      const int left = num_blocks - first;
      const int count = left < kPanelBlocks<Family> ? left : kPanelBlocks<Family>;
      SlicePart part = {};
      typename Family::Panel* panel = panels;
      for (int32_t r = row; r < end; r += kSliceRows) {
        part = kPartOf(args, r, first, count, args.scratch + kPanelsBytes<Family>);
        for_each_block<Packed>(
            part, 0, [&](int, const uint8_t* words, const uint8_t* halves) RUVLLM_INLINE_LAMBDA {
              Family::decode(words, halves, *panel++);
            });
        if (num_tiled < num_x) {
          multiply_all_x<Avx512Vnni, Packed>(rest, part, nothing,
                                             args.dst + num_tiled * args.dst_stride + r);
        }
      }
      prefetch.step();
      order_memory();
      part.num_rows = end - row;
      Family::multiply(args, part, panels, num_tiled, args.dst + row);
    }
  }
}

template <class Family>
void packed(const MatmulArgs& args) noexcept {
  using Packed = typename Family::Packed;
  if (args.num_x_rows < Family::kMinX) {
    return matmul_packed<Avx512Vnni, Packed>(args);
  }
  multiply_with_tiles<Family, packed_part<Packed>>(args);
}

template <class Family, DType kType>
void packing(const MatmulArgs& args) noexcept {
  using Packed = typename Family::Packed;
  if (args.num_x_rows < Family::kMinX) {
    return matmul_packing<Avx512Vnni, Packed>(args, packed_layout(kType));
  }
  multiply_with_tiles<Family, packing_part<Packed, kType>>(args);
}

// Panels and a packed chunk of a slice; few rows of x pack chunks of kSliceChunkElements alone.
template <class Family, DType kType>
size_t scratch_bytes(int32_t num_cols) {
  const size_t few = packing_scratch_bytes<kType>(num_cols);
  const size_t tiled = kPanelsBytes<Family> + kPackedBytes<Family>;
  return few < tiled ? tiled : few;
}

template <class Family, DType kType>
constexpr Entry entry(const char* name) {
  return {kType, name, packing<Family, kType>, packed<Family>, scratch_bytes<Family, kType>};
}

}  // namespace

const Entry kEntries[kNumEntries] = {entry<Blocks32<AmxQ4_0>, DType::kQ4_0>("amx q4_0"),
                                     entry<Superblocks<AmxQ2K>, DType::kQ2_K>("amx q2_K"),
                                     entry<Superblocks<AmxQ3K>, DType::kQ3_K>("amx q3_K"),
                                     entry<Superblocks<AmxQ4K>, DType::kQ4_K>("amx q4_K"),
                                     entry<Superblocks<AmxQ5K>, DType::kQ5_K>("amx q5_K"),
                                     entry<Superblocks<AmxQ6K>, DType::kQ6_K>("amx q6_K"),
                                     entry<Superblocks<AmxIQ4XS>, DType::kIQ4_XS>("amx iq4_xs")};

}  // namespace ruvllm::kernels::amx
