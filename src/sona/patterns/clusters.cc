#include "sona/patterns/clusters.h"

#include <algorithm>
#include <cmath>

#include "base/numeric/dot.h"
#include "base/numeric/random_stream.h"

namespace ruvllm::sona {
namespace {

constexpr int32_t kMaxRounds = 20;

// Points on the sphere and what is known of them.
struct Points {
  std::span<const float> values;
  size_t dim;

  size_t count() const { return values.size() / dim; }
  std::span<const float> at(size_t i) const { return values.subspan(i * dim, dim); }
};

// The next centre is drawn by its squared distance from the nearest one so far, 2 - 2 cos.
std::vector<float> choose_centres(const Points& points, size_t max_clusters, uint64_t seed) {
  const RandomStream random(seed);
  std::vector<double> distance(points.count(), 2.0);
  std::vector<float> centres;
  size_t next = static_cast<size_t>(random.uniform(0) * static_cast<double>(points.count()));
  for (uint64_t draw = 1; draw <= max_clusters; ++draw) {
    const std::span<const float> centre = points.at(next);
    centres.insert(centres.end(), centre.begin(), centre.end());
    double sum = 0;
    for (size_t i = 0; i < points.count(); ++i) {
      distance[i] = std::min(distance[i], std::max(0.0, 2.0 - 2.0 * dot(points.at(i), centre)));
      sum += distance[i];
    }
    constexpr double kSame = 1e-9;  // the points left are those that were chosen
    if (sum <= kSame * static_cast<double>(points.count())) break;
    double left = random.uniform(draw) * sum;
    next = 0;
    for (size_t i = 0; i < points.count(); ++i) {
      if (distance[i] > 0) next = i;
      left -= distance[i];
      if (left < 0) break;
    }
  }
  return centres;
}

// false: nothing changed.
bool assign(const Points& points, Clusters& clusters) {
  bool is_changed = false;
  const Points centres = {clusters.centroids, points.dim};
  for (size_t i = 0; i < points.count(); ++i) {
    size_t best = 0;
    double highest = -2;
    for (size_t c = 0; c < centres.count(); ++c) {
      const double similarity = dot(points.at(i), centres.at(c));
      if (similarity > highest) {
        highest = similarity;
        best = c;
      }
    }
    is_changed |= clusters.cluster_of[i] != static_cast<int32_t>(best);
    clusters.cluster_of[i] = static_cast<int32_t>(best);
  }
  return is_changed;
}

// Means of the members, on the sphere; a cluster without members, or whose mean is 0, stays.
void move_centres(const Points& points, Clusters& clusters) {
  std::vector<double> sums(clusters.centroids.size());
  for (size_t i = 0; i < points.count(); ++i) {
    const size_t first = static_cast<size_t>(clusters.cluster_of[i]) * points.dim;
    const std::span<const float> point = points.at(i);
    for (size_t d = 0; d < points.dim; ++d) sums[first + d] += static_cast<double>(point[d]);
  }
  for (size_t first = 0; first < sums.size(); first += points.dim) {
    double squares = 0;
    for (size_t d = 0; d < points.dim; ++d) squares += sums[first + d] * sums[first + d];
    if (squares == 0) continue;
    const double scale = 1.0 / std::sqrt(squares);
    for (size_t d = 0; d < points.dim; ++d) {
      clusters.centroids[first + d] = static_cast<float>(sums[first + d] * scale);
    }
  }
}

void drop_empty(size_t dim, Clusters& clusters) {
  std::vector<int32_t> new_place(clusters.num_clusters(dim), -1);
  for (const int32_t cluster : clusters.cluster_of) new_place[static_cast<size_t>(cluster)] = 0;
  std::vector<float> kept;
  int32_t num_kept = 0;
  for (size_t c = 0; c < new_place.size(); ++c) {
    if (new_place[c] < 0) continue;
    new_place[c] = num_kept++;
    const auto first = clusters.centroids.begin() + static_cast<ptrdiff_t>(c * dim);
    kept.insert(kept.end(), first, first + static_cast<ptrdiff_t>(dim));
  }
  clusters.centroids = std::move(kept);
  for (int32_t& cluster : clusters.cluster_of) cluster = new_place[static_cast<size_t>(cluster)];
}

}  // namespace

Clusters cluster_on_sphere(std::span<const float> values, size_t dim, size_t max_clusters,
                           uint64_t seed) {
  const Points points = {values, dim};
  Clusters clusters;
  if (points.count() == 0 || max_clusters == 0) return clusters;
  clusters.centroids = choose_centres(points, max_clusters, seed);
  clusters.cluster_of.assign(points.count(), -1);
  for (int32_t round = 0; round < kMaxRounds && assign(points, clusters); ++round) {
    move_centres(points, clusters);
  }
  drop_empty(dim, clusters);
  return clusters;
}

}  // namespace ruvllm::sona
