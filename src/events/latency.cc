#include <algorithm>
#include <iterator>
#include <utility>

#include <ruvllm/latency.h>

namespace ruvllm {

double LatencyBreakdown::total_ms() const {
  return static_cast<double>(tokenization_us + prefill_us + decode_us + sampling_us + lora_us) /
         1000.0;
}

std::string_view LatencyBreakdown::bottleneck() const {
  const std::pair<uint64_t, std::string_view> parts[] = {{tokenization_us, "tokenization"},
                                                         {prefill_us, "prefill"},
                                                         {decode_us, "decode"},
                                                         {sampling_us, "sampling"},
                                                         {lora_us, "lora"}};
  return std::max_element(std::begin(parts), std::end(parts),
                          [](const auto& a, const auto& b) { return a.first < b.first; })
      ->second;
}

}  // namespace ruvllm
