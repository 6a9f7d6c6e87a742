#include "cli/options/common.h"

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
  if (settings.speculate) {
    RUVLLM_ASSIGN(options.speculate, speculation_of_name(*settings.speculate));
  }
  options.draft = settings.draft.value_or("");
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
