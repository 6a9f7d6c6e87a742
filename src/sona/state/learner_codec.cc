#include "sona/state/learner_codec.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "adapters/head/expert_weights.h"
#include "adapters/head/hidden_space/hidden_space.h"
#include "sona/state/fields.h"
#include "sona/state/memory_codec.h"

namespace ruvllm::sona {

using adapters::HeadFeatures;
using adapters::MemoryChunk;
using adapters::MemorySegment;
using adapters::MemoryView;

namespace {

template <typename List, typename Fields>
void exchange_count(List& list, std::string_view name, Fields& fields) {
  uint32_t count = static_cast<uint32_t>(list.size());
  fields.number(name, count);
  if constexpr (Fields::kReads) {
    fields.require(count < adapters::kMaxHeadExperts, name, "more experts than a head can have");
    if (!fields.failed()) list.resize(count);
  }
}

// One description for both directions.
template <typename Options, typename Fields>
void exchange_options(Options& options, Fields& fields) {
  exchange_count(options.fast_heads, "num_fast_heads", fields);
  for (auto& head : options.fast_heads) {
    fields.number("rate", head.rate);
    fields.number("most_probable", head.most_probable);
    fields.number("max_shift", head.max_shift);
    fields.number("ewc_lambda", head.ewc_lambda);
    fields.number("ewc_decay", head.ewc_decay);
  }
  fields.number("max_rows", options.max_rows);
  exchange_count(options.memory_experts, "num_memory_experts", fields);
  for (auto& memory : options.memory_experts) {
    fields.number("sharpness", memory.sharpness);
    fields.number("share", memory.share);
  }
  exchange_count(options.hidden_spaces, "num_hidden_spaces", fields);
  for (auto& hidden : options.hidden_spaces) {
    fields.number("rank", hidden.rank);
    fields.number("rate", hidden.rate);
    fields.number("down_rate", hidden.down_rate);
    fields.number("most_probable", hidden.most_probable);
    fields.number("max_shift", hidden.max_shift);
    fields.number("seed", hidden.seed);
  }
  fields.number("max_bytes", options.max_bytes);
  fields.number("base_prior", options.base_prior);
  fields.number("max_harm", options.max_harm);
  fields.number("max_corrections", options.corrections.max_states);
  fields.number("correction_threshold", options.corrections.threshold);
  fields.number("correction_same", options.corrections.same);
  fields.number("correction_sharpness", options.corrections.sharpness);
  fields.number("correction_known", options.corrections.known);
  fields.number("kto_beta", options.kto.beta);
  fields.number("kto_desirable", options.kto.desirable);
  fields.number("kto_undesirable", options.kto.undesirable);
  fields.number("dpo_beta", options.dpo_beta);
}

bool is_between(double value, double low, double high) { return value >= low && value <= high; }

// Within what the learner can work with; NaN is not.
void check_options(const InstantOptions& options, StateReader& reader) {
  constexpr double kMax = 1e6;
  // Exponentials of shifts stay finite.
  constexpr double kMaxShift = 256;
  for (const FastHeadOptions& head : options.fast_heads) {
    reader.require(is_between(head.rate, 0, kMax) && is_between(head.ewc_lambda, 0, kMax) &&
                       is_between(head.ewc_decay, 0, 1) &&
                       is_between(head.max_shift, 0, kMaxShift) && head.most_probable >= 0,
                   "num_fast_heads", "a fast head's options are out of range");
  }
  for (const adapters::MemoryExpert& memory : options.memory_experts) {
    reader.require(is_between(static_cast<double>(memory.sharpness), 0, kMax) &&
                       is_between(static_cast<double>(memory.share), 0, 1),
                   "num_memory_experts", "a memory expert's options are out of range");
  }
  for (const HiddenSpaceOptions& hidden : options.hidden_spaces) {
    reader.require(is_between(hidden.rank, 1, adapters::HiddenSpaceAdapter::kMaxRank) &&
                       is_between(hidden.rate, 0, kMax) && is_between(hidden.down_rate, 0, kMax) &&
                       is_between(hidden.max_shift, 0, kMaxShift) && hidden.most_probable >= 0,
                   "num_hidden_spaces", "a hidden space's options are out of range");
  }
  const CorrectionOptions& corrections = options.corrections;
  constexpr int32_t kMaxCorrections = 1 << 20;
  reader.require(is_between(corrections.max_states, 1, kMaxCorrections) &&
                     is_between(static_cast<double>(corrections.threshold), -1, 1) &&
                     is_between(static_cast<double>(corrections.same), -1, 1) &&
                     is_between(static_cast<double>(corrections.sharpness), 0, kMax) &&
                     is_between(corrections.known, 0, 1),
                 "max_corrections", "the corrections' options are out of range");
  const size_t num_others =
      options.fast_heads.size() + options.memory_experts.size() + options.hidden_spaces.size();
  reader.require(num_others < adapters::kMaxHeadExperts, "num_fast_heads",
                 "with the memory's and the hidden spaces', too many experts");
  reader.require(options.max_rows >= FastHeadLearner::kMaxBatch, "max_rows", "too few");
  reader.require(options.base_prior > 0 && options.base_prior < 1, "base_prior",
                 "not between 0 and 1");
  reader.require(options.max_harm >= 0, "max_harm", "negative or not a number");
  for (const double value :
       {options.kto.beta, options.kto.desirable, options.kto.undesirable, options.dpo_beta}) {
    reader.require(is_between(value, 0, kMax), "kto_beta", "out of range");
  }
}

std::string numbered_role(std::string_view name, size_t number) {
  return fmt::format("{}/{}", name, number);
}
std::string chunk_role(std::string_view name, size_t number) {
  return fmt::format("{}/chunk/{}", name, number);
}

struct MemoryCounts {
  uint32_t num_segments = 0;
  uint32_t num_chunks = 0;
  int32_t num_in_last_chunk = 0;

