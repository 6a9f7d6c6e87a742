#include "device/cpu_device.h"

#include <gtest/gtest.h>

#include "base/system/cpu_info.h"
#include "base/system/topology/cpu_topology.h"

namespace ruvllm::device {
namespace {

TEST(CpuDevice, ForcesAnIsaOrSaysWhyNot) {
  const Result<KernelChoice> generic = choose_kernels("generic");
  ASSERT_TRUE(generic.has_value());
  EXPECT_EQ(generic->isa, "generic");
  const Result<KernelChoice> unknown = choose_kernels("mmx");
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(unknown.error().message().find("generic"), std::string::npos);
  const Result<KernelChoice> best = choose_kernels("");
  ASSERT_TRUE(best.has_value());
  EXPECT_EQ(best->isa, available_isas().back());
}

TEST(CpuDevice, EveryEntryIsFilledAndNamed) {
  for (const std::string& isa : available_isas()) {
    const Result<KernelChoice> choice = choose_kernels(isa);
    ASSERT_TRUE(choice.has_value());
    for (const kernels::MatmulKernel& kernel : choice->table.matmul) {
      EXPECT_NE(kernel.name, nullptr);
      EXPECT_NE(kernel.gemv, nullptr);
      EXPECT_NE(kernel.gemm, nullptr);
      EXPECT_NE(kernel.scratch_bytes, nullptr);
    }
    EXPECT_NE(choice->table.elementwise.rms_norm, nullptr);
    EXPECT_NE(choice->table.attention.paged, nullptr);
    EXPECT_EQ(describe_kernels(choice->table).size(), kNumDTypes + 2);
  }
}

TEST(CpuDevice, RefusesAbsurdThreadCounts) {
  EXPECT_FALSE(CpuDevice::create(100'000, "").has_value());
  const auto device = CpuDevice::create(0, "");
  ASSERT_TRUE(device.has_value());
  EXPECT_EQ((*device)->team().num_threads(), cpu_topology().num_threads(cpu_allowance()));
}

}  // namespace
}  // namespace ruvllm::device
