// Head adapters with something to say, for tests: rows, memory and corrections that nobody learned.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "adapters/head/head_adapter.h"
#include "adapters/head/row_products.h"
#include "base/numeric/random_stream.h"

namespace ruvllm::engine {

struct MadeHead {
  int32_t hidden_dim = 0;
  int32_t vocab_size = 0;
  int32_t num_rows = 60;
  int32_t num_states = 100;
  uint64_t seed = 1;
  int32_t num_fast_heads = 2;
  int32_t num_sealed = 0;  // of the states: they lie in inverted lists, not in chunks
};

class HeadMaker {
 public:
  explicit HeadMaker(const MadeHead& made) : made_(made), random_(made.seed) {}

  std::shared_ptr<const adapters::HeadAdapter> make() {
    adapter_->generation = made_.seed;
    adapter_->features = std::make_shared<adapters::HeadFeatures>(numbers(made_.hidden_dim, 0.05));
    add_rows();
    add_states();
    adapter_->prior.assign(adapter_->num_experts(), 0.2);
    adapter_->prior[0] = 0.5;
    return adapter_;
  }

 private:
  double uniform() { return random_.uniform(count_++); }
  int32_t token() { return static_cast<int32_t>(uniform() * made_.vocab_size); }
  std::vector<float> numbers(int32_t count, double scale) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& x : values) x = static_cast<float>(scale * (2 * uniform() - 1));
    return values;
  }
  size_t blocks() const { return static_cast<size_t>(adapter_->features->padded_dim()) / kBlock32; }

  void add_rows() {
    auto& tokens = adapter_->row_tokens;
    for (int32_t i = 0; i < made_.num_rows; ++i) tokens.push_back(token());
    std::ranges::sort(tokens);
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    for (int32_t h = 0; h < made_.num_fast_heads; ++h) {
      adapters::FastHeadRows& head = adapter_->fast_heads.emplace_back();
      head.rows.resize(tokens.size() * blocks());
      for (size_t r = 0; r < tokens.size(); ++r) {
        adapters::encode_row_q8(numbers(adapter_->features->padded_dim(), 3),
                                head.rows.data() + r * blocks());
      }
      head.biases = numbers(static_cast<int32_t>(tokens.size()), 4);
    }
  }

  void add_states() {
    using adapters::MemoryChunk;
    std::shared_ptr<MemoryChunk> chunk;
    std::vector<float> unit(static_cast<size_t>(adapter_->features->padded_dim()));
    for (int32_t s = 0; s < made_.num_states - made_.num_sealed; ++s) {
      if (s % MemoryChunk::kCapacity == 0) {
        chunk = std::make_shared<MemoryChunk>(static_cast<int32_t>(blocks()));
        adapter_->memory.chunks.push_back(chunk);
        adapter_->memory.num_in_last_chunk = 0;
      }
      adapter_->features->unit(numbers(made_.hidden_dim, 1), unit);
      const size_t place = static_cast<size_t>(adapter_->memory.num_in_last_chunk++);
      adapters::encode_row_q8(unit, chunk->rows.get() + place * blocks());
      chunk->targets[place] = token();
    }
    if (made_.num_sealed > 0) add_segment(made_.num_sealed);
    adapter_->memory_experts = {{20, 0.95f}};
  }

  void add_segment(int32_t num_states) {
    constexpr int32_t kListStates = 16;
    const auto segment = std::make_shared<adapters::MemorySegment>();
    segment->rows.resize(static_cast<size_t>(num_states) * blocks());
    std::vector<float> unit(static_cast<size_t>(adapter_->features->padded_dim()));
    for (int32_t s = 0; s < num_states; ++s) {
      adapter_->features->unit(numbers(made_.hidden_dim, 1), unit);
      BlockQ8_0* row = segment->rows.data() + static_cast<size_t>(s) * blocks();
      adapters::encode_row_q8(unit, row);
      segment->targets.push_back(token());
      if (s % kListStates != 0) continue;
      segment->list_begin.push_back(s);
      segment->centroids.insert(segment->centroids.end(), row, row + blocks());
    }
    segment->list_begin.push_back(num_states);
    adapter_->memory.segments.push_back(segment);
  }

  MadeHead made_;
  RandomStream random_;
  uint64_t count_ = 0;
  std::shared_ptr<adapters::HeadAdapter> adapter_ = std::make_shared<adapters::HeadAdapter>();
};

inline std::shared_ptr<const adapters::HeadAdapter> make_head(const MadeHead& made) {
  return HeadMaker(made).make();
}

}  // namespace ruvllm::engine
