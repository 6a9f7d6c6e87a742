#include "base/system/topology/cpu_topology.h"

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/memory/buffer.h"
#include "base/system/topology/memory_nodes.h"

namespace ruvllm {
namespace {

namespace fs = std::filesystem;

using Processors = std::vector<uint32_t>;

// Four fast cores of two hardware threads and eight slow ones, as hwloc exports them.
std::string hybrid_xml() {
  std::string cores;
  for (int core = 0; core < 12; ++core) {
    const int threads = core < 4 ? 2 : 1, first = core < 4 ? 2 * core : core + 4;
    char set[16];
    std::snprintf(set, sizeof(set), "0x%x", ((1 << threads) - 1) << first);
    const auto object = [&](const std::string& type, int index, const std::string& cpuset) {
      return "<object type=\"" + type + "\" os_index=\"" + std::to_string(index) + "\" cpuset=\"" +
             cpuset + "\" complete_cpuset=\"" + cpuset +
             "\" nodeset=\"0x1\" complete_nodeset=\"0x1\" gp_index=\"" +
             std::to_string((type == "PU" ? 100 : 50) + index) + "\"";
    };
    cores += object("Core", core, set) + ">";
    for (int thread = 0; thread < threads; ++thread) {
      char own[16];
      std::snprintf(own, sizeof(own), "0x%x", 1 << (first + thread));
      cores += object("PU", first + thread, own) + "/>";
    }
    cores += "</object>";
  }
  const std::string all =
      " cpuset=\"0xffff\" complete_cpuset=\"0xffff\" nodeset=\"0x1\" "
      "complete_nodeset=\"0x1\"";
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
         "<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n"
         "<topology version=\"2.0\"><object type=\"Machine\" os_index=\"0\"" +
         all +
         " allowed_cpuset=\"0xffff\" allowed_nodeset=\"0x1\" gp_index=\"1\">"
         "<object type=\"NUMANode\" os_index=\"0\"" +
         all + " gp_index=\"2\" local_memory=\"1073741824\"/>" + cores +
         "</object>"
         "<cpukind cpuset=\"0xff00\" forced_efficiency=\"0\"/>"
         "<cpukind cpuset=\"0x00ff\" forced_efficiency=\"1\"/></topology>\n";
}

class TopologyTest : public testing::Test {
 protected:
  CpuTopology describe(const std::string& description, const Processors& allowed = {}) {
    Result<CpuTopology> found = describe_topology(description, allowed);
    EXPECT_TRUE(found.has_value()) << found.error().message();
    return found ? *found : CpuTopology{};
  }
  static bool has_hwloc() { return describe_topology("core:1 pu:1", {}).has_value(); }
};

TEST_F(TopologyTest, CountsCoresNotHardwareThreads) {
  if (!has_hwloc()) GTEST_SKIP() << "built without hwloc";
  const CpuTopology found = describe("pack:2 [numa] l3:1 core:8 pu:2");
  EXPECT_EQ(found.source, "hwloc");
  EXPECT_EQ(found.num_processors, 32u);
  EXPECT_EQ(found.num_cores, 16u);
  EXPECT_EQ(found.num_packages, 2u);
  EXPECT_EQ(found.num_memory_nodes, 2u);
  EXPECT_FALSE(found.is_hybrid());
  EXPECT_EQ(found.num_threads({32, 32, 0.0}), 16u);
  EXPECT_EQ(found.num_threads({32, 32, 2.5}), 3u);  // the quota counts first
}

TEST_F(TopologyTest, KeepsToTheProcessorsThatAreAllowed) {
  if (!has_hwloc()) GTEST_SKIP() << "built without hwloc";
  // Both hardware threads of the first core, one of the second; all in the first package.
  const CpuTopology found = describe("pack:2 [numa] core:4 pu:2", {0, 1, 2});
  EXPECT_EQ(found.num_processors, 3u);
  EXPECT_EQ(found.num_cores, 2u);
  EXPECT_EQ(found.num_packages, 1u);
  EXPECT_EQ(found.num_memory_nodes, 1u);
  EXPECT_EQ(found.fast_processors, (Processors{0, 1, 2}));
  EXPECT_EQ(found.num_threads({16, 3, 0.0}), 2u);
}

TEST_F(TopologyTest, PrefersFastCores) {
  if (!has_hwloc()) GTEST_SKIP() << "built without hwloc";
  const CpuTopology found = describe(hybrid_xml());
  EXPECT_TRUE(found.is_hybrid());
  EXPECT_EQ(found.num_processors, 16u);
  EXPECT_EQ(found.num_cores, 12u);
  EXPECT_EQ(found.num_fast_cores, 4u);
  EXPECT_EQ(found.fast_processors, (Processors{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(found.num_threads({16, 16, 0.0}), 4u);
  // Of the slow ones alone all are equal.
  const CpuTopology slow = describe(hybrid_xml(), {8, 9, 10});
  EXPECT_FALSE(slow.is_hybrid());
  EXPECT_EQ(slow.num_threads({16, 3, 0.0}), 3u);
}

TEST_F(TopologyTest, SaysWhatItCannotRead) {
  EXPECT_FALSE(describe_topology("", {}).has_value());
  const Result<CpuTopology> nonsense = describe_topology("nonsense", {});
  ASSERT_FALSE(nonsense.has_value());
  EXPECT_EQ(nonsense.error().code(), ErrorCode::kUnsupported);
  EXPECT_FALSE(describe_topology("<topology", {}).has_value());
}

TEST_F(TopologyTest, ReadsThisMachine) {
  const CpuTopology found = cpu_topology();
  const CpuAllowance allowance = cpu_allowance();
  EXPECT_EQ(found.num_processors, allowance.affinity_processors);
  EXPECT_GE(found.num_cores, 1u);
  EXPECT_LE(found.num_fast_cores, found.num_cores);
  EXPECT_GE(found.fast_processors.size(), found.num_fast_cores);
  EXPECT_GE(found.num_threads(allowance), 1u);
  EXPECT_LE(found.num_threads(allowance), allowance.num_threads());
}

TEST_F(TopologyTest, ReadsProcessorLists) {
  EXPECT_EQ(parse_processor_list("0-3,8\n"), (Processors{0, 1, 2, 3, 8}));
  EXPECT_EQ(parse_processor_list("5"), (Processors{5}));
  EXPECT_TRUE(parse_processor_list("").empty());
  EXPECT_TRUE(parse_processor_list("0-4000000000").empty());
  EXPECT_EQ(parse_processor_list("1,x"), (Processors{1}));
}

// Without hwloc: a folder like /sys of two fast cores with two hardware threads each and two slow
// ones, on two memory nodes.
TEST_F(TopologyTest, FallsBackToSys) {
  const fs::path root = fs::path(testing::TempDir()) / "sys_topology";
  const auto write = [&](const std::string& path, const std::string& text) {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text << '\n';
  };
  for (int i = 0; i < 6; ++i) {
    const std::string folder = "devices/system/cpu/cpu" + std::to_string(i) + "/topology/";
    const int first = i / 2 * 2;
    write(folder + "thread_siblings_list",
          i < 4 ? std::to_string(first) + "-" + std::to_string(first + 1) : std::to_string(i));
    write(folder + "physical_package_id", "0");
  }
  write("devices/cpu_core/cpus", "0-3");
  write("devices/system/node/online", "0-1");
  write("devices/system/node/node0/cpulist", "0-3");
  write("devices/system/node/node1/cpulist", "4-5");
  const CpuTopology found = read_sys_topology(root.string(), Processors{0, 1, 2, 3, 4, 5});
  EXPECT_EQ(found.source, "/sys");
  EXPECT_EQ(found.num_processors, 6u);
  EXPECT_EQ(found.num_cores, 4u);
  EXPECT_EQ(found.num_fast_cores, 2u);
  EXPECT_EQ(found.num_memory_nodes, 2u);
  EXPECT_EQ(found.fast_processors, (Processors{0, 1, 2, 3}));
  fs::remove_all(root);
  const CpuTopology nothing = read_sys_topology(root.string(), Processors{0, 1, 2});
  EXPECT_EQ(nothing.source, "none");
  EXPECT_EQ(nothing.num_cores, 3u);
  EXPECT_EQ(nothing.num_fast_cores, 3u);
}

TEST(MemoryNodes, InterleavedMemoryIsUsableOnAnyMachine) {
  const Buffer buffer = *Buffer::allocate(size_t{1} << 20, HugePages::kNo, "test");
  interleave_over_nodes(buffer.range());
  buffer.data()[0] = std::byte{1};
  buffer.data()[buffer.size() - 1] = std::byte{2};
  EXPECT_EQ(buffer.data()[0], std::byte{1});
}

}  // namespace
}  // namespace ruvllm
