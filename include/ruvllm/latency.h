// Where a request's time went. Microseconds of wall clock.
#pragma once

#include <cstdint>
#include <string_view>

#include <ruvllm/export.h>

namespace ruvllm {

struct RUVLLM_API LatencyBreakdown {
  uint64_t tokenization_us = 0;  // template, encoding the prompt, decoding the answer
  uint64_t prefill_us = 0;       // steps until the first token, sampling excluded
  uint64_t decode_us = 0;        // the other steps, sampling excluded
  uint64_t sampling_us = 0;
  uint64_t lora_us = 0;  // adapters

  double total_ms() const;
  // Name of the largest part: "tokenization", "prefill", "decode", "sampling" or "lora".
  std::string_view bottleneck() const;
};

}  // namespace ruvllm
