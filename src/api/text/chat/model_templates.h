// Which chat template a model's conversations go through, and in which form it reads them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "text/template/chat_template.h"
#include "text/template/families/families.h"
#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::api {

// Templates differ in what they take; found out by rendering a short conversation in each form.
struct TemplateForms {
  bool reads_text = true;       // content as a string
  bool reads_parts = false;     // content as a list of {"type": "text", "text": ...}
  bool arguments_text = false;  // arguments of a tool call as JSON text, not as an object
  bool null_content = false;    // null, not "", as the content beside tool calls
};

class ModelTemplates {
 public:
  enum class Source { kModel, kOption, kFamily, kDefault };
  struct Entry {
    std::string label;  // for errors: "the model's chat template 'tool_use'"
    std::string name;   // "", "tool_use", ...; the family's name
    Result<text::ChatTemplate> parsed;
    TemplateForms forms;
  };

  // `option`: "" or the caller's choice: the name of one of the file's templates or of a family, or
  // Jinja. A template of the file that does not parse is no error here, but when it is used.
  static Result<ModelTemplates> create(const text::VocabSpec& vocab, std::string_view architecture,
                                       std::string_view model_name, std::string_view option);

  Source source() const { return source_; }
  // The name of the family; "" for templates of the file or the caller.
  std::string_view family() const { return family_; }
  const Entry& choose(bool has_tools) const;

 private:
  void add(std::string label, std::string_view name, std::string_view source,
           const text::VocabSpec& vocab);
  void add_named(const text::NamedTemplate& named, const text::VocabSpec& vocab);
  void add_family(const text::TemplateFamily& family, const text::VocabSpec& vocab);
  Status take_option(const text::VocabSpec& vocab, std::string_view option);

  Source source_ = Source::kModel;
  std::string_view family_;
  std::vector<Entry> entries_;  // the default one first
};

// A special token's text; "" when the vocabulary has none.
std::string token_text(const text::VocabSpec& vocab, const std::optional<text::TokenId>& id);

}  // namespace ruvllm::api
