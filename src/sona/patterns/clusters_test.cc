#include "sona/patterns/clusters.h"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "base/numeric/dot.h"
#include "base/numeric/random_stream.h"

namespace ruvllm::sona {
namespace {

constexpr size_t kDim = 19;

// Unit vectors around as many directions as there are groups, group after group.
std::vector<float> groups(size_t num_groups, size_t num_each, double spread) {
  const RandomStream random(3);
  uint64_t draw = 0;
  std::vector<float> points;
  for (size_t g = 0; g < num_groups; ++g) {
    for (size_t i = 0; i < num_each; ++i) {
      std::vector<float> point(kDim);
      point[g] = 1;
      for (float& x : point) x += static_cast<float>(spread * (2 * random.uniform(draw++) - 1));
      const double norm = std::sqrt(dot(point, point));
      for (const float x : point) {
        points.push_back(static_cast<float>(static_cast<double>(x) / norm));
      }
    }
  }
  return points;
}

TEST(Clusters, FindSeparateGroups) {
  const std::vector<float> points = groups(7, 30, 0.1);
  const Clusters clusters = cluster_on_sphere(points, kDim, 7, 1);
  ASSERT_EQ(clusters.num_clusters(kDim), 7u);
  std::set<int32_t> seen;
  for (size_t g = 0; g < 7; ++g) {
    seen.insert(clusters.cluster_of[g * 30]);
    for (size_t i = 0; i < 30; ++i) {
      EXPECT_EQ(clusters.cluster_of[g * 30 + i], clusters.cluster_of[g * 30]);
    }
  }
  EXPECT_EQ(seen.size(), 7u);
  const std::span centroids(clusters.centroids);
  for (size_t c = 0; c < 7; ++c) {
    EXPECT_NEAR(dot(centroids.subspan(c * kDim, kDim), centroids.subspan(c * kDim, kDim)), 1, 1e-5);
  }
}

TEST(Clusters, NoneIsEmptyAndEqualPointsAreOne) {
  EXPECT_EQ(cluster_on_sphere({}, kDim, 4, 1).cluster_of.size(), 0u);
  std::vector<float> points = groups(1, 1, 0.1);
  for (int i = 0; i < 3; ++i) points.insert(points.end(), points.begin(), points.begin() + kDim);
  EXPECT_EQ(cluster_on_sphere(points, kDim, 8, 1).num_clusters(kDim), 1u);
  const Clusters many = cluster_on_sphere(groups(3, 5, 0.4), kDim, 40, 2);
  std::set<int32_t> used(many.cluster_of.begin(), many.cluster_of.end());
  EXPECT_EQ(used.size(), many.num_clusters(kDim));
}

TEST(Clusters, TheSameSeedGivesTheSame) {
  const std::vector<float> points = groups(5, 20, 0.8);
  const Clusters a = cluster_on_sphere(points, kDim, 6, 9);
  const Clusters b = cluster_on_sphere(points, kDim, 6, 9);
  EXPECT_EQ(a.centroids, b.centroids);
  EXPECT_EQ(a.cluster_of, b.cluster_of);
}

}  // namespace
}  // namespace ruvllm::sona