  // Of chunk `index`.
  int32_t states_in(size_t index) const {
    return index + 1 == num_chunks ? num_in_last_chunk : MemoryChunk::kCapacity;
  }
  template <typename Self, typename Fields>
  static void exchange(Self& self, Fields& fields) {
    fields.number("num_segments", self.num_segments);
    fields.number("num_chunks", self.num_chunks);
    fields.number("num_in_last_chunk", self.num_in_last_chunk);
    if constexpr (Fields::kReads) {
      const bool fits = self.num_chunks == 0
                            ? self.num_in_last_chunk == 0
                            : is_between(self.num_in_last_chunk, 1, MemoryChunk::kCapacity);
      fields.require(fits, "num_in_last_chunk", "no such chunk");
    }
  }
};

class PartsWriter {
 public:
  PartsWriter(std::string_view prefix, int32_t padded_dim, const KnownBlobs* known,
              StateBlobs& blobs)
      : prefix_(prefix), padded_dim_(padded_dim), known_(known), blobs_(blobs) {}

  template <typename Part>
  void part(std::string_view role, const Part& part) {
    write(role, role, part);
  }
  template <typename Part>
  void numbered(std::string_view name, const std::vector<Part>& parts) {
    for (size_t i = 0; i < parts.size(); ++i) write(numbered_role(name, i), name, parts[i]);
  }
  void memory(std::string_view name, const MemoryWriter& memory) {
    const MemoryView& view = memory.view();
    const MemoryCounts counts = {.num_segments = static_cast<uint32_t>(view.segments.size()),
                                 .num_chunks = static_cast<uint32_t>(view.chunks.size()),
                                 .num_in_last_chunk = view.num_in_last_chunk};
    part(name, counts);
    for (size_t s = 0; s < view.segments.size(); ++s) {
      shared(numbered_role(name, s), view.segments[s],
             [&] { return encode_segment(*view.segments[s]); });
    }
    for (size_t c = 0; c < view.chunks.size(); ++c) {
      const int32_t num_states = counts.states_in(c);
      const auto encode = [&] { return encode_chunk(*view.chunks[c], num_states, padded_dim_); };
      if (num_states == MemoryChunk::kCapacity) {
        shared(chunk_role(name, c), view.chunks[c], encode);
      } else {
        add(chunk_role(name, c), encode());
      }
    }
  }
  void corrections(std::string_view name, const CorrectionWriter& corrections) {
    add(name, encode_corrections(corrections.states(), corrections.counts()));
  }
  template <typename Encode>
  void shared(std::string_view role, std::shared_ptr<const void> part, Encode encode) {
    add_shared_blob(blobs_, prefix_ + std::string(role), std::move(part), known_, encode);
  }
  void add(std::string_view role, std::vector<std::byte> bytes) {
    blobs_[prefix_ + std::string(role)] = {.bytes = std::move(bytes)};
  }

