// A pattern bank as a blob.
#include <algorithm>
#include <cmath>
#include <utility>

#include "base/numeric/dot.h"
#include "sona/patterns/pattern_bank.h"
#include "sona/state/fields.h"

namespace ruvllm::sona {

// All patterns, field by field.
struct PatternBank::Stored {
  uint64_t next_id = 1;
  double calibrated = 0;
  std::vector<uint64_t> ids;
  std::vector<uint64_t> slots;
  std::vector<double> qualities;
  std::vector<double> usages;
  std::vector<int32_t> clusters;  // of each pattern; -1: none
  std::vector<float> embeddings;  // [patterns, dim]
  std::vector<uint32_t> exemplar_bytes;
  std::string exemplars;  // one behind the other
  std::vector<float> centroids;
  std::vector<double> cluster_qualities;
  std::vector<double> cluster_usages;

  template <typename Self, typename Fields>
  static void exchange(Self& self, Fields& fields) {
    fields.number("next_id", self.next_id);
    fields.number("calibrated", self.calibrated);
    fields.array("ids", self.ids);
    fields.array("slots", self.slots);
    fields.array("qualities", self.qualities);
    fields.array("usages", self.usages);
    fields.array("clusters", self.clusters);
    fields.array("embeddings", self.embeddings);
    fields.array("exemplar_bytes", self.exemplar_bytes);
    fields.text("exemplars", self.exemplars);
    fields.array("centroids", self.centroids);
    fields.array("cluster_qualities", self.cluster_qualities);
    fields.array("cluster_usages", self.cluster_usages);
  }

  void check(const PatternBankOptions& options, StateReader& reader) const {
    const size_t count = ids.size();
    reader.require(count <= options.max_patterns, "ids", "more patterns than the bank holds");
    const bool is_ascending = std::ranges::adjacent_find(ids, std::greater_equal()) == ids.end();
    reader.require(
        is_ascending && next_id >= 1 && (ids.empty() || (ids.front() >= 1 && ids.back() < next_id)),
        "ids", "they do not ascend below next_id");
    reader.require(std::isfinite(calibrated), "calibrated", "it is not finite");
    reader.require(slots.size() == count, "slots", kNotOneEach);
    reader.require(are_numbers(qualities, count, 1), "qualities", kNotOneEach);
    reader.require(are_numbers(usages, count, 1e15), "usages", kNotOneEach);
    reader.require(embeddings.size() == count * options.dim && are_units(embeddings, options.dim),
                   "embeddings", "not a unit vector for each pattern; was it another model?");
    uint64_t num_bytes = 0;
    for (const uint32_t bytes : exemplar_bytes) num_bytes += bytes;
    const bool fits = std::ranges::all_of(
        exemplar_bytes, [](uint32_t bytes) { return bytes <= kMaxExemplarBytes; });
    reader.require(exemplar_bytes.size() == count && fits && num_bytes == exemplars.size(),
                   "exemplar_bytes", "they do not part the exemplars");
    const size_t num_clusters = cluster_qualities.size();
    reader.require(
        num_clusters <= options.max_clusters && are_numbers(cluster_qualities, num_clusters, 1) &&
            are_numbers(cluster_usages, num_clusters, 1e15) &&
            centroids.size() == num_clusters * options.dim && are_units(centroids, options.dim),
        "centroids", "the clusters do not fit each other");
    const bool are_clusters = std::ranges::all_of(clusters, [&](int32_t cluster) {
      return cluster >= -1 && cluster < static_cast<int32_t>(num_clusters);
    });
    reader.require(clusters.size() == count && are_clusters, "clusters", kNotOneEach);
  }

  static bool are_units(std::span<const float> vectors, size_t dim) {
    for (size_t first = 0; first < vectors.size(); first += dim) {
      const std::span<const float> vector = vectors.subspan(first, dim);
      if (!(std::abs(dot(vector, vector) - 1.0) < 1e-3)) return false;  // NaN too
    }
    return true;
  }
  static constexpr std::string_view kNotOneEach = "not one value within range for each pattern";
  static bool are_numbers(std::span<const double> values, size_t count, double highest) {
    return values.size() == count && std::ranges::all_of(values, [&](double value) {
             return value >= 0 && value <= highest;
           });
  }
};

std::vector<std::byte> PatternBank::encode() const {
  Stored stored;
  {
    const auto lock = read_lock();
    stored.next_id = next_id_;
    stored.calibrated = calibrated_;
    for (const auto& [id, pattern] : patterns_) {
      stored.ids.push_back(id);
      stored.slots.push_back(pattern.slot);
      stored.qualities.push_back(pattern.quality);
      stored.usages.push_back(pattern.usage);
      const auto cluster = cluster_of_.find(id);
      stored.clusters.push_back(cluster == cluster_of_.end() ? -1 : cluster->second);
      stored.embeddings.insert(stored.embeddings.end(), pattern.embedding.begin(),
                               pattern.embedding.end());
      stored.exemplar_bytes.push_back(static_cast<uint32_t>(pattern.exemplar.size()));
      stored.exemplars += pattern.exemplar;
    }
    stored.centroids = centroids_;
    for (const PatternCluster& cluster : clusters_) {
      stored.cluster_qualities.push_back(cluster.quality);
      stored.cluster_usages.push_back(cluster.usage);
    }
  }
  StateWriter writer("patterns");
  Stored::exchange(stored, writer);
  return writer.finish();
}

Result<std::unique_ptr<PatternBank>> PatternBank::decode(std::string_view role,
                                                         std::span<const std::byte> bytes,
                                                         const PatternBankOptions& options) {
  RUVLLM_ASSIGN(std::unique_ptr<PatternBank> bank, create(options));
  Stored stored;
  StateReader reader(role, "patterns", bytes);
  Stored::exchange(stored, reader);
  if (!reader.failed()) stored.check(options, reader);
  RUVLLM_TRY(reader.finish());
  bank->next_id_ = stored.next_id;
  bank->calibrated_ = stored.calibrated;
  size_t first_byte = 0;
  for (size_t i = 0; i < stored.ids.size(); ++i) {
    const auto embedding = std::span(stored.embeddings).subspan(i * options.dim, options.dim);
    Pattern pattern = {.id = stored.ids[i],
                       .embedding = {embedding.begin(), embedding.end()},
                       .exemplar = stored.exemplars.substr(first_byte, stored.exemplar_bytes[i]),
                       .slot = stored.slots[i],
                       .quality = stored.qualities[i],
                       .usage = stored.usages[i]};
    first_byte += stored.exemplar_bytes[i];
    RUVLLM_TRY(bank->insert(std::move(pattern)));
    if (stored.clusters[i] >= 0) bank->cluster_of_[stored.ids[i]] = stored.clusters[i];
  }
  bank->centroids_ = std::move(stored.centroids);
  bank->sum_up_clusters();
  for (size_t c = 0; c < bank->clusters_.size(); ++c) {
    bank->clusters_[c].quality = stored.cluster_qualities[c];
    bank->clusters_[c].usage = stored.cluster_usages[c];
  }
  return bank;
}

}  // namespace ruvllm::sona
