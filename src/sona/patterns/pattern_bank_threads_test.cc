// Readers beside a writer: what the thread sanitizer runs.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/random_stream.h"
#include "sona/patterns/pattern_bank.h"

namespace ruvllm::sona {
namespace {

constexpr size_t kDim = 48;

TEST(PatternBankThreads, IsReadWhileItChanges) {
  PatternBankOptions options;
  options.dim = kDim;
  options.max_patterns = 100;
  options.max_clusters = 8;
  const std::unique_ptr<PatternBank> made = PatternBank::create(options).value();
  const RandomStream random(17);
  std::vector<std::vector<float>> all(400, std::vector<float>(kDim));
  uint64_t draw = 0;
  for (std::vector<float>& x : all) {
    for (float& value : x) value = static_cast<float>(2 * random.uniform(draw++) - 1);
  }
  const auto pattern = [&](size_t i, double quality) {
    Pattern taught;
    taught.embedding = all[i];
    taught.exemplar = std::to_string(i);
    taught.quality = quality;
    return taught;
  };
  ASSERT_TRUE(made->add(pattern(0, 1)));
  for (int i = 0; i < 50; ++i) made->record_use(1, 1);  // never evicted
  std::atomic<bool> is_done = false;
  std::atomic<size_t> num_lost = 0;
  const auto read = [&] {
    while (!is_done) {
      if (made->find(all[0], 2, -1e9).at(0).id != 1) ++num_lost;
      made->nearest_cluster(all[1]);
    }
  };
  std::thread first(read);
  std::thread second(read);
  for (size_t i = 1; i < all.size(); ++i) {
    EXPECT_TRUE(made->add(pattern(i, 0.5)));
    if (i % 50 == 0) made->cluster(i);
    if (i % 7 == 0) made->record_use(i, 0.3);
    if (i % 90 == 0) made->decay(0.9);
  }
  is_done = true;
  first.join();
  second.join();
  EXPECT_EQ(num_lost, 0u);
  EXPECT_EQ(made->size(), 100u);
}

}  // namespace
}  // namespace ruvllm::sona
