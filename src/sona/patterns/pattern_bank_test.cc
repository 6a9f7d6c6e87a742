#include "sona/patterns/pattern_bank.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "base/numeric/dot.h"
#include "base/numeric/random_stream.h"
#include "sona/state/fields.h"

namespace ruvllm::sona {
namespace {

constexpr size_t kDim = 48;

class PatternBankTest : public testing::Test {
 protected:
  std::unique_ptr<PatternBank> bank(PatternBankOptions options = {}) {
    options.dim = kDim;
    return PatternBank::create(options).value();
  }
  double symmetric() { return 2 * random_.uniform(draw_++) - 1; }
  std::vector<float> noise(double scale = 1) {
    std::vector<float> x(kDim);
    for (float& value : x) value = static_cast<float>(scale * symmetric());
    return x;
  }
  static std::vector<float> sum(std::span<const float> a, std::span<const float> b) {
    std::vector<float> out(a.begin(), a.end());
    for (size_t i = 0; i < out.size(); ++i) out[i] += b[i];
    return out;
  }
  static Pattern pattern(std::vector<float> embedding, std::string exemplar, double quality = 0.5) {
    Pattern made;
    made.embedding = std::move(embedding);
    made.exemplar = std::move(exemplar);
    made.quality = quality;
    return made;
  }
  // Requests of one template about different subjects.
  struct Subjects {
    std::vector<float> wording;
    std::vector<std::vector<float>> subjects;
  };
  Subjects subjects(size_t count) {
    Subjects made{noise(1.5), {}};
    for (size_t i = 0; i < count; ++i) made.subjects.push_back(noise(0.6));
    return made;
  }

  RandomStream random_{17};
  uint64_t draw_ = 0;
};

TEST_F(PatternBankTest, SearchAgreesWithExactSearch) {
  const auto made = bank();
  std::vector<std::vector<float>> all;
  for (size_t i = 0; i < 1500; ++i) {
    all.push_back(noise());
    ASSERT_TRUE(made->add(pattern(all.back(), std::to_string(i))));
  }
  size_t num_right = 0;
  for (size_t q = 0; q < 200; ++q) {
    const std::vector<float> query = sum(all[7 * q], noise(0.5));
    const auto cosine = [&](const std::vector<float>& x) {
      return dot(query, x) / std::sqrt(dot(x, x));
    };
    const auto best = std::ranges::max_element(all, {}, cosine);
    const auto found = made->find(query, 1, -1e9);
    ASSERT_EQ(found.size(), 1u);
    num_right += found[0].exemplar == std::to_string(best - all.begin()) ? 1u : 0u;
  }
  EXPECT_GE(num_right, 195u);
}

TEST_F(PatternBankTest, FindsWhatWasTaughtInOtherWordsAndNothingElse) {
  const Subjects known = subjects(20);
  const auto made = bank();
  for (size_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(made->add(pattern(sum(known.wording, known.subjects[i]), std::to_string(i))));
  }
  const std::vector<float> reworded = sum(known.wording, noise(0.4));
  for (size_t i = 0; i < 20; ++i) {
    const auto found = made->find(sum(reworded, known.subjects[i]), 3);
    ASSERT_EQ(found.size(), 1u) << i;
    EXPECT_EQ(found[0].exemplar, std::to_string(i));
    EXPECT_NEAR(found[0].distinctness, 1, 0.3);
  }
  size_t num_found = 0;
  for (size_t i = 0; i < 100; ++i) {
    const std::vector<float> untaught = sum(known.wording, noise(0.6));
    num_found += made->find(untaught, 1).size();
    // As similar as if it were known.
    EXPECT_GT(made->find(untaught, 1, -1e9).at(0).similarity, 0.7);
    num_found += made->find(noise(), 1).size();
  }
  EXPECT_LE(num_found, 10u);  // of 200
}

TEST_F(PatternBankTest, WordingsOfOneExemplarAreNoRivals) {
  const Subjects known = subjects(6);
  const auto made = bank();
  const std::vector<float> other_wording = noise(1.5);
  for (size_t i = 0; i < 6; ++i) {
    for (const auto& wording : {known.wording, other_wording}) {
      ASSERT_TRUE(made->add(pattern(sum(wording, known.subjects[i]), std::to_string(i))));
    }
  }
  EXPECT_EQ(made->size(), 12u);
  const auto found = made->find(sum(other_wording, known.subjects[2]), 4);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].exemplar, "2");
  EXPECT_NEAR(found[0].distinctness, 1, 1e-5);
}

TEST_F(PatternBankTest, ASingleTaughtRequestIsFoundByWhatIsNearIt) {
  const auto made = bank();
  const std::vector<float> taught = noise();
  ASSERT_TRUE(made->add(pattern(taught, "one")));
  EXPECT_EQ(made->find(sum(taught, noise(0.3)), 1).size(), 1u);
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(made->find(noise(), 1).empty());
}

