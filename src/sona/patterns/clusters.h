// k-means++ on the unit sphere (https://theory.stanford.edu/~sergei/papers/kMeansPP-soda.pdf).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ruvllm::sona {

struct Clusters {
  std::vector<float> centroids;     // [num_clusters, dim], unit vectors
  std::vector<int32_t> cluster_of;  // [num_points]

  size_t num_clusters(size_t dim) const { return centroids.size() / dim; }
};

// At most `max_clusters`; none is empty. Deterministic for the same points and seed.
Clusters cluster_on_sphere(std::span<const float> points, size_t dim, size_t max_clusters,
                           uint64_t seed);

}  // namespace ruvllm::sona
