#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <string_view>

#include "api/attention/attention_kernels.h"
#include "base/core/error.h"
#include "base/memory/buffer.h"
#include "device/cpu_device.h"
#include "kernels/cpu/kernel_table.h"
#include <ruvllm/kernels/attention.h>

namespace ruvllm {
namespace {

using kernels::kMaxAttentionRows;
using kernels::kPageTokens;

struct Sizes {
  int32_t num_queries = 0, num_keys = 0;
};

size_t to_size(int32_t value) { return static_cast<size_t>(value); }

Result<int32_t> count_positions(std::string_view name, size_t elements, int32_t num_heads,
                                int32_t head_dim) {
  const size_t each = to_size(num_heads) * to_size(head_dim);
  if (elements == 0 || elements % each != 0) {
    return fail(ErrorCode::kInvalidArgument,
                "{} has {} elements, which is no positive multiple of heads * head_dim = {} * {}",
                name, elements, num_heads, head_dim);
  }
  // Positions are int32, and pages end where the next would begin.
  constexpr size_t kMaxPositions = std::numeric_limits<int32_t>::max() - 4096;
  if (elements / each > kMaxPositions) {
    return fail(ErrorCode::kInvalidArgument, "{} has {} positions; the limit is {}", name,
                elements / each, kMaxPositions);
  }
  return static_cast<int32_t>(elements / each);
}

Result<Sizes> check_shapes(std::span<const float> query, std::span<const float> key,
                           std::span<const float> value, const AttentionConfig& config) {
  constexpr int32_t kMaxHeads = api::kMaxAttentionHeads;
  RUVLLM_TRY(api::check_head_dim(config.head_dim));
  if (config.num_heads <= 0 || config.num_heads > kMaxHeads || config.num_kv_heads <= 0 ||
      config.num_heads % config.num_kv_heads != 0) {
    return fail(ErrorCode::kInvalidArgument,
                "{} query heads cannot share {} KV heads: the first must be a multiple of the "
                "second, at most {}",
                config.num_heads, config.num_kv_heads, kMaxHeads);
  }
  if (!std::isfinite(config.scale)) {
    return fail(ErrorCode::kInvalidArgument, "the scale of the scores is not finite");
  }
  Sizes sizes;
  RUVLLM_ASSIGN(sizes.num_queries,
                count_positions("query", query.size(), config.num_heads, config.head_dim));
  RUVLLM_ASSIGN(sizes.num_keys,
                count_positions("key", key.size(), config.num_kv_heads, config.head_dim));
  if (value.size() != key.size()) {
    return fail(ErrorCode::kInvalidArgument,
                "value has {} elements and key has {}; they must agree", value.size(), key.size());
  }
  if (config.causal && sizes.num_queries > sizes.num_keys) {
    return fail(ErrorCode::kInvalidArgument,
                "{} causal queries for {} keys: the first ones would see none", sizes.num_queries,
                sizes.num_keys);
  }
  return sizes;
}

// Keys and values of one KV head in pages, as kernels::PagedKvHead describes.
class PagedHead {
 public:
  static Result<PagedHead> create(int32_t num_keys, int32_t head_dim) {
    PagedHead head;
    const size_t pages = (to_size(num_keys) + kPageTokens - 1) / kPageTokens;
    head.head_dim_ = to_size(head_dim);
    RUVLLM_ASSIGN(head.pool_, Buffer::allocate(pages * head.page_bytes(), HugePages::kNo,
                                               "attention keys and values"));
    head.block_table_.resize(pages);
    std::iota(head.block_table_.begin(), head.block_table_.end(), 0u);
    return head;
  }

  // key, value: of its first position; positions are `stride` elements apart.
  void fill(const kernels::ElementwiseKernels& kernels, const float* key, const float* value,
            size_t stride, int32_t num_keys) {
    const int32_t dim = static_cast<int32_t>(head_dim_);
    for (size_t token = 0; token < to_size(num_keys); ++token) {
      uint16_t* const keys =
          reinterpret_cast<uint16_t*>(pool_.data() + token / kPageTokens * page_bytes());
      uint16_t* const values = keys + head_dim_ * kPageTokens;
      const size_t slot = token % kPageTokens;
      kernels.store_f16(key + token * stride, dim, keys + slot, kPageTokens);
      kernels.store_f16(value + token * stride, dim, values + slot * head_dim_, 1);
    }
  }

  kernels::PagedKvHead view() const {
    return {pool_.data(), page_bytes(), 0, page_bytes() / 2, block_table_.data()};
  }

 private:
  size_t page_bytes() const { return 2 * head_dim_ * kPageTokens * sizeof(uint16_t); }

