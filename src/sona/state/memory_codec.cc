#include "sona/state/memory_codec.h"

#include <algorithm>

#include "base/numeric/half.h"
#include "sona/state/fields.h"

namespace ruvllm::sona {

using adapters::MemoryChunk;
using adapters::MemorySegment;

namespace {

// Rows are unit vectors or means of such, up to the rounding to 8 bits.
bool are_units(std::span<const BlockQ8_0> rows, size_t blocks_per_row) {
  constexpr double kMaxSquares = 1.05;
  for (size_t first = 0; first < rows.size(); first += blocks_per_row) {
    double squares = 0;
    for (const BlockQ8_0& block : rows.subspan(first, blocks_per_row)) {
      int32_t sum = 0;
      for (const int8_t q : block.qs) sum += int32_t{q} * q;
      const double scale = static_cast<double>(f16_to_f32(block.d));
      squares += scale * scale * sum;
    }
    if (!(squares <= kMaxSquares)) return false;  // NaN included
  }
  return true;
}

bool are_tokens(std::span<const int32_t> targets, int32_t vocab_size) {
  return std::ranges::all_of(targets, [&](int32_t t) { return t >= 0 && t < vocab_size; });
}

// The sum over all states stays exact enough.
bool is_mass(float mass) { return mass >= 1.0f && mass <= 1e9f; }
bool are_masses(std::span<const float> masses, size_t num_states) {
  return masses.empty() || (masses.size() == num_states && std::ranges::all_of(masses, is_mass));
}

constexpr std::string_view kNotUnits = "a row is no unit vector";
constexpr std::string_view kNotTokens = "a token is not in the vocabulary";

// Begins of the lists within `num_states`.
bool are_lists(std::span<const int32_t> begins, size_t num_states) {
  return begins.size() >= 2 && begins.front() == 0 && std::ranges::is_sorted(begins) &&
         static_cast<size_t>(begins.back()) == num_states;
}

}  // namespace

std::vector<std::byte> encode_segment(const MemorySegment& segment) {
  StateWriter writer("memory");
  writer.array("targets", segment.targets);
  writer.array("rows", segment.rows);
  writer.array("masses", segment.masses);
  writer.number("mean_mass", segment.mean_mass);
  writer.array("list_begin", segment.list_begin);
  writer.array("centroids", segment.centroids);
  return writer.finish();
}

Result<std::shared_ptr<const MemorySegment>> decode_segment(std::string_view role,
                                                            std::span<const std::byte> bytes,
                                                            const MemoryShape& shape) {
  const auto segment = std::make_shared<MemorySegment>();
  const size_t blocks_per_row = static_cast<size_t>(shape.padded_dim / kBlock32);
  StateReader reader(role, "memory", bytes);
  reader.array("targets", segment->targets);
  reader.require(are_tokens(segment->targets, shape.vocab_size), "targets", kNotTokens);
  const size_t num_states = segment->targets.size();
  reader.require(num_states > 0, "targets", "there are none");
  reader.array("rows", segment->rows);
  reader.require(segment->rows.size() == num_states * blocks_per_row, "rows",
                 "not one for each target");
  if (!reader.failed()) {
    reader.require(are_units(segment->rows, blocks_per_row), "rows", kNotUnits);
  }
  reader.array("masses", segment->masses);
  reader.number("mean_mass", segment->mean_mass);
  reader.require(are_masses(segment->masses, num_states) && is_mass(segment->mean_mass), "masses",
                 "not one from 1 on for each state");
  reader.array("list_begin", segment->list_begin);
  reader.require(are_lists(segment->list_begin, num_states), "list_begin",
                 "it does not part the states into lists");
  reader.array("centroids", segment->centroids);
  if (!reader.failed()) {
    const size_t num_lists = segment->list_begin.size() - 1;
    reader.require(segment->centroids.size() == num_lists * blocks_per_row, "centroids",
                   "not one for each list");
  }
  if (!reader.failed()) {
    reader.require(are_units(segment->centroids, blocks_per_row), "centroids", kNotUnits);
  }
  RUVLLM_TRY(reader.finish());
  return segment;
}

std::vector<std::byte> encode_corrections(const adapters::CorrectionMemory& states,
                                          std::span<const int32_t> counts) {
  StateWriter writer("corrections");
  writer.array("targets", states.targets);
  writer.array("rows", states.rows);
  writer.array("thresholds", states.thresholds);
  writer.values_of("counts", counts);
  return writer.finish();
}

Result<TaughtStates> decode_corrections(std::string_view role, std::span<const std::byte> bytes,
                                        const MemoryShape& shape) {
  TaughtStates taught;
  const size_t blocks_per_row = static_cast<size_t>(shape.padded_dim / kBlock32);
  StateReader reader(role, "corrections", bytes);
  reader.array("targets", taught.states.targets);
  reader.require(are_tokens(taught.states.targets, shape.vocab_size), "targets", kNotTokens);
  const size_t count = taught.states.num_states();
  reader.array("rows", taught.states.rows);
  reader.require(taught.states.rows.size() == count * blocks_per_row, "rows",
                 "not one for each target");
  if (!reader.failed()) {
    reader.require(are_units(taught.states.rows, blocks_per_row), "rows", kNotUnits);
  }
  reader.array("thresholds", taught.states.thresholds);
  const auto is_threshold = [](float value) { return value > -1.0f && value < 1.0f; };
  reader.require(taught.states.thresholds.size() == count &&
                     std::ranges::all_of(taught.states.thresholds, is_threshold),
                 "thresholds", "not one cosine below 1 for each target");
  reader.array("counts", taught.counts);
  const auto is_count = [](int32_t value) { return value >= 1 && value <= (1 << 30); };
  reader.require(taught.counts.size() == count && std::ranges::all_of(taught.counts, is_count),
                 "counts", "not one from 1 on for each target");
  RUVLLM_TRY(reader.finish());
  return taught;
}

std::vector<std::byte> encode_chunk(const MemoryChunk& chunk, int32_t num_states,
                                    int32_t padded_dim) {
  const size_t count = static_cast<size_t>(num_states);
  const size_t num_blocks = count * static_cast<size_t>(padded_dim / kBlock32);
  StateWriter writer("chunk");
  writer.values_of("targets", std::span<const int32_t>(chunk.targets.get(), count));
  writer.values_of("rows", std::span<const BlockQ8_0>(chunk.rows.get(), num_blocks));
  return writer.finish();
}

Result<std::shared_ptr<MemoryChunk>> decode_chunk(std::string_view role,
                                                  std::span<const std::byte> bytes,
                                                  int32_t num_states, const MemoryShape& shape) {
  const int32_t blocks_per_row = shape.padded_dim / kBlock32;
  const auto chunk = std::make_shared<MemoryChunk>(blocks_per_row);
  const std::span targets(chunk->targets.get(), static_cast<size_t>(num_states));
  const std::span rows(chunk->rows.get(), targets.size() * static_cast<size_t>(blocks_per_row));
  StateReader reader(role, "chunk", bytes);
  reader.values_of("targets", targets);
  reader.require(are_tokens(targets, shape.vocab_size), "targets", kNotTokens);
  reader.values_of("rows", rows);
  reader.require(are_units(rows, static_cast<size_t>(blocks_per_row)), "rows", kNotUnits);
  RUVLLM_TRY(reader.finish());
  return chunk;
}

}  // namespace ruvllm::sona
