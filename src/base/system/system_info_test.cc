#include <gtest/gtest.h>

#include "base/system/cpu_info.h"
#include "base/system/memory_info.h"

namespace ruvllm {
namespace {

TEST(CpuInfo, ParsesCgroupQuotas) {
  EXPECT_DOUBLE_EQ(parse_cpu_max("max 100000\n"), 0.0);
  EXPECT_DOUBLE_EQ(parse_cpu_max("150000 100000\n"), 1.5);
  EXPECT_DOUBLE_EQ(parse_cpu_max("-1\n 100000\n"), 0.0);
  EXPECT_DOUBLE_EQ(parse_cpu_max(""), 0.0);
  EXPECT_DOUBLE_EQ(parse_cpu_max("5 0"), 0.0);
}

TEST(CpuInfo, ThreadsRespectAffinityAndQuota) {
  EXPECT_EQ((CpuAllowance{.logical_processors = 8, .affinity_processors = 4}).num_threads(), 4u);
  EXPECT_EQ((CpuAllowance{8, 8, 1.5}).num_threads(), 2u);
  EXPECT_EQ((CpuAllowance{8, 8, 0.2}).num_threads(), 1u);
  EXPECT_GE(cpu_allowance().num_threads(), 1u);
}

TEST(MemoryInfo, ReportsThisMachine) {
  const MemoryInfo info = memory_info();
  EXPECT_GT(info.total, 0u);
  EXPECT_LE(info.budget, info.available);
  EXPECT_GT(process_resident_bytes(), 0u);
  EXPECT_GE(process_peak_resident_bytes(), process_resident_bytes() / 2);
}

}  // namespace
}  // namespace ruvllm
