// config.json of a Hugging Face checkpoint: typed reads whose errors name file and field.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/core/error.h"
#include "formats/json/json_fields.h"

namespace ruvllm::model {

// A value that the family's own code assumes where config.json has none.
struct ConfigDefault {
  std::string_view key;
  double value;
};

class HfConfig : public formats::JsonFields {
 public:
  HfConfig() = default;
  // Entries of "text_config", where multimodal models keep the language model, go over the others.
  static Result<HfConfig> parse(std::string_view text, const std::string& file);

  // Values for keys that are absent; null counts as absent only for these.
  void set_default(const ConfigDefault& fallback);
  void set(std::string_view key, uint32_t value) { mutable_values()[std::string(key)] = value; }

 private:
  explicit HfConfig(formats::JsonFields fields) : formats::JsonFields(std::move(fields)) {}
};

}  // namespace ruvllm::model