  size_t head_dim_ = 0;
  Buffer pool_;
  std::vector<uint32_t> block_table_;
};

Result<std::vector<float>> attend(bool standard, std::span<const float> query,
                                  std::span<const float> key, std::span<const float> value,
                                  const AttentionConfig& config) {
  RUVLLM_ASSIGN(const Sizes sizes, check_shapes(query, key, value, config));
  RUVLLM_ASSIGN(const api::AttentionKernelSet kernels, api::attention_kernels());
  const size_t head_dim = to_size(config.head_dim);
  const size_t q_stride = to_size(config.num_heads) * head_dim;
  const size_t kv_stride = to_size(config.num_kv_heads) * head_dim;
  const size_t scratch_bytes =
      standard ? kernels.attention.standard_scratch_bytes(config.head_dim, sizes.num_keys)
               : kernels.attention.scratch_bytes(config.head_dim);
  RUVLLM_ASSIGN(PagedHead head, PagedHead::create(sizes.num_keys, config.head_dim));
  RUVLLM_ASSIGN(const Buffer scratch,
                Buffer::allocate(scratch_bytes, HugePages::kNo, "attention scratch"));
  std::vector<float> result(query.size());
  std::vector<int32_t> num_visible(kMaxAttentionRows);

  kernels::AttentionArgs args;
  args.q_stride = args.dst_stride = q_stride;
  args.num_visible = num_visible.data();
  args.head_dim = config.head_dim;
  args.scale = config.scale != 0.0f ? config.scale : 1.0f / std::sqrt(static_cast<float>(head_dim));
  args.scratch = scratch.data();
  for (size_t q_head = 0; q_head < to_size(config.num_heads); ++q_head) {
    const size_t group = to_size(config.gqa_ratio());
    const size_t kv_offset = q_head / group * head_dim;
    if (q_head % group == 0) {
      head.fill(kernels.elementwise, key.data() + kv_offset, value.data() + kv_offset, kv_stride,
                sizes.num_keys);
    }
    args.kv = head.view();
    for (int32_t first = 0; first < sizes.num_queries; first += kMaxAttentionRows) {
      const size_t offset = to_size(first) * q_stride + q_head * head_dim;
      args.q = query.data() + offset;
      args.dst = result.data() + offset;
      args.num_rows = std::min(kMaxAttentionRows, sizes.num_queries - first);
      for (int32_t row = 0; row < args.num_rows; ++row) {
        num_visible[to_size(row)] =
            config.causal ? sizes.num_keys - sizes.num_queries + first + row + 1 : sizes.num_keys;
      }
      (standard ? kernels.attention.standard : kernels.attention.paged)(args);
    }
  }
  return result;
}

Result<std::vector<float>> attend_with_one(bool standard, std::span<const float> query,
                                           std::span<const float> key, std::span<const float> value,
                                           float scale, bool causal) {
  if (query.size() > 256) {
    return fail(ErrorCode::kInvalidArgument,
                "the query has {} elements; one head has at most 256 (several heads or queries "
                "take an AttentionConfig)",
                query.size());
  }
  AttentionConfig config;
  config.head_dim = static_cast<int32_t>(query.size());
  config.scale = scale;
  config.causal = causal;
  return attend(standard, query, key, value, config);
}

}  // namespace

Status api::check_head_dim(int32_t head_dim) {
  if (head_dim > 0 && head_dim % 8 == 0 && head_dim <= 256) return {};
  return fail(ErrorCode::kInvalidArgument,
              "head_dim is {}; it must be a multiple of 8 from 8 to 256", head_dim);
}

Result<api::AttentionKernelSet> api::attention_kernels() {
  static const Result<device::KernelChoice> kChoice = device::choose_kernels("");
  if (!kChoice.has_value()) return std::unexpected<Error>(kChoice.error());
  return AttentionKernelSet{kChoice->table.elementwise, kChoice->table.attention};
}

Result<std::vector<float>> flash_attention(std::span<const float> query, std::span<const float> key,
                                           std::span<const float> value,
                                           const AttentionConfig& config) {
  return attend(false, query, key, value, config);
}

Result<std::vector<float>> standard_attention(std::span<const float> query,
                                              std::span<const float> key,
                                              std::span<const float> value,
                                              const AttentionConfig& config) {
  return attend(true, query, key, value, config);
}

Result<std::vector<float>> flash_attention(std::span<const float> query, std::span<const float> key,
                                           std::span<const float> value, float scale, bool causal) {
  return attend_with_one(false, query, key, value, scale, causal);
}

Result<std::vector<float>> standard_attention(std::span<const float> query,
                                              std::span<const float> key,
                                              std::span<const float> value, float scale,
                                              bool causal) {
  return attend_with_one(true, query, key, value, scale, causal);
}

}  // namespace ruvllm
