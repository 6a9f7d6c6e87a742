#include "model/import/hf_config.h"

#include <cmath>
#include <utility>

#include "formats/json/json_document.h"

namespace ruvllm::model {

using nlohmann::json;

Result<HfConfig> HfConfig::parse(std::string_view text, const std::string& file) {
  RUVLLM_ASSIGN(json document, formats::parse_json_document(text, file));
  RUVLLM_ASSIGN(formats::JsonFields fields,
                formats::JsonFields::of(std::move(document), file, "the config.json of a model"));
  RUVLLM_ASSIGN(const formats::JsonFields inner, fields.section("text_config"));
  HfConfig config(std::move(fields));
  for (const auto& [key, value] : inner.values().items()) {
    // What names the whole model stays.
    if (key != "architectures" && key != "model_type") config.mutable_values()[key] = value;
  }
  return config;
}

void HfConfig::set_default(const ConfigDefault& fallback) {
  json& value = mutable_values()[std::string(fallback.key)];
  if (!value.is_null()) return;
  const double whole = std::nearbyint(fallback.value);
  if (whole == fallback.value) {
    value = static_cast<int64_t>(whole);
  } else {
    value = fallback.value;
  }
}

}  // namespace ruvllm::model
