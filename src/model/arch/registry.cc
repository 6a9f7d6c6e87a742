#include <fmt/ranges.h>

#include "model/arch/architecture.h"

namespace ruvllm::model {
namespace {
constexpr const Architecture* kArchitectures[] = {
    &kBert,  &kGemma2, &kGemma3, &kGptOss, &kGranite,  &kLlama,  &kNomicBert,
    &kOlmo2, &kPhi3,   &kQwen2,  &kQwen3,  &kQwen3Moe, &kSmollm3};
}  // namespace

std::vector<std::string> architecture_names() {
  std::vector<std::string> names;
  for (const Architecture* architecture : kArchitectures) names.emplace_back(architecture->name);
  return names;
}

const Architecture* architecture_of_name(std::string_view name) {
  for (const Architecture* architecture : kArchitectures) {
    if (architecture->name == name) return architecture;
  }
  return nullptr;
}

Result<const Architecture*> find_architecture(const formats::GgufFile& file) {
  RUVLLM_ASSIGN(const std::string_view name, file.get_string("general.architecture"));
  const Architecture* architecture = architecture_of_name(name);
  if (architecture != nullptr) return architecture;
  return fail(ErrorCode::kUnsupported, "{}: architecture '{}' is not supported; supported are: {}",
              file.path(), name, fmt::join(architecture_names(), ", "));
}

}  // namespace ruvllm::model