TEST_F(PatternBankTest, CalibrationHoldsUnrelatedRequestsToTheRate) {
  const auto made = bank({.min_similarity = -1});
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(made->add(pattern(noise(), std::to_string(i))));
  std::vector<std::vector<float>> unrelated;
  for (int i = 0; i < 200; ++i) unrelated.push_back(noise());
  const auto num_found = [&] {
    return std::ranges::count_if(unrelated,
                                 [&](const auto& x) { return !made->find(x, 1, -1e9).empty(); });
  };
  EXPECT_EQ(num_found(), 200);
  made->calibrate(unrelated, 0.05);
  EXPECT_LE(num_found(), 10);
  EXPECT_GE(num_found(), 5);
  made->calibrate(unrelated, 0);
  EXPECT_EQ(num_found(), 0);
  const double calibrated = made->calibrated_threshold();
  made->calibrate({}, 0);
  EXPECT_LT(made->calibrated_threshold(), calibrated);
}

TEST_F(PatternBankTest, TheSameRequestIsRefreshed) {
  const auto made = bank();
  const std::vector<float> taught = noise();
  const uint64_t id = made->add(pattern(taught, "one", 0.2)).value();
  EXPECT_EQ(made->add(pattern(taught, "one", 0.7)).value(), id);
  EXPECT_EQ(made->size(), 1u);
  EXPECT_EQ(made->pattern(id)->quality, 0.7);
  EXPECT_NE(made->add(pattern(taught, "another")).value(), id);
  EXPECT_EQ(made->size(), 2u);
}

TEST_F(PatternBankTest, ClustersAreReplacedNotAppended) {
  const auto made = bank({.max_clusters = 5});
  const std::vector<std::vector<float>> centres = {noise(), noise(), noise(), noise(), noise()};
  for (size_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(made->add(
        pattern(sum(centres[i % 5], noise(0.1)), std::to_string(i), i % 5 == 0 ? 1.0 : 0.0)));
  }
  EXPECT_FALSE(made->nearest_cluster(centres[0]));
  for (uint64_t round = 0; round < 4; ++round) {
    made->cluster(round);
    EXPECT_EQ(made->clusters().size(), 5u);
    size_t num_patterns = 0;
    for (const PatternCluster& cluster : made->clusters()) num_patterns += cluster.num_patterns;
    EXPECT_EQ(num_patterns, 100u);
  }
  EXPECT_GT(made->clusters().at(made->nearest_cluster(centres[0]).value()).quality, 0.7);
  // One that comes later belongs to the nearest.
  const size_t place = made->nearest_cluster(centres[1]).value();
  const size_t before = made->clusters()[place].num_patterns;
  const uint64_t id = made->add(pattern(centres[1], "late")).value();
  EXPECT_EQ(made->clusters()[place].num_patterns, before + 1);
  EXPECT_TRUE(made->remove(id));
  EXPECT_FALSE(made->remove(id));
  EXPECT_EQ(made->clusters()[place].num_patterns, before);
}

TEST_F(PatternBankTest, OutcomesMoveThePatternAndItsCluster) {
  const auto made = bank({.max_clusters = 1});
  const uint64_t id = made->add(pattern(noise(), "used", 0.5)).value();
  ASSERT_TRUE(made->add(pattern(noise(), "unused", 0.5)));
  made->cluster(1);
  for (int i = 0; i < 10; ++i) made->record_use(id, 1);
  EXPECT_GT(made->pattern(id)->quality, 0.9);
  EXPECT_EQ(made->pattern(id)->usage, 10);
  EXPECT_GT(made->clusters()[0].quality, 0.9);
  EXPECT_EQ(made->clusters()[0].usage, 10);
  made->decay(0.5);
  EXPECT_EQ(made->pattern(id)->usage, 5);
  EXPECT_EQ(made->clusters()[0].usage, 5);
  made->record_use(id, std::numeric_limits<double>::quiet_NaN());
  made->record_use(12345, 1);
  EXPECT_EQ(made->pattern(id)->usage, 5);
}

