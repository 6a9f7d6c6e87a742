// Flags that every command takes, and what they mean with the settings of environment and file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/core/error.h"
#include "cli/options/argument_parser.h"
#include <ruvllm/engine.h>
#include <ruvllm/settings.h>

namespace ruvllm::cli {

// As given on the command line; unset where the flag was not.
struct CommonFlags {
  std::optional<std::string> model;
  std::optional<uint32_t> threads;
  std::optional<uint32_t> ctx;
  std::optional<std::string> device;
  std::optional<std::string> cpu_isa;
  std::optional<std::string> weights;
  std::optional<uint32_t> packed_mib;
  std::optional<std::string> kv_store;
  std::optional<uint32_t> kv_tail;
  std::optional<uint32_t> prefill_batch;
  std::optional<uint32_t> decode_batch;
  std::optional<uint32_t> lora_batch;
  std::optional<std::string> batch_for_memory;
  std::optional<uint32_t> max_step_ms;
  std::optional<uint32_t> kv_mib;
  std::string config_path;
  bool json = false;
};

enum class CommonSet {
  kOutputOnly,  // --json, --config: the command loads no model
  kAll,
};

// Their group in help and man page.
inline constexpr const char* kCommonGroup = "Common options";
inline constexpr const char* kModelHelp =
    "Model file, or the name of a pulled model; default: the bundled model";

void add_common_flags(CommandParser& command, CommonFlags& flags, CommonSet set);
// For commands of kOutputOnly that compute.
void add_threads_flag(CommandParser& command, CommonFlags& flags);

// Flags over settings over defaults.
struct CommonOptions {
  std::string model;     // "": the bundled model
  uint32_t threads = 0;  // 0: all that this process may use
  uint32_t ctx = 0;      // 0: nobody said anything
  DeviceType device = DeviceType::Cpu;
  std::string cpu_isa;
  WeightForm weights = WeightForm::kAuto;
  uint32_t packed_mib = 0;  // 0: half of the memory that is available
  KvCacheConfig kv_cache;
  BatchConfig batch;
  std::optional<double> batch_memory_gb;  // 0: what is free
  uint32_t max_step_ms = 0;               // 0: no limit
  uint32_t kv_mib = 0;                    // 0: as EngineOptions::max_cache_bytes
  // For the flags of request/speculation.h, which not all commands have.
  std::optional<Speculation> speculate;
  std::string draft;
  // For the flags of request/cache.h.
  std::string cache_dir;
  std::optional<uint32_t> cache_mib;
};
Result<CommonOptions> merge_settings(const CommonFlags& flags, const Settings& settings);

const char* device_name(DeviceType device);

}  // namespace ruvllm::cli
