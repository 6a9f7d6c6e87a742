#include "sona/state/learner_codec.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/numeric/half.h"
#include "device/cpu_device.h"
#include "sona/instant/toy_model.h"
#include "sona/state/fields.h"
#include "sona/store/testing/store_fixture.h"

namespace ruvllm::sona {
namespace {

using adapters::HeadAdapter;

template <typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

void expect_same_memory(const adapters::MemoryView& a, const adapters::MemoryView& b,
                        size_t blocks_per_row) {
  ASSERT_EQ(a.segments.size(), b.segments.size());
  for (size_t s = 0; s < a.segments.size(); ++s) {
    EXPECT_TRUE(same_bits(a.segments[s]->centroids, b.segments[s]->centroids));
    EXPECT_TRUE(same_bits(a.segments[s]->rows, b.segments[s]->rows));
    EXPECT_EQ(a.segments[s]->list_begin, b.segments[s]->list_begin);
    EXPECT_EQ(a.segments[s]->targets, b.segments[s]->targets);
  }
  ASSERT_EQ(a.chunks.size(), b.chunks.size());
  ASSERT_EQ(a.num_in_last_chunk, b.num_in_last_chunk);
  for (size_t c = 0; c < a.chunks.size(); ++c) {
    const size_t count = c + 1 == a.chunks.size() ? static_cast<size_t>(a.num_in_last_chunk)
                                                  : adapters::MemoryChunk::kCapacity;
    EXPECT_EQ(0, std::memcmp(a.chunks[c]->rows.get(), b.chunks[c]->rows.get(),
                             count * blocks_per_row * sizeof(BlockQ8_0)));
    EXPECT_EQ(0, std::memcmp(a.chunks[c]->targets.get(), b.chunks[c]->targets.get(),
                             count * sizeof(int32_t)));
  }
}

void expect_same(const HeadAdapter& a, const HeadAdapter& b) {
  EXPECT_EQ(a.generation, b.generation);
  EXPECT_EQ(a.row_tokens, b.row_tokens);
  EXPECT_EQ(a.prior, b.prior);
  ASSERT_EQ(a.fast_heads.size(), b.fast_heads.size());
  for (size_t k = 0; k < a.fast_heads.size(); ++k) {
    EXPECT_TRUE(same_bits(a.fast_heads[k].rows, b.fast_heads[k].rows));
    EXPECT_TRUE(same_bits(a.fast_heads[k].biases, b.fast_heads[k].biases));
  }
  ASSERT_EQ(a.hidden_spaces.size(), b.hidden_spaces.size());
  for (size_t k = 0; k < a.hidden_spaces.size(); ++k) {
    EXPECT_TRUE(same_bits(a.hidden_spaces[k].down, b.hidden_spaces[k].down));
    EXPECT_TRUE(same_bits(a.hidden_spaces[k].up, b.hidden_spaces[k].up));
    EXPECT_TRUE(same_bits(a.hidden_spaces[k].projected, b.hidden_spaces[k].projected));
  }
  ASSERT_EQ(a.corrections.size(), b.corrections.size());
  for (size_t k = 0; k < a.corrections.size(); ++k) {
    EXPECT_TRUE(same_bits(a.corrections[k]->rows, b.corrections[k]->rows));
    EXPECT_EQ(a.corrections[k]->targets, b.corrections[k]->targets);
    EXPECT_EQ(a.corrections[k]->thresholds, b.corrections[k]->thresholds);
    EXPECT_EQ(a.corrections[k]->sharpness, b.corrections[k]->sharpness);
  }
  ASSERT_EQ(a.memory_experts.size(), b.memory_experts.size());
  EXPECT_TRUE(same_bits(a.memory_experts, b.memory_experts));
  expect_same_memory(a.memory, b.memory, static_cast<size_t>(a.features->padded_dim() / kBlock32));
}

constexpr std::string_view kModel = "toy";

class LearnerCodecTest : public StoreTest {
 protected:
  LearnerCodecTest() : kernels_(*device::choose_kernels("")) {}

