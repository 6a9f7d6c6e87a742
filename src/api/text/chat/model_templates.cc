#include "api/text/chat/model_templates.h"

#include <algorithm>
#include <utility>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "text/template/families/families.h"

namespace ruvllm::api {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kToolUse = "tool_use";
constexpr const char* kNeedle = "needle";
constexpr const char* kNeedleText = R"({"needle": 1})";

// Renders one conversation; "" when the template refuses it.
class Probe {
 public:
  Probe(const text::ChatTemplate& chat_template, const text::VocabSpec& vocab)
      : template_(chat_template),
        variables_({{"add_generation_prompt", false},
                    {"tools", nullptr},
                    {"documents", nullptr},
                    {"bos_token", token_text(vocab, vocab.bos_id)},
                    {"eos_token", token_text(vocab, vocab.eos_id)}}) {}

  std::string with_content(Json content) {
    return render(Json::array({{{"role", "user"}, {"content", std::move(content)}}}));
  }

  std::string with_call(Json arguments, Json content) {
    const Json function = {{"name", "probe"}, {"arguments", std::move(arguments)}};
    const Json call = {{"id", "call00001"}, {"type", "function"}, {"function", function}};
    return render(Json::array({{{"role", "user"}, {"content", "x"}},
                               {{"role", "assistant"},
                                {"content", std::move(content)},
                                {"tool_calls", Json::array({call})}}}));
  }

 private:
  std::string render(Json messages) {
    variables_["messages"] = std::move(messages);
    return template_.render(variables_).value_or("");
  }

  const text::ChatTemplate& template_;
  Json variables_;
};

bool has(const std::string& text, std::string_view word) {
  return text.find(word) != std::string::npos;
}

// The first form of a call whose arguments are printed as JSON.
void find_call_forms(Probe& probe, TemplateForms& forms) {
  for (const bool null_content : {false, true}) {
    const Json content = null_content ? Json() : Json("");
    const std::string object = probe.with_call({{kNeedle, 1}}, content);
    // Python's quotes: an object where the template expects text.
    const bool reads_object = has(object, kNeedle) && !has(object, "'needle'");
    if (reads_object || has(probe.with_call(kNeedleText, content), kNeedleText)) {
      forms.null_content = null_content;
      forms.arguments_text = !reads_object;
      return;
    }
  }
}

TemplateForms find_forms(const text::ChatTemplate& chat_template, const text::VocabSpec& vocab) {
  Probe probe(chat_template, vocab);
  TemplateForms forms;
  // A list that is printed as a whole shows its keys.
  const std::string parts =
      probe.with_content(Json::array({{{"type", "text"}, {"text", kNeedle}}}));
  forms.reads_parts = has(parts, kNeedle) && !has(parts, "'type'") && !has(parts, "\"type\"");
  forms.reads_text = !forms.reads_parts || has(probe.with_content(kNeedle), kNeedle);
  find_call_forms(probe, forms);
  return forms;
}

std::string family_names() {
  std::vector<std::string_view> names;
  for (const text::TemplateFamily& family : text::template_families()) names.push_back(family.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::string token_text(const text::VocabSpec& vocab, const std::optional<text::TokenId>& id) {
  return id ? vocab.tokens[static_cast<size_t>(*id)] : std::string();
}

void ModelTemplates::add(std::string label, std::string_view name, std::string_view source,
                         const text::VocabSpec& vocab) {
  Entry entry{std::move(label), std::string(name), text::ChatTemplate::parse(source), {}};
  if (entry.parsed) entry.forms = find_forms(*entry.parsed, vocab);
  entries_.push_back(std::move(entry));
}

void ModelTemplates::add_named(const text::NamedTemplate& named, const text::VocabSpec& vocab) {
  add(fmt::format("the model's chat template '{}'", named.name), named.name, named.source, vocab);
}

void ModelTemplates::add_family(const text::TemplateFamily& family, const text::VocabSpec& vocab) {
  family_ = family.name;
  add(fmt::format("the chat template of the family '{}'", family.name), family.name,
      text::template_source(family), vocab);
}

Status ModelTemplates::take_option(const text::VocabSpec& vocab, std::string_view option) {
  source_ = Source::kOption;
  const auto named =
      std::ranges::find(vocab.named_chat_templates, option, &text::NamedTemplate::name);
  if (named != vocab.named_chat_templates.end()) {
    add_named(*named, vocab);
  } else if (const text::TemplateFamily* family = text::find_family(option); family != nullptr) {
    add_family(*family, vocab);
  } else if (option.find("{{") != std::string_view::npos ||
             option.find("{%") != std::string_view::npos) {
    add("the chat template asked for", "", option, vocab);
  } else {
    return fail(ErrorCode::kInvalidArgument,
                "chat template '{}': neither Jinja nor a known name; there are {}",
                option.substr(0, 60), family_names());
  }
  if (!entries_.front().parsed) {
    return std::unexpected<Error>(
        Error(entries_.front().parsed.error()).with_context(entries_.front().label));
  }
  return {};
}

Result<ModelTemplates> ModelTemplates::create(const text::VocabSpec& vocab,
                                              std::string_view architecture,
                                              std::string_view model_name,
                                              std::string_view option) {
  ModelTemplates templates;
  if (!option.empty()) {
    RUVLLM_TRY(templates.take_option(vocab, option));
    return templates;
  }
  if (!vocab.chat_template.empty()) {
    templates.add("the model's chat template", "", vocab.chat_template, vocab);
  }
  for (const text::NamedTemplate& named : vocab.named_chat_templates) {
    const bool wanted = named.name == kToolUse || named.name == "default";
    if (wanted) templates.add_named(named, vocab);
  }
  if (!templates.entries_.empty()) return templates;
  const text::TemplateFamily* family = text::detect_family(vocab, architecture, model_name);
  templates.source_ = family != nullptr ? Source::kFamily : Source::kDefault;
  if (family == nullptr) family = text::find_family(text::kDefaultFamily);
  templates.add_family(*family, vocab);
  return templates;
}

const ModelTemplates::Entry& ModelTemplates::choose(bool has_tools) const {
  if (has_tools) {
    const auto found = std::ranges::find(entries_, kToolUse, &Entry::name);
    if (found != entries_.end()) return *found;
  }
  const auto plain =
      std::ranges::find_if(entries_, [](const Entry& entry) { return entry.name != kToolUse; });
  return plain != entries_.end() ? *plain : entries_.front();
}

}  // namespace ruvllm::api
