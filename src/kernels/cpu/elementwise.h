// Row operations around the matrix products. All work on one row but add_low_rank; thread-safe, no
// allocation.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ruvllm::kernels {

// b: binary16 in slices of kLowRankSlice outputs, [rank, kLowRankSlice] each, and as many readable
// elements as a slice has columns behind the last. Outputs [first_col, first_col + num_cols) of the
// product are added to.
inline constexpr int32_t kLowRankSlice = 64;
struct LowRankArgs {
  const uint16_t* b = nullptr;
  int32_t rank = 0;
  int32_t first_col = 0;
  int32_t num_cols = 0;
  const float* inner = nullptr;  // [num_rows, rank]
  int32_t num_rows = 0;
  float* dst = nullptr;  // dst[m * dst_stride + c], c counted from first_col
  size_t dst_stride = 0;
};

struct ElementwiseKernels {
  const char* name = nullptr;

  // dst = x / sqrt(mean(x^2) + eps) * weight (https://arxiv.org/abs/1910.07467). dst may be x.
  // Squares are summed in double: no overflow, and bit-equal on every ISA.
  void (*rms_norm)(const float* x, const float* weight, float eps, int32_t n, float* dst) noexcept;
  // dst = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps) * weight + bias
  // (https://arxiv.org/abs/1607.06450). dst may be x. Both sums are kept in double.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float eps, int32_t n,
                     float* dst) noexcept;
  // dst += x
  void (*add)(const float* x, int32_t n, float* dst) noexcept;
  // x *= factor
  void (*scale)(float factor, int32_t n, float* x) noexcept;
  // x = cap * tanh(x / cap), cap > 0
  void (*soft_cap)(float cap, int32_t n, float* x) noexcept;
  // dst = gate * sigmoid(gate) * up (SwiGLU, https://arxiv.org/abs/2002.05202). dst may be gate or
  // up.
  void (*swiglu)(const float* gate, const float* up, int32_t n, float* dst) noexcept;
  // dst = GELU(gate) * up (GeGLU) with GELU(x) = x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
  // (https://arxiv.org/abs/1606.08415). dst may be gate or up.
  void (*geglu_tanh)(const float* gate, const float* up, int32_t n, float* dst) noexcept;
  // dst = x / 2 (1 + erf(x / sqrt(2))), the same paper's GELU itself. dst may be x.
  void (*gelu)(const float* x, int32_t n, float* dst) noexcept;
  // Rotary embedding (https://arxiv.org/abs/2104.09864) in place on num_heads heads of head_dim.
  // cos and sin hold rope_dim / 2 angles; dimensions from rope_dim on stay as they are.
  // neox rotates pairs (i, i + rope_dim / 2); interleaved rotates pairs (2i, 2i + 1).
  void (*rope_neox)(float* x, const float* cos, const float* sin, int32_t rope_dim,
                    int32_t head_dim, int32_t num_heads) noexcept;
  void (*rope_interleaved)(float* x, const float* cos, const float* sin, int32_t rope_dim,
                           int32_t head_dim, int32_t num_heads) noexcept;
  // d = amax / 127, q = round-to-nearest-even(x * (127 / amax)), all zero where amax is 0; the
  // limit of i16 is 32767, that of i14 8191. Layouts as in ActivationRows, n a multiple of the
  // group. Bit-equal on every ISA. A group with a NaN or an infinity gets the scale NaN and zeros,
  // so that every product with it is NaN; one whose amax is so small (below 3.8e-37) that 127 /
  // amax overflows gets all zeros.
  void (*quantize_group32)(const float* x, int32_t n, int8_t* q8, float* scales,
                           int16_t* sums32) noexcept;
  void (*quantize_group32_i16)(const float* x, int32_t n, int16_t* q16, float* scales) noexcept;
  void (*quantize_group32_i14)(const float* x, int32_t n, int16_t* q16, float* scales) noexcept;
  void (*quantize_group256)(const float* x, int32_t n, int8_t* q8, float* scales, int16_t* sums16,
                            int16_t* sums32) noexcept;
  // binary16, round to nearest even; dst[i * dst_stride].
  void (*store_f16)(const float* x, int32_t n, uint16_t* dst, size_t dst_stride) noexcept;
  // dst[m, c] += sum_r inner[m, r] * b[c, r], one fused multiply-add a term in the order of r: an
  // element's bits depend on its row and its column alone.
  void (*add_low_rank)(const LowRankArgs& args) noexcept;
  // max over x without its NaNs, -infinity if nothing else is there; log-sum-exp needs it and
  // sum over exp(x - max), which is accumulated in double and is NaN if x holds one.
  float (*row_max)(const float* x, int32_t n) noexcept;
  double (*sum_exp)(const float* x, int32_t n, float max) noexcept;
};

}  // namespace ruvllm::kernels
