// Parts of a head's memory (adapters/head/memory.h) as blobs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "adapters/head/corrections/correction_memory.h"
#include "adapters/head/memory.h"
#include "base/core/error.h"

namespace ruvllm::sona {

// What states must fit.
struct MemoryShape {
  int32_t padded_dim = 0;
  int32_t vocab_size = 0;
};

std::vector<std::byte> encode_segment(const adapters::MemorySegment& segment);
Result<std::shared_ptr<const adapters::MemorySegment>> decode_segment(
    std::string_view role, std::span<const std::byte> bytes, const MemoryShape& shape);

// States of corrections with the counts of merged ones. Not their sharpness, which is an option.
struct TaughtStates {
  adapters::CorrectionMemory states;
  std::vector<int32_t> counts;
};
std::vector<std::byte> encode_corrections(const adapters::CorrectionMemory& states,
                                          std::span<const int32_t> counts);
Result<TaughtStates> decode_corrections(std::string_view role, std::span<const std::byte> bytes,
                                        const MemoryShape& shape);

// The first `num_states` of a chunk.
std::vector<std::byte> encode_chunk(const adapters::MemoryChunk& chunk, int32_t num_states,
                                    int32_t padded_dim);
// A chunk of exactly so many.
Result<std::shared_ptr<adapters::MemoryChunk>> decode_chunk(std::string_view role,
                                                            std::span<const std::byte> bytes,
                                                            int32_t num_states,
                                                            const MemoryShape& shape);

}  // namespace ruvllm::sona
