// Settings from the environment (RUVLLM_*) and a TOML file; flags of the caller go over them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <ruvllm/error.h>
#include <ruvllm/export.h>

namespace ruvllm {

// Unset: nobody said anything. Environment wins over file. Names: RUVLLM_MODEL and `model`,
// RUVLLM_THREADS and `threads`, RUVLLM_CTX and `ctx`, RUVLLM_DEVICE and `device`,
// RUVLLM_CPU_ISA and `cpu_isa`, RUVLLM_WEIGHTS and `weights`, RUVLLM_PACKED_MIB and `packed_mib`,
// RUVLLM_KV_MIB and `kv_mib`, RUVLLM_KV_STORE and `kv_store`, RUVLLM_KV_TAIL and `kv_tail`,
// RUVLLM_SPECULATE and `speculate`, RUVLLM_DRAFT and `draft`, RUVLLM_CACHE_DIR and `cache_dir`,
// RUVLLM_CACHE_MIB and `cache_mib`, RUVLLM_PREFILL_BATCH and `prefill_batch`, RUVLLM_DECODE_BATCH
// and `decode_batch`, RUVLLM_LORA_BATCH and `lora_batch`, RUVLLM_BATCH_FOR_MEMORY and
// `batch_for_memory` (gigabytes, or "auto"), RUVLLM_MAX_STEP_MS and `max_step_ms`; RUVLLM_CONFIG
// names the file.
struct Settings {
  std::optional<std::string> model;
  std::optional<uint32_t> threads;
  std::optional<uint32_t> ctx;
  std::optional<std::string> device;
  std::optional<std::string> cpu_isa;
  std::optional<std::string> weights;
  std::optional<uint32_t> packed_mib;
  std::optional<uint32_t> kv_mib;
  std::optional<std::string> kv_store;
  std::optional<uint32_t> kv_tail;
  std::optional<std::string> speculate;
  std::optional<std::string> draft;
  std::optional<std::string> cache_dir;
  std::optional<uint32_t> cache_mib;
  std::optional<uint32_t> prefill_batch;
  std::optional<uint32_t> decode_batch;
  std::optional<uint32_t> lora_batch;
  std::optional<std::string> batch_for_memory;
  std::optional<uint32_t> max_step_ms;
  bool no_color = false;  // NO_COLOR is set and not empty (https://no-color.org)
};

// config_path "": RUVLLM_CONFIG, else $XDG_CONFIG_HOME/ruvllm/config.toml if it exists. Unknown
// keys and values of a wrong type are errors that name file, line and key.
RUVLLM_API Result<Settings> load_settings(const std::string& config_path);

// The demo model beside the binary: of the source tree, or as installed. kNotFound names the
// places.
RUVLLM_API Result<std::string> bundled_model_path();

// File for the chat's input history, folder created: $XDG_DATA_HOME/ruvllm/history.
RUVLLM_API Result<std::string> history_path();

RUVLLM_API const char* version();

}  // namespace ruvllm
