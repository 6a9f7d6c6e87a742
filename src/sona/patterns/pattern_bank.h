// What has helped with requests like this one before: exemplars to put into the context, or the
// adapter to use ("ReasoningBank" of the guide).
//
// A request's embedding is u(mean of the final hidden states of its prompt's tokens), u as in
// adapters/head/features.h; the caller supplies it. The template of a question says more in it than
// its subject, so a high cosine alone does not mean that the right thing was found. A match must
// stand out from its rivals, the nearest patterns of other exemplars: with e the pattern, q the
// query and m the mean of the nearest kRivals of them,
//   distinctness = (q - m) . (e - m) / |e - m|^2,
// 1 for the taught request itself and about 0 for one as near to all. Where there are fewer than
// kFewRivals, the origin (ordinary text) is one too. It does not depend on the wording that query
// and patterns share.
//
// Measured on the demo model (12 users, 5 taught codes each, one wording; 60 questions a wording):
//   embedding                  right key first, 5 unseen wordings
//   mean of the prompt, u      1.00 1.00 0.92 0.97 0.90
//   mean, not centred          1.00 1.00 0.75 0.98 0.77
//   last token, u              1.00 0.97 0.47 0.98 0.68
//   last token, not centred    0.97 0.90 0.40 0.70 0.65
// With the mean, found at the default threshold: 0.97 0.88 0.23 0.55 0.20 of the wordings ("Tell me
// the code for K.", "Do you remember the code for K?", "K has which code?", "Which code belongs to
// K?", "K code?"), against 0.04 of keys never taught (0.22 at a threshold of 0.5), none of 192
// unrelated questions. By cosine alone no threshold tells them apart: at 0.05 of untaught keys,
// 0.00 of the reworded questions are found. Three wordings taught: 1.00 of these, 0.15 0.38 0.15 of
// the others, 0.08 of untaught keys. Weighting tokens by rarity, or leaving out the chat template,
// gained nothing (4 users). The threshold was chosen on these questions; calibrate() fits another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/error.h"
#include "sona/patterns/clusters.h"
#include "sona/patterns/hnsw_index.h"

namespace ruvllm::sona {

struct PatternBankOptions {
  size_t dim = 0;  // of embeddings
  size_t max_patterns = 4096;
  size_t max_clusters = 64;
  // Cosine below which nothing is a match.
  double min_similarity = 0.3;
  // How far an outcome moves a pattern's and its cluster's quality.
  double quality_rate = 0.2;
};

struct Pattern {
  uint64_t id = 0;               // given by the bank, never used again
  std::vector<float> embedding;  // [dim], unit
  std::string exemplar;  // the text, or what names it; patterns of one exemplar are no rivals
  uint64_t slot = 0;     // of an adapter; 0: none
  double quality = 0.5;  // in [0, 1]
  double usage = 0;      // times it was used, older ones counting less
};

struct PatternMatch {
  uint64_t id = 0;
  std::string exemplar;
  uint64_t slot = 0;
  double quality = 0;
  double similarity = 0;    // cosine
  double distinctness = 0;  // see above
};

struct PatternCluster {
  double quality = 0.5;  // of its members, by usage; moved by their outcomes
  double usage = 0;
  size_t num_patterns = 0;
};

// Thread-safe: find() waits for no other find(), and for a change as long as that takes (a
// millisecond; cluster() computes beside readers).
class PatternBank {
 public:
  static constexpr double kDefaultThreshold = 0.65;
  static constexpr size_t kRivals = 8;
  static constexpr size_t kFewRivals = 3;
  static constexpr size_t kMaxExemplarBytes = size_t{64} << 10;

  static Result<std::unique_ptr<PatternBank>> create(const PatternBankOptions& options);

  // Gives the id. The same exemplar under nearly the same embedding is refreshed, not added again.
  // A full bank lets its least valuable pattern go: lowest quality x (1 + usage), the oldest first.
  // `pattern.id` is ignored.
  Result<uint64_t> add(Pattern pattern);
  bool remove(uint64_t id);

  // At most `limit` exemplars, the most similar first, each with its best pattern, whose
  // distinctness reaches `threshold` and what calibrate() has found. Nothing for an embedding of
  // another size or without a direction.
  std::vector<PatternMatch> find(std::span<const float> embedding, size_t limit,
                                 double threshold = kDefaultThreshold) const;
  // Requests that nothing in the bank is about: from now on at most `false_rate` of them find
  // anything, whatever the threshold asked for. Replaces the calibration before.
  void calibrate(std::span<const std::vector<float>> unrelated, double false_rate);
  double calibrated_threshold() const;

  // What came of a match, in [0, 1]; its cluster learns of it too.
  void record_use(uint64_t id, double outcome);
  // Multiplies all usage; in (0, 1).
  void decay(double factor);

  // k-means++ over all patterns; its clusters replace those before.
  void cluster(uint64_t seed);
  // By index; the one nearest to an embedding, whose quality says how well requests like it went.
  std::vector<PatternCluster> clusters() const;
  std::optional<size_t> nearest_cluster(std::span<const float> embedding) const;

  size_t size() const;
  std::optional<Pattern> pattern(uint64_t id) const;

  // As one blob ("patterns") of state/fields.h; decoded, it finds the same.
  std::vector<std::byte> encode() const;
  static Result<std::unique_ptr<PatternBank>> decode(std::string_view role,
                                                     std::span<const std::byte> bytes,
                                                     const PatternBankOptions& options);

 private:
  struct Near {
    const Pattern* pattern;
    double similarity;
  };
  struct Stored;  // the form of a blob

  PatternBank(const PatternBankOptions& options, HnswIndex index)
      : options_(options), index_(std::move(index)) {}

  // Whoever comes waits for its turn, so that readers without a pause keep no writer out.
  std::shared_lock<std::shared_mutex> read_lock() const {
    const std::lock_guard turn(turn_);
    return std::shared_lock(mutex_);
  }
  std::unique_lock<std::shared_mutex> write_lock() {
    const std::lock_guard turn(turn_);
    return std::unique_lock(mutex_);
  }

  // Under mutex_, as all below.
  std::vector<Near> nearest(std::span<const float> unit, size_t num_exemplars) const;
  double distinctness(std::span<const float> unit, const std::vector<Near>& near,
                      size_t index) const;
  Status insert(Pattern pattern);
  void erase(uint64_t id);
  void evict_least_valuable();
  Status rebuild_index();
  int32_t cluster_near(std::span<const float> unit) const;
  void sum_up_clusters();

  PatternBankOptions options_;
  mutable std::mutex turn_;
  mutable std::shared_mutex mutex_;
  HnswIndex index_;
  size_t num_in_index_ = 0;  // those removed among them
  uint64_t next_id_ = 1;
  double calibrated_ = -1e9;
  std::map<uint64_t, Pattern> patterns_;
  std::map<uint64_t, int32_t> cluster_of_;
  std::vector<float> centroids_;  // [clusters, dim]
  std::vector<PatternCluster> clusters_;
};

}  // namespace ruvllm::sona
