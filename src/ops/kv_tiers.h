// Which tokens of a sequence are read from the quantized store, and which in binary16.
//
// A function of the reading position alone: neither prompt chunks nor the rest of the batch nor a
// reused prefix change what a row sees. The last tokens stay in binary16, between tail_tokens and
// tail_tokens + batch_tokens of them, and so does the first page, which many models attend to
// whatever they read (https://arxiv.org/abs/2309.17453).
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/attention.h"

namespace ruvllm::ops {

struct KvTiers {
  int32_t tail_tokens = 0;
  int32_t batch_tokens = kernels::kPageTokens;  // a multiple of kPageTokens
  static constexpr int32_t kFirstStoredPage = kernels::kSinkTokens / kernels::kPageTokens;

  // The row at `position` reads pages [kFirstStoredPage, stored_pages(position)) from the store.
  int32_t stored_pages(int32_t position) const {
    const int32_t batches = std::max(0, position + 1 - tail_tokens) / batch_tokens;
    return std::max(kFirstStoredPage, batches * (batch_tokens / kernels::kPageTokens));
  }
};

}  // namespace ruvllm::ops
