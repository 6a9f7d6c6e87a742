#include "sona/patterns/pattern_bank.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/numeric/dot.h"

namespace ruvllm::sona {
namespace {

constexpr double kNoThreshold = -1e9;
// Above it two embeddings are of the same request.
constexpr double kSameRequest = 0.999;
// Several wordings of one exemplar may lie before the next exemplar.
constexpr size_t kReadsPerExemplar = 4;

// As a unit vector, or nothing if it has no direction.
std::optional<std::vector<float>> unit_of(std::span<const float> x, size_t dim) {
  if (x.size() != dim) return std::nullopt;
  const double norm = std::sqrt(dot(x, x));
  if (!std::isfinite(norm) || norm == 0) return std::nullopt;
  std::vector<float> unit(dim);
  for (size_t i = 0; i < dim; ++i) unit[i] = static_cast<float>(static_cast<double>(x[i]) / norm);
  return unit;
}

double value_of(const Pattern& pattern) { return pattern.quality * (1.0 + pattern.usage); }

// Vectors in the index, removed ones among them.
size_t index_capacity(const PatternBankOptions& options) { return 2 * options.max_patterns + 64; }

}  // namespace

Result<std::unique_ptr<PatternBank>> PatternBank::create(const PatternBankOptions& options) {
  constexpr size_t kMaxDim = size_t{1} << 16;
  constexpr size_t kMaxPatterns = size_t{1} << 20;
  if (options.dim == 0 || options.dim > kMaxDim || options.max_patterns == 0 ||
      options.max_patterns > kMaxPatterns || options.max_clusters == 0) {
    return fail(ErrorCode::kInvalidArgument,
                "a pattern bank of {} patterns of {} values in {} clusters; at most {} of {}",
                options.max_patterns, options.dim, options.max_clusters, kMaxPatterns, kMaxDim);
  }
  RUVLLM_ASSIGN(HnswIndex index, HnswIndex::create(options.dim, index_capacity(options)));
  return std::unique_ptr<PatternBank>(new PatternBank(options, std::move(index)));
}

Result<uint64_t> PatternBank::add(Pattern pattern) {
  std::optional<std::vector<float>> unit = unit_of(pattern.embedding, options_.dim);
  if (!unit || pattern.exemplar.size() > kMaxExemplarBytes || !std::isfinite(pattern.usage)) {
    return fail(ErrorCode::kInvalidArgument,
                "a pattern of {} values and an exemplar of {} bytes; expected {} finite values "
                "with a direction and at most {} bytes",
                pattern.embedding.size(), pattern.exemplar.size(), options_.dim, kMaxExemplarBytes);
  }
  pattern.embedding = *std::move(unit);
  pattern.quality = std::clamp(pattern.quality, 0.0, 1.0);
  pattern.usage = std::max(pattern.usage, 0.0);
  const auto lock = write_lock();
  for (const Near& near : nearest(pattern.embedding, 1)) {
    if (near.similarity < kSameRequest || near.pattern->exemplar != pattern.exemplar) continue;
    Pattern& known = patterns_.at(near.pattern->id);
    known.quality = std::max(known.quality, pattern.quality);
    known.slot = pattern.slot;
    return known.id;
  }
  while (patterns_.size() >= options_.max_patterns) evict_least_valuable();
  const uint64_t id = next_id_;
  pattern.id = id;
  RUVLLM_TRY(insert(std::move(pattern)));
  ++next_id_;
  return id;
}

Status PatternBank::insert(Pattern pattern) {
  if (num_in_index_ == index_capacity(options_)) RUVLLM_TRY(rebuild_index());
  RUVLLM_TRY(index_.add(pattern.id, pattern.embedding));
  ++num_in_index_;
  const int32_t cluster = cluster_near(pattern.embedding);
  if (cluster >= 0) {
    cluster_of_[pattern.id] = cluster;
    ++clusters_[static_cast<size_t>(cluster)].num_patterns;
  }
  const uint64_t id = pattern.id;
  patterns_.insert_or_assign(id, std::move(pattern));
  return {};
}

Status PatternBank::rebuild_index() {
  RUVLLM_ASSIGN(HnswIndex index, HnswIndex::create(options_.dim, index_capacity(options_)));
  for (const auto& [id, pattern] : patterns_) RUVLLM_TRY(index.add(id, pattern.embedding));
  index_ = std::move(index);
  num_in_index_ = patterns_.size();
  return {};
}

void PatternBank::evict_least_valuable() {
  const auto least = std::ranges::min_element(
      patterns_, {}, [](const auto& entry) { return value_of(entry.second); });
  erase(least->first);
}

void PatternBank::erase(uint64_t id) {
  const auto cluster = cluster_of_.find(id);
  if (cluster != cluster_of_.end()) {
    --clusters_[static_cast<size_t>(cluster->second)].num_patterns;
    cluster_of_.erase(cluster);
  }
  index_.remove(id);
  patterns_.erase(id);
}

bool PatternBank::remove(uint64_t id) {
  const auto lock = write_lock();
  if (!patterns_.contains(id)) return false;
  erase(id);
  return true;
}

// The best pattern of each exemplar, nearest first.
std::vector<PatternBank::Near> PatternBank::nearest(std::span<const float> unit,
                                                    size_t num_exemplars) const {
  std::vector<Near> near;
  for (const uint64_t id : index_.search(unit, num_exemplars * kReadsPerExemplar)) {
    const auto found = patterns_.find(id);
    if (found == patterns_.end()) continue;
    near.push_back({&found->second, dot(unit, found->second.embedding)});
  }
  std::ranges::sort(near, [](const Near& a, const Near& b) {
    return a.similarity != b.similarity ? a.similarity > b.similarity
                                        : a.pattern->id < b.pattern->id;
  });
  std::vector<Near> best;
  for (const Near& candidate : near) {
    const bool is_new = std::ranges::none_of(best, [&](const Near& taken) {
      return taken.pattern->exemplar == candidate.pattern->exemplar;
    });
    if (is_new && best.size() < num_exemplars) best.push_back(candidate);
  }
  return best;
}

double PatternBank::distinctness(std::span<const float> unit, const std::vector<Near>& near,
                                 size_t index) const {
  std::vector<double> mean(options_.dim);
  size_t num_rivals = 0;
  for (size_t i = 0; i < near.size() && num_rivals < kRivals; ++i) {
    if (i == index) continue;
    ++num_rivals;
    for (size_t d = 0; d < mean.size(); ++d) {
      mean[d] += static_cast<double>(near[i].pattern->embedding[d]);
    }
  }
  const size_t num_points = num_rivals + (num_rivals < kFewRivals ? 1 : 0);
  double product = 0;
  double squares = 0;
  for (size_t d = 0; d < mean.size(); ++d) {
    const double m = mean[d] / static_cast<double>(num_points);
    const double away = static_cast<double>(near[index].pattern->embedding[d]) - m;
    product += (static_cast<double>(unit[d]) - m) * away;
    squares += away * away;
  }
  // Rivals that are the pattern itself leave nothing to tell it by.
  constexpr double kTiny = 1e-9;
  return squares > kTiny ? product / squares : 0.0;
}

std::vector<PatternMatch> PatternBank::find(std::span<const float> embedding, size_t limit,
                                            double threshold) const {
  const std::optional<std::vector<float>> unit = unit_of(embedding, options_.dim);
  std::vector<PatternMatch> matches;
  if (!unit || limit == 0) return matches;
  const auto lock = read_lock();
  const std::vector<Near> near = nearest(*unit, std::min(limit, patterns_.size()) + kRivals);
  for (size_t i = 0; i < near.size() && matches.size() < limit; ++i) {
    if (near[i].similarity < options_.min_similarity) break;
    const double score = distinctness(*unit, near, i);
    if (score < std::max(threshold, calibrated_)) continue;
    const Pattern& pattern = *near[i].pattern;
    matches.push_back(
        {pattern.id, pattern.exemplar, pattern.slot, pattern.quality, near[i].similarity, score});
  }
  return matches;
}

void PatternBank::calibrate(std::span<const std::vector<float>> unrelated, double false_rate) {
  const auto lock = write_lock();
  calibrated_ = kNoThreshold;
  std::vector<double> scores;  // the best of each
  for (const std::vector<float>& embedding : unrelated) {
    const std::optional<std::vector<float>> unit = unit_of(embedding, options_.dim);
    if (!unit) continue;
    const std::vector<Near> near = nearest(*unit, 1 + kRivals);
    double best = kNoThreshold;
    for (size_t i = 0; i < near.size(); ++i) {
      if (near[i].similarity < options_.min_similarity) break;
      best = std::max(best, distinctness(*unit, near, i));
    }
    scores.push_back(best);
  }
  if (scores.empty()) return;
  std::ranges::sort(scores, std::greater());
  const double allowed = std::clamp(false_rate, 0.0, 1.0) * static_cast<double>(scores.size());
  const size_t place = static_cast<size_t>(allowed);
  // The first that must not be found.
  if (place < scores.size() && scores[place] > kNoThreshold) {
    calibrated_ = std::nextafter(scores[place], std::numeric_limits<double>::max());
  }
}

double PatternBank::calibrated_threshold() const {
  const auto lock = read_lock();
  return calibrated_;
}

void PatternBank::record_use(uint64_t id, double outcome) {
  if (!std::isfinite(outcome)) return;
  const double kept = std::clamp(outcome, 0.0, 1.0);
  const auto lock = write_lock();
  const auto found = patterns_.find(id);
  if (found == patterns_.end()) return;
  found->second.usage += 1;
  found->second.quality += options_.quality_rate * (kept - found->second.quality);
  const auto cluster = cluster_of_.find(id);
  if (cluster == cluster_of_.end()) return;
  PatternCluster& all = clusters_[static_cast<size_t>(cluster->second)];
  all.usage += 1;
  all.quality += options_.quality_rate * (kept - all.quality);
}

void PatternBank::decay(double factor) {
  if (!(factor > 0 && factor < 1)) return;
  const auto lock = write_lock();
  for (auto& [id, pattern] : patterns_) pattern.usage *= factor;
  for (PatternCluster& cluster : clusters_) cluster.usage *= factor;
}

void PatternBank::cluster(uint64_t seed) {
  std::vector<uint64_t> ids;
  std::vector<float> points;
  {
    const auto lock = read_lock();
    for (const auto& [id, pattern] : patterns_) {
      ids.push_back(id);
      points.insert(points.end(), pattern.embedding.begin(), pattern.embedding.end());
    }
  }
  Clusters made = cluster_on_sphere(points, options_.dim, options_.max_clusters, seed);
  const auto lock = write_lock();
  centroids_ = std::move(made.centroids);
  cluster_of_.clear();
  for (size_t i = 0; i < ids.size(); ++i) {
    if (patterns_.contains(ids[i])) cluster_of_[ids[i]] = made.cluster_of[i];
  }
  // Those that came meanwhile.
  for (const auto& [id, pattern] : patterns_) {
    const int32_t cluster = cluster_of_.contains(id) ? -1 : cluster_near(pattern.embedding);
    if (cluster >= 0) cluster_of_[id] = cluster;
  }
  sum_up_clusters();
}

void PatternBank::sum_up_clusters() {
  clusters_.assign(centroids_.size() / options_.dim, {.quality = 0});
  std::vector<double> weights(clusters_.size());
  for (const auto& [id, index] : cluster_of_) {
    const Pattern& pattern = patterns_.at(id);
    PatternCluster& cluster = clusters_[static_cast<size_t>(index)];
    cluster.quality += (1.0 + pattern.usage) * pattern.quality;
    weights[static_cast<size_t>(index)] += 1.0 + pattern.usage;
    cluster.usage += pattern.usage;
    ++cluster.num_patterns;
  }
  for (size_t c = 0; c < clusters_.size(); ++c) {
    clusters_[c].quality = weights[c] > 0 ? clusters_[c].quality / weights[c] : 0.5;
  }
}

int32_t PatternBank::cluster_near(std::span<const float> unit) const {
  int32_t best = -1;
  double highest = -2;
  for (size_t c = 0; c < clusters_.size(); ++c) {
    const std::span centroid = std::span(centroids_).subspan(c * options_.dim, options_.dim);
    const double similarity = dot(unit, centroid);
    if (similarity > highest) {
      highest = similarity;
      best = static_cast<int32_t>(c);
    }
  }
  return best;
}

std::vector<PatternCluster> PatternBank::clusters() const {
  const auto lock = read_lock();
  return clusters_;
}

std::optional<size_t> PatternBank::nearest_cluster(std::span<const float> embedding) const {
  const std::optional<std::vector<float>> unit = unit_of(embedding, options_.dim);
  const auto lock = read_lock();
  if (!unit || clusters_.empty()) return std::nullopt;
  return static_cast<size_t>(cluster_near(*unit));
}

size_t PatternBank::size() const {
  const auto lock = read_lock();
  return patterns_.size();
}

std::optional<Pattern> PatternBank::pattern(uint64_t id) const {
  const auto lock = read_lock();
  const auto found = patterns_.find(id);
  if (found == patterns_.end()) return std::nullopt;
  return found->second;
}

}  // namespace ruvllm::sona