 private:
  template <typename Part>
  void write(std::string_view role, std::string_view name, const Part& part) {
    StateWriter writer(name);
    Part::exchange(part, writer);
    add(role, writer.finish());
  }

  std::string prefix_;
  int32_t padded_dim_;
  const KnownBlobs* known_;
  StateBlobs& blobs_;
};

class PartsReader {
 public:
  PartsReader(std::string_view prefix, const StateBlobs& blobs, KnownBlobs* known)
      : prefix_(prefix), blobs_(blobs), known_(known) {}

  void set_shape(const MemoryShape& shape) { shape_ = shape; }

  template <typename Part>
  void part(std::string_view role, Part& part) {
    read(role, role, part);
  }
  template <typename Part>
  void numbered(std::string_view name, std::vector<Part>& parts) {
    for (size_t i = 0; i < parts.size(); ++i) read(numbered_role(name, i), name, parts[i]);
  }
  void memory(std::string_view name, MemoryWriter& memory) {
    MemoryCounts counts;
    part(name, counts);
    std::vector<std::shared_ptr<const MemorySegment>> segments;
    for (size_t s = 0; s < counts.num_segments && status_; ++s) {
      const std::string role = prefix_ + numbered_role(name, s);
      const StateBlob* blob = find(role);
      if (blob == nullptr) return;
      auto segment = decode_segment(role, blob->bytes, shape_);
      if (take(segment, *blob)) segments.push_back(*std::move(segment));
    }
    std::vector<std::shared_ptr<MemoryChunk>> chunks;
    for (size_t c = 0; c < counts.num_chunks && status_; ++c) {
      const std::string role = prefix_ + chunk_role(name, c);
      const StateBlob* blob = find(role);
      if (blob == nullptr) return;
      auto chunk = decode_chunk(role, blob->bytes, counts.states_in(c), shape_);
      if (take(chunk, *blob)) chunks.push_back(*std::move(chunk));
    }
    if (status_) memory.restore(std::move(segments), chunks, counts.num_in_last_chunk);
  }

  void corrections(std::string_view name, CorrectionWriter& corrections) {
    const std::string role = prefix_ + std::string(name);
    const StateBlob* blob = status_ ? find(role) : nullptr;
    if (blob == nullptr) return;
    Result<TaughtStates> taught = decode_corrections(role, blob->bytes, shape_);
    if (!taught) return fail_with(std::unexpected(std::move(taught).error()));
    taught->states.sharpness = corrections.states().sharpness;
    if (!corrections.restore(std::move(taught->states), std::move(taught->counts))) {
      fail_with(
          fail(ErrorCode::kCorrupt, "learned state '{}': more states than it may hold", role));
    }
  }

  // Null, and an error, if there is none.
  const StateBlob* find(const std::string& role) {
    const auto found = blobs_.find(role);
    if (found != blobs_.end()) return &found->second;
    fail_with(fail(ErrorCode::kCorrupt, "learned state '{}': it is missing", role));
    return nullptr;
  }
  void remember(const std::shared_ptr<const void>& part, const StateBlob& blob) {
    if (known_ != nullptr && blob.existing) known_->remember(part, *blob.existing);
  }
  void fail_with(Status status) {
    if (status_) status_ = std::move(status);
  }
  const Status& status() const { return status_; }

 private:
  template <typename Part>
  void read(std::string_view role, std::string_view name, Part& part) {
    if (!status_) return;
    const std::string full_role = prefix_ + std::string(role);
    const StateBlob* blob = find(full_role);
    if (blob == nullptr) return;
    StateReader reader(full_role, name, blob->bytes);
    Part::exchange(part, reader);
    fail_with(reader.finish());
  }
  template <typename Part>
  bool take(const Result<std::shared_ptr<Part>>& part, const StateBlob& blob) {
    if (!part) {
      fail_with(std::unexpected(part.error()));
      return false;
    }
    remember(*part, blob);
    return true;
  }

