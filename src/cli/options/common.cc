#include "cli/options/common.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <utility>

#include "cli/options/values.h"

namespace ruvllm::cli {
namespace {

constexpr std::array<std::pair<std::string_view, DeviceType>, 3> kDevices = {
    {{"cpu", DeviceType::Cpu}, {"cuda", DeviceType::Cuda}, {"metal", DeviceType::Metal}}};
constexpr std::array<std::pair<std::string_view, WeightForm>, 3> kWeightForms = {
    {{"auto", WeightForm::kAuto},
     {"mapped", WeightForm::kMapped},
     {"packed", WeightForm::kPacked}}};

constexpr std::array<std::pair<std::string_view, Precision>, 6> kKvStores = {
    {{"f16", Precision::FP16},
     {"q8", Precision::Q8},
     {"k8v4", Precision::K8V4},
     {"q4", Precision::Q4},
     {"q3", Precision::Q3},
     {"q2", Precision::Q2}}};

void add_count(CommandParser& command, const char* name, std::optional<uint32_t>& target,
               const char* help) {
  command
      .add_parsed_option(
          name,
          [&target](const std::string& text) -> Status {
            RUVLLM_ASSIGN(target,
                          parse_number<uint32_t>(text, 0, std::numeric_limits<uint32_t>::max()));
            return {};
          },
          help)
      .value_name("N")
      .group(kCommonGroup);
}

// Flags have been checked against the names: what is unknown comes from the settings.
template <class Value, size_t kCount>
Result<Value> named_value(const std::array<std::pair<std::string_view, Value>, kCount>& names,
                          const std::string& text, const char* setting, const char* expected) {
  for (const auto& [name, value] : names) {
    if (text == name) return value;
  }
  return fail(ErrorCode::kInvalidArgument,
              "{}: '{}' in the environment or the settings file is not {}", setting, text,
              expected);
}

void add_kv_flags(CommandParser& command, CommonFlags& flags) {
  command
      .add_option("--kv-store", flags.kv_store,
                  "Keys and values behind the tail: f16, q8, k8v4 (keys 8 bits, values 4), q4, q3, "
                  "q2; or a use: chat-short, chat-long, document-qa, code-completion")
      .choices({"f16", "q8", "k8v4", "q4", "q3", "q2", "chat-short", "chat-long", "document-qa",
                "code-completion"})
      .value_name("STORE")
      .group(kCommonGroup);
  add_count(command, "--kv-tail", flags.kv_tail,
            "Last tokens that stay in f16 when there is a store");
  add_count(command, "--kv-mib", flags.kv_mib,
            "Room for keys and values in MiB; 0: full contexts, at most half of the free memory");
}

void add_batch_flags(CommandParser& command, CommonFlags& flags) {
  add_count(command, "--prefill-batch", flags.prefill_batch,
            "Prompts computed together in a step; 0: as many as run");
  add_count(command, "--decode-batch", flags.decode_batch,
            "Sequences decoding in a step; 0: as many as run");
  add_count(command, "--lora-batch", flags.lora_batch,
            "Different adapters in a step; 0: as many as run");
  command
      .add_option("--batch-for-memory", flags.batch_for_memory,
                  "Choose what the three leave open by what fits into GB gigabytes; auto: into "
                  "what is free")
      .value_name("GB")
      .group(kCommonGroup);
  add_count(
      command, "--max-step-ms", flags.max_step_ms,
      "Milliseconds that a step with decodes may take because of prompts beside them; 0: any");
}

Result<std::optional<double>> batch_memory(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  if (*text == "auto") return 0.0;
  const Result<double> gigabytes = parse_number<double>(*text, 0.001, 1e6);
  if (!gigabytes) {
    return fail(ErrorCode::kInvalidArgument,
                "batch-for-memory: '{}' is neither auto nor a number of gigabytes", *text);
  }
  return *gigabytes;
}

// A precision, or a preset's name; the tail goes over a preset's.
Result<KvCacheConfig> kv_cache_config(const std::string& store, std::optional<uint32_t> tail) {
  KvCacheConfig config;
  const auto preset =
      std::ranges::find(kv_cache_presets(), std::string_view(store), &KvCachePreset::name);
  if (preset != kv_cache_presets().end()) {
    config = preset->config;
  } else {
    RUVLLM_ASSIGN(config.store_precision,
                  named_value(kKvStores, store, "kv_store",
                              "f16, q8, k8v4, q4, q3, q2 or the name of a use"));
  }
  config.tail_length = tail.value_or(config.tail_length);
  return config;
}

}  // namespace

void add_threads_flag(CommandParser& command, CommonFlags& flags) {
  add_count(command, "-t,--threads", flags.threads, "Threads; 0: all this process may use");
}

void add_common_flags(CommandParser& command, CommonFlags& flags, CommonSet set) {
  if (set == CommonSet::kAll) {
    command.add_option("-m,--model", flags.model, kModelHelp)
        .value_name("FILE")
        .group(kCommonGroup);
    add_threads_flag(command, flags);
    add_count(command, "--ctx", flags.ctx, "Context length in tokens; 0: the model's");
    command.add_option("--device", flags.device, "Device to run on")
        .choices({"cpu", "cuda", "metal"})
        .value_name("DEVICE")
        .group(kCommonGroup);
    command.add_option("--cpu-isa", flags.cpu_isa, "Force kernels, e.g. generic or avx2")
        .value_name("ISA")
        .group(kCommonGroup);
    command
        .add_option("--weights", flags.weights,
                    "Matrices: from the file, packed copies made meanwhile (auto); from the file "
                    "alone; or packed at first")
        .choices({"auto", "mapped", "packed"})
        .value_name("FORM")
        .group(kCommonGroup);
    add_count(command, "--packed-mib", flags.packed_mib,
              "Room for packed copies in MiB; 0: half of the free memory");
  }
  if (set == CommonSet::kAll) {
    add_kv_flags(command, flags);
    add_batch_flags(command, flags);
  }
  command.add_option("--config", flags.config_path, "Settings file (TOML)")
      .value_name("FILE")
      .group(kCommonGroup);
  command.add_flag("--json", flags.json, "Write the result as JSON").group(kCommonGroup);
}

Result<CommonOptions> merge_settings(const CommonFlags& flags, const Settings& settings) {
  CommonOptions options;
  options.model = flags.model.value_or(settings.model.value_or(""));
  options.threads = flags.threads.value_or(settings.threads.value_or(0));
  options.ctx = flags.ctx.value_or(settings.ctx.value_or(0));
  options.cpu_isa = flags.cpu_isa.value_or(settings.cpu_isa.value_or(""));
  options.packed_mib = flags.packed_mib.value_or(settings.packed_mib.value_or(0));
  RUVLLM_ASSIGN(options.kv_cache,
                kv_cache_config(flags.kv_store.value_or(settings.kv_store.value_or("f16")),
                                flags.kv_tail ? flags.kv_tail : settings.kv_tail));
  const auto merged = [](std::optional<uint32_t> flag, std::optional<uint32_t> setting) {
    return flag.value_or(setting.value_or(0));
  };
  options.batch = {.prefill_batch = merged(flags.prefill_batch, settings.prefill_batch),
                   .decode_batch = merged(flags.decode_batch, settings.decode_batch),
                   .lora_batch = merged(flags.lora_batch, settings.lora_batch)};
  RUVLLM_ASSIGN(
      options.batch_memory_gb,
      batch_memory(flags.batch_for_memory ? flags.batch_for_memory : settings.batch_for_memory));
  options.max_step_ms = merged(flags.max_step_ms, settings.max_step_ms);
  options.kv_mib = flags.kv_mib.value_or(settings.kv_mib.value_or(0));
  if (settings.speculate) {
    RUVLLM_ASSIGN(options.speculate, speculation_of_name(*settings.speculate));
  }
  options.draft = settings.draft.value_or("");
  options.cache_dir = settings.cache_dir.value_or("");
  options.cache_mib = settings.cache_mib;
  RUVLLM_ASSIGN(options.device,
                named_value(kDevices, flags.device.value_or(settings.device.value_or("cpu")),
                            "device", "cpu, cuda or metal"));
  RUVLLM_ASSIGN(options.weights,
                named_value(kWeightForms, flags.weights.value_or(settings.weights.value_or("auto")),
                            "weights", "auto, mapped or packed"));
  return options;
}

const char* device_name(DeviceType device) {
  for (const auto& [name, type] : kDevices) {
    if (device == type) return name.data();
  }
  return "unknown";
}

}  // namespace ruvllm::cli