  InstantOptions options() const {
    return {.fast_heads = {{.rate = 1, .ewc_lambda = 3}, {.rate = 0.25, .most_probable = 5}},
            .max_rows = 48,
            .memory_experts = {{}, {.sharpness = 10, .share = 0.5f}},
            .hidden_spaces = {{.rank = 4, .down_rate = 0.01}},
            .head_rows = rows_,
            .base_prior = 0.4};
  }
  // All kinds of feedback, several tasks, rows that gave way, sealed and unsealed memory.
  std::unique_ptr<InstantLearner> taught() {
    auto learner = std::make_unique<InstantLearner>(kernels_.table, model_.features(), options());
    teach(*learner, model_.draw_many(1100));
    learner->seal_memory();
    learner->end_task();
    teach(*learner, model_.draw_many(600));
    return learner;
  }
  void teach(InstantLearner& learner, const std::vector<ToyToken>& tokens) const {
    const std::vector<TokenEvidence> evidence = model_.evidence(tokens);
    const std::span all(evidence);
    learner.learn(all);
    learner.learn_correction(all.first(8));
    learner.learn_rating(all.first(20), true);
    learner.learn_rating(all.subspan(40, 20), false);
    learner.learn_pair(all.first(10), all.subspan(30, 10));
  }
  LearnerContext context() const {
    return {kernels_.table, kModel, ToyModel::kVocab, nullptr, rows_};
  }

  StateBlobs encode(const InstantLearner& learner, const KnownBlobs* known = nullptr) const {
    StateBlobs blobs;
    encode_learner(learner, kModel, "slot/1/", known, blobs);
    return blobs;
  }
  Result<std::unique_ptr<InstantLearner>> decode(const StateBlobs& blobs) const {
    return decode_learner(blobs, "slot/1/", context());
  }
  std::string error_of(const StateBlobs& blobs) const {
    const auto learner = decode(blobs);
    return learner ? "" : learner.error().message();
  }