  std::string prefix_;
  const StateBlobs& blobs_;
  KnownBlobs* known_;
  MemoryShape shape_;
  Status status_;
};

struct StoredOptions {
  InstantOptions options;

  template <typename Self, typename Fields>
  static void exchange(Self& self, Fields& fields) {
    exchange_options(self.options, fields);
    if constexpr (Fields::kReads) check_options(self.options, fields);
  }
};

std::vector<std::byte> encode_features(const HeadFeatures& features, std::string_view model) {
  StateWriter writer("features");
  writer.text("model", model);
  writer.values_of("mean", features.mean());
  return writer.finish();
}

bool is_same(std::span<const float> a, std::span<const float> b) {
  return std::ranges::equal(std::as_bytes(a), std::as_bytes(b));
}

Result<std::shared_ptr<const HeadFeatures>> decode_features(std::string_view role,
                                                            std::span<const std::byte> bytes,
                                                            const LearnerContext& context) {
  constexpr size_t kMaxHiddenDim = size_t{1} << 20;
  std::string model;
  std::vector<float> mean;
  StateReader reader(role, "features", bytes);
  reader.text("model", model);
  reader.require_same(model == context.model, "model",
                      fmt::format("it was learned on the model '{:.80}', not on '{}'; open that "
                                  "model, or forget what was learned",
                                  model, context.model));
  reader.array("mean", mean);
  reader.require(!mean.empty() && mean.size() <= kMaxHiddenDim, "mean", "no hidden state's size");
  reader.require(all_finite(mean), "mean", "it is not finite");
  RUVLLM_TRY(reader.finish());
  if (context.features != nullptr && is_same(mean, context.features->mean())) {
    return context.features;
  }
  if (context.features != nullptr && mean.size() != context.features->mean().size()) {
    return fail(ErrorCode::kInvalidArgument,
                "learned state '{}', field 'mean': {} values; the model's hidden states have {}",
                role, mean.size(), context.features->mean().size());
  }
  return std::make_shared<const HeadFeatures>(std::move(mean));
}

}  // namespace

void encode_learner(const InstantLearner& learner, std::string_view model, std::string_view prefix,
                    const KnownBlobs* known, StateBlobs& blobs) {
  PartsWriter parts(prefix, learner.features()->padded_dim(), known, blobs);
  parts.shared("features", learner.features(),
               [&] { return encode_features(*learner.features(), model); });
  parts.part("options", StoredOptions{learner.options()});
  InstantLearner::exchange_parts(learner, parts);
}

Result<std::unique_ptr<InstantLearner>> decode_learner(const StateBlobs& blobs,
                                                       std::string_view prefix,
                                                       const LearnerContext& context,
                                                       KnownBlobs* known) {
  PartsReader parts(prefix, blobs, known);
  const std::string features_role = std::string(prefix) + "features";
  const StateBlob* features_blob = parts.find(features_role);
  StoredOptions stored;
  parts.part("options", stored);
  RUVLLM_TRY(parts.status());
  RUVLLM_ASSIGN(std::shared_ptr<const HeadFeatures> features,
                decode_features(features_role, features_blob->bytes, context));
  parts.remember(features, *features_blob);
  parts.set_shape({features->padded_dim(), context.vocab_size});
  const auto has_room = [&](const HiddenSpaceOptions& hidden) {
    return hidden.rank <= features->hidden_dim() + 1;
  };
  if (!std::ranges::all_of(stored.options.hidden_spaces, has_room)) {
    return fail(ErrorCode::kCorrupt,
                "learned state '{}options', field 'rank': more than hidden states have values",
                prefix);
  }
  stored.options.head_rows = context.head_rows;
  auto learner = std::make_unique<InstantLearner>(context.kernels, std::move(features),
                                                  std::move(stored.options));
  InstantLearner::exchange_parts(*learner, parts);
  RUVLLM_TRY(parts.status());
  if (!learner->fits_together() ||
      (!learner->rows().empty() && learner->rows().back().token >= context.vocab_size)) {
    return fail(ErrorCode::kCorrupt,
                "learned state '{}rows', field 'entries': they do not fit the fast heads or the "
                "vocabulary of {} tokens",
                prefix, context.vocab_size);
  }
  learner->read_head_rows();
  return learner;
}

}  // namespace ruvllm::sona