TEST_F(PatternBankTest, AFullBankLetsTheLeastValuableGo) {
  const auto made = bank({.max_patterns = 10});
  std::vector<std::vector<float>> all;
  std::vector<uint64_t> ids;
  for (size_t i = 0; i < 10; ++i) {
    all.push_back(noise());
    ids.push_back(made->add(pattern(all[i], std::to_string(i), i == 4 ? 0.1 : 0.8)).value());
  }
  made->record_use(ids[0], 0.8);
  ASSERT_TRUE(made->add(pattern(noise(), "new", 0.9)));
  EXPECT_FALSE(made->pattern(ids[4]));
  for (const PatternMatch& match : made->find(all[4], 10, -1e9)) EXPECT_NE(match.exemplar, "4");
  // Then the oldest of equals, but not the one that was used; far more than the index has room for.
  for (size_t i = 0; i < 300; ++i) ASSERT_TRUE(made->add(pattern(noise(), "n", 0.8)));
  EXPECT_EQ(made->size(), 10u);
  EXPECT_TRUE(made->pattern(ids[0]));
  EXPECT_FALSE(made->pattern(ids[1]));
  EXPECT_EQ(made->find(all[0], 1).at(0).id, ids[0]);
}

TEST_F(PatternBankTest, RefusesWhatIsNoEmbedding) {
  EXPECT_FALSE(PatternBank::create({.dim = 0}));
  EXPECT_FALSE(PatternBank::create({.dim = 8, .max_patterns = size_t{1} << 40}));
  const auto made = bank();
  EXPECT_FALSE(made->add(pattern(std::vector<float>(kDim), "zero")));
  EXPECT_FALSE(made->add(pattern(std::vector<float>(kDim - 1, 1.0f), "short")));
  std::vector<float> bad = noise();
  bad[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(made->add(pattern(bad, "not a number")));
  EXPECT_FALSE(made->add(pattern(noise(), std::string(PatternBank::kMaxExemplarBytes + 1, 'x'))));
  EXPECT_TRUE(made->find(bad, 1).empty());
  EXPECT_TRUE(made->find({}, 1).empty());
  EXPECT_EQ(made->size(), 0u);
}

TEST_F(PatternBankTest, ComesBackFromItsBlob) {
  const PatternBankOptions options = {.dim = kDim, .max_clusters = 4};
  const auto made = bank(options);
  std::vector<std::vector<float>> all;
  for (size_t i = 0; i < 60; ++i) {
    all.push_back(noise());
    Pattern one = pattern(all[i], "exemplar " + std::to_string(i), 0.01 * static_cast<double>(i));
    one.slot = i;
    ASSERT_TRUE(made->add(one));
  }
  made->remove(3);
  made->cluster(5);
  made->calibrate(std::vector{noise(), noise(), noise()}, 0);
  for (uint64_t id = 10; id < 20; ++id) made->record_use(id, 1);
  const auto copy = PatternBank::decode("patterns", made->encode(), options).value();
  EXPECT_EQ(copy->size(), 59u);
  EXPECT_EQ(copy->calibrated_threshold(), made->calibrated_threshold());
  for (const std::vector<float>& x : all) {
    const auto a = made->find(x, 3);
    const auto b = copy->find(x, 3);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].id, b[i].id);
      EXPECT_EQ(a[i].exemplar, b[i].exemplar);
      EXPECT_EQ(a[i].slot, b[i].slot);
      EXPECT_EQ(a[i].distinctness, b[i].distinctness);
      EXPECT_EQ(a[i].quality, b[i].quality);
    }
    EXPECT_EQ(made->nearest_cluster(x), copy->nearest_cluster(x));
  }
  EXPECT_EQ(copy->encode(), made->encode());
  EXPECT_EQ(copy->add(pattern(noise(), "next")).value(), 61u);
}

TEST_F(PatternBankTest, DamageIsAnErrorOrABankThatWorks) {
  const PatternBankOptions options = {.dim = kDim, .max_patterns = 8, .max_clusters = 2};
  const auto made = bank(options);
  for (size_t i = 0; i < 6; ++i) ASSERT_TRUE(made->add(pattern(noise(), std::to_string(i))));
  made->cluster(1);
  const std::vector<std::byte> whole = made->encode();
  size_t num_refused = 0;
  for (size_t at = 0; at < whole.size(); ++at) {
    std::vector<std::byte> bytes = whole;
    bytes[at] ^= std::byte{0x81};
    EXPECT_FALSE(PatternBank::decode("patterns", bytes, options));
    seal_state(bytes);
    const auto read = PatternBank::decode("patterns", bytes, options);
    if (!read) {
      ++num_refused;
      EXPECT_NE(read.error().message().find("'patterns', field '"), std::string::npos);
      continue;
    }
    (*read)->find(noise(), 3);
    (*read)->cluster(2);
  }
  EXPECT_GT(num_refused, whole.size() / 4);
  PatternBankOptions smaller = options;
  smaller.max_patterns = 5;
  EXPECT_FALSE(PatternBank::decode("patterns", whole, smaller));
  smaller = options;
  smaller.dim = kDim / 2;
  EXPECT_FALSE(PatternBank::decode("patterns", whole, smaller));
}

}  // namespace
}  // namespace ruvllm::sona