  ToyModel model_;
  device::KernelChoice kernels_;
  std::shared_ptr<const ToyRows> rows_ = std::make_shared<ToyRows>();
};

TEST_F(LearnerCodecTest, PublishesAndLearnsOnWithTheSameBits) {
  const auto original = taught();
  auto copy = decode(encode(*original)).value();
  expect_same(*original->publish(), *copy->publish());
  EXPECT_EQ(original->fast_head(0).harm().certificate, copy->fast_head(0).harm().certificate);

  const std::vector<ToyToken> more = model_.draw_many(700, 3, 5);
  teach(*original, more);
  teach(*copy, more);
  original->seal_memory();
  copy->seal_memory();
  expect_same(*original->publish(), *copy->publish());

  original->end_task();
  copy->end_task();
  teach(*original, more);
  teach(*copy, more);
  expect_same(*original->publish(), *copy->publish());
  EXPECT_EQ(original->fast_head(0).harm().measured, copy->fast_head(0).harm().measured);
}

TEST_F(LearnerCodecTest, WithoutTheModelsRowsHiddenSpacesAreLeftOut) {
  LearnerContext bare = context();
  bare.head_rows = nullptr;
  const auto copy = decode_learner(encode(*taught()), "slot/1/", bare).value();
  EXPECT_TRUE(copy->publish()->hidden_spaces.empty());
  EXPECT_FALSE(copy->publish()->corrections.empty());
}

TEST_F(LearnerCodecTest, OneThatHasLearnedNothingComesBack) {
  InstantLearner fresh(kernels_.table, model_.features(), {});
  const auto copy = decode(encode(fresh)).value();
  EXPECT_TRUE(copy->publish()->empty());
}

TEST_F(LearnerCodecTest, FeaturesAreSharedWhereTheyAreTheSame) {
  const StateBlobs blobs = encode(*taught());
  LearnerContext given = context();
  given.features =
      std::make_shared<adapters::HeadFeatures>(std::vector<float>(ToyModel::kHidden, 0.05f));
  EXPECT_EQ(decode_learner(blobs, "slot/1/", given).value()->features(), given.features);
  given.features =
      std::make_shared<adapters::HeadFeatures>(std::vector<float>(ToyModel::kHidden, 0.06f));
  EXPECT_EQ(decode_learner(blobs, "slot/1/", given).value()->features()->mean()[0], 0.05f);
  given.features = std::make_shared<adapters::HeadFeatures>(std::vector<float>(8, 0.05f));
  EXPECT_FALSE(decode_learner(blobs, "slot/1/", given));
}

TEST_F(LearnerCodecTest, TheStateOfAnotherModelIsRefused) {
  const StateBlobs blobs = encode(*taught());
  LearnerContext other = context();
  other.model = "another";
  const auto learner = decode_learner(blobs, "slot/1/", other);
  ASSERT_FALSE(learner);
  EXPECT_EQ(learner.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(learner.error().message().find("'toy', not on 'another'"), std::string::npos);
  LearnerContext smaller = context();
  smaller.vocab_size = 20;
  EXPECT_FALSE(decode_learner(blobs, "slot/1/", smaller));
}

TEST_F(LearnerCodecTest, EveryPartIsNeeded) {
  const StateBlobs whole = encode(*taught());
  EXPECT_TRUE(whole.contains("slot/1/memory/0"));
  EXPECT_TRUE(whole.contains("slot/1/memory/chunk/1"));
  for (const auto& [role, blob] : whole) {
    StateBlobs blobs = whole;
    blobs.erase(role);
    EXPECT_NE(error_of(blobs).find("'" + role + "'"), std::string::npos) << error_of(blobs);
    // The bytes of another part in its place.
    blobs[role] = whole.at(role == "slot/1/rows" ? "slot/1/learner" : "slot/1/rows");
    EXPECT_NE(error_of(blobs).find("'" + role + "'"), std::string::npos) << error_of(blobs);
  }
}

// Sealed again, so that what lies behind the checksum is reached: an error, or a learner that
// works.
TEST_F(LearnerCodecTest, DamageBehindAChecksumDoesNoHarm) {
  const auto original = taught();
  const StateBlobs whole = encode(*original);
  size_t num_refused = 0;
  for (const auto& [role, blob] : whole) {
    const size_t step = std::max<size_t>(1, blob.bytes.size() / 40);
    for (size_t at = 0; at < blob.bytes.size(); at += step) {
      StateBlobs blobs = whole;
      std::vector<std::byte>& bytes = blobs[role].bytes;
      bytes[at] = ~bytes[at];
      seal_state(bytes);
      auto learner = decode(blobs);
      num_refused += learner ? 0u : 1u;
      if (!learner) continue;
      (*learner)->publish();
      (*learner)->learn(model_.evidence(model_.draw_many(3)));
    }
  }
  EXPECT_GT(num_refused, 100u);
}

// A value of a field, by its index.
template <typename T>
void overwrite(StateBlob& blob, std::string_view field, size_t index, T value) {
  const std::string_view text(reinterpret_cast<const char*>(blob.bytes.data()), blob.bytes.size());
  const size_t values = text.find(field) + field.size() + 10;
  std::memcpy(blob.bytes.data() + values + index * sizeof(T), &value, sizeof(value));
  seal_state(blob.bytes);
}

TEST_F(LearnerCodecTest, ValuesThatCannotBeAreRefused) {
  const StateBlobs whole = encode(*taught());
  const auto refused = [&](const std::string& role, std::string_view field, size_t index,
                           auto value) {
    StateBlobs blobs = whole;
    overwrite(blobs["slot/1/" + role], field, index, value);
    const std::string error = error_of(blobs);
    EXPECT_NE(error.find("'slot/1/" + role), std::string::npos) << role << field << error;
  };
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  refused("fast_head/0", "weights", 5, kNan);
  refused("fast_head/0", "weights", 5, 1e3f);  // a shift whose exponential is infinite
  refused("hidden_space/0", "up", 7, kNan);
  refused("hidden_space/0", "max_row_norm", 0, 1e30);
  refused("corrections", "targets", 0, int32_t{ToyModel::kVocab});
  refused("corrections", "thresholds", 0, 1.5f);
  refused("corrections", "counts", 0, int32_t{0});
  refused("corrections", "rows", 0, f32_to_f16(100.0f));
  refused("fast_head/1", "pulled_at", 0, int64_t{1} << 60);
  refused("fast_head/0", "ewc_fishers", 3, -1.0f);
  refused("fast_head/0", "ewc_anchors", 3, kNan);
  refused("fast_head/0", "harm_measured", 0, std::numeric_limits<double>::infinity());
  refused("rows", "entries", 0, int32_t{-1});
  refused("rows", "entries", 1, int32_t{1000});
  refused("rows", "last_used", 2, ~uint64_t{0});
  refused("learner", "num_ratings", 0, int64_t{-1});
  refused("features", "mean", 1, kNan);
  refused("options", "max_rows", 0, int32_t{0});
  refused("options", "max_shift", 0, 1e9);
  refused("options", "rank", 0, int32_t{50});
  refused("options", "num_hidden_spaces", 0, uint32_t{1000});
  refused("options", "max_corrections", 0, int32_t{0});
  refused("options", "num_fast_heads", 0, uint32_t{1000});
  refused("options", "base_prior", 0, 1.0);
  refused("memory", "num_in_last_chunk", 0, int32_t{513});
  refused("memory", "num_chunks", 0, uint32_t{1000});
  refused("memory/0", "targets", 0, int32_t{ToyModel::kVocab});
  refused("memory/0", "list_begin", 1, int32_t{1 << 30});
  refused("memory/0", "rows", 0, f32_to_f16(100.0f));
  refused("memory/chunk/0", "targets", 511, int32_t{-5});
  refused("memory/chunk/0", "rows", 0, F16Bits{0x7e00});
}

TEST_F(LearnerCodecTest, TheStoreKeepsWhatDoesNotChangeOnce) {
  const auto store = open();
  const Owner owner = owner_named("acme", "ann");
  const auto learner = taught();
  KnownBlobs known;
  Provenance provenance = generation_of(0, "").provenance;
  size_t num_encoded = 0;
  const EncodeState encode_state = [&](const KnownBlobs& stored) -> Result<StateBlobs> {
    StateBlobs blobs = encode(*learner, &stored);
    num_encoded = 0;
    for (const auto& [role, blob] : blobs) num_encoded += blob.existing ? 0u : 1u;
    return blobs;
  };
  ASSERT_EQ(save_state(*store, owner, provenance, known, encode_state).value(), 1u);
  const size_t num_first = num_encoded;
  const uint64_t bytes_first = store->count(owner.tenant()).value().blob_bytes;

  provenance.parent = 1;
  teach(*learner, model_.draw_many(64));
  ASSERT_EQ(save_state(*store, owner, provenance, known, encode_state).value(), 2u);
  // Features, the sealed segment and a full chunk.
  EXPECT_EQ(num_encoded, num_first - 3);
  EXPECT_EQ(store->find_generation(owner, 1).value().blobs.at(6).role, "slot/1/memory");
  EXPECT_LT(store->count(owner.tenant()).value().blob_bytes, 2 * bytes_first);

  // Another process goes on from there.
  KnownBlobs known_there;
  const auto there =
      decode_learner(load_state(*store, owner, 2).value(), "slot/1/", context(), &known_there)
          .value();
  expect_same(*learner->publish(), *there->publish());
  StateBlobs again;
  encode_learner(*there, kModel, "slot/1/", &known_there, again);
  EXPECT_TRUE(again.at("slot/1/memory/0").existing);
  EXPECT_TRUE(again.at("slot/1/memory/chunk/0").existing);
  EXPECT_TRUE(again.at("slot/1/features").existing);
  EXPECT_FALSE(again.at("slot/1/rows").existing);
}

TEST_F(LearnerCodecTest, WhatTheStoreHasLostIsWrittenAgain) {
  const auto store = open();
  const Owner owner = owner_named("acme", "ann");
  const auto learner = taught();
  KnownBlobs known;
  const EncodeState encode_state = [&](const KnownBlobs& stored) -> Result<StateBlobs> {
    return encode(*learner, &stored);
  };
  const Provenance provenance = generation_of(0, "").provenance;
  ASSERT_TRUE(save_state(*store, owner, provenance, known, encode_state));
  ASSERT_TRUE(store->put_generation(owner, generation_of(0, "another")));
  ASSERT_TRUE(store->swap_current(owner, 0, 2));
  ASSERT_EQ(store->prune_generations(owner, 0).value(), 1u);
  const uint64_t number = save_state(*store, owner, provenance, known, encode_state).value();
  EXPECT_TRUE(decode(load_state(*store, owner, number).value()));
}

TEST(KnownBlobs, AnObjectThatIsGoneIsNotKnown) {
  KnownBlobs known;
  auto part = std::make_shared<int>(1);
  known.remember(part, sha256_of({}));
  EXPECT_TRUE(known.find(part));
  const std::shared_ptr<const void> at_its_address(std::shared_ptr<int>(), part.get());
  part.reset();
  EXPECT_FALSE(known.find(at_its_address));
}

}  // namespace
}  // namespace ruvllm::sona
