// What is in a model file and what this machine offers.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <ruvllm/error.h>
#include <ruvllm/export.h>

namespace ruvllm {

struct TensorSummary {
  std::string name;
  std::string dtype;
  std::vector<uint64_t> dims;  // dims[0] is the contiguous one
  uint64_t bytes = 0;
};

struct ModelSummary {
  std::string path;
  std::string format;        // "GGUF v3"
  std::string architecture;  // "qwen2"
  std::string name;
  uint64_t num_parameters = 0;
  uint64_t file_bytes = 0;
  double bits_per_weight = 0.0;
  std::string main_dtype;  // the type with most of the weights
  uint32_t context_length = 0;
  uint32_t vocab_size = 0;
  bool vocabulary_only = false;
  bool supported = false;  // whether this build can run it
  std::string unsupported_reason;
  std::string chat_template;
  std::vector<std::pair<std::string, std::string>> metadata;  // key, value for people
  std::vector<TensorSummary> tensors;
};

RUVLLM_API Result<ModelSummary> inspect_model(const std::string& path);

struct SystemReport {
  std::string version;
  std::string cpu_name;
  std::vector<std::string> cpu_features;
  uint32_t logical_processors = 0;
  uint32_t allowed_processors = 0;  // by affinity
  double cpu_quota = 0.0;           // processors of the cgroup's quota; 0: no limit
  std::string topology_source;      // "hwloc", "/sys" or "none"; of the allowed processors:
  uint32_t physical_cores = 0;      // cores, of which each may be several processors
  uint32_t fast_cores = 0;          // of the most capable kind
  uint32_t memory_nodes = 0;        // NUMA
  uint32_t num_threads = 0;         // what 0 in EngineOptions means here
  uint64_t memory_total = 0;
  uint64_t memory_available = 0;
  uint64_t memory_budget = 0;  // available, less where the cgroup leaves less
  uint64_t memory_limit = 0;   // cgroup; 0: no limit
  std::string isa;
  std::vector<std::string> isas_available;
  std::vector<std::pair<std::string, std::string>> kernels;  // operation, implementation
  std::vector<std::string> devices;
};

// cpu_isa as in EngineOptions.
RUVLLM_API Result<SystemReport> describe_system(const std::string& cpu_isa);

}  // namespace ruvllm
