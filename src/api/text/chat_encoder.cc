#include "api/text/chat_encoder.h"

#include <utility>

#include "api/text/chat/chat_variables.h"

namespace ruvllm::api {
namespace {

using Json = nlohmann::ordered_json;
using text::TokenId;

ControlTexts control_texts(const text::VocabSpec& spec) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < spec.kinds.size(); ++i) {
    if (spec.kinds[i] == text::TokenKind::kControl) texts.push_back(spec.tokens[i]);
  }
  return ControlTexts(std::move(texts));
}

// A blank behind the mark tells later whether the template strips the text.
Status mark_end(Json& messages, const std::string& mark) {
  if (messages.empty()) {
    return fail(ErrorCode::kInvalidArgument, "there is no message to go on with");
  }
  Json& message = messages.back();
  Json* text = &message["content"];
  if (text->is_array()) text = &text->back()["text"];
  if (!text->is_string()) {
    return fail(ErrorCode::kInvalidArgument, "the last message has no text to go on with");
  }
  const bool only_reasoning =
      text->get_ref<const std::string&>().empty() && message.contains("reasoning_content");
  if (!only_reasoning) {
    text->get_ref<std::string&>() += mark + " ";
    return {};
  }
  for (const char* key : {"reasoning_content", "reasoning", "thinking"}) {
    message[key].get_ref<std::string&>() += mark + " ";
  }
  return {};
}

Status cut_at_end(std::string& rendered, const std::string& mark) {
  const size_t at = rendered.rfind(mark);
  if (at == std::string::npos) {
    return fail(ErrorCode::kInvalidArgument,
                "the template leaves out or changes the last message, so that it cannot be "
                "continued");
  }
  const bool stripped = rendered.compare(at + mark.size(), 1, " ") != 0;
  rendered.resize(at);
  if (stripped) rendered.resize(rendered.find_last_not_of(" \t\r\n\v\f") + 1);
  return {};
}

}  // namespace

ChatEncoder::ChatEncoder(std::shared_ptr<const text::Tokenizer> tokenizer, ModelTemplates templates)
    : tokenizer_(std::move(tokenizer)),
      templates_(std::move(templates)),
      controls_(control_texts(tokenizer_->spec())) {}

Result<std::unique_ptr<ChatEncoder>> ChatEncoder::create(
    std::shared_ptr<const text::Tokenizer> tokenizer, const ChatEncoderOptions& options) {
  RUVLLM_ASSIGN(ModelTemplates templates,
                ModelTemplates::create(tokenizer->spec(), options.architecture, options.model_name,
                                       options.chat_template));
  return std::unique_ptr<ChatEncoder>(new ChatEncoder(std::move(tokenizer), std::move(templates)));
}

std::string_view ChatEncoder::source_name() const {
  switch (templates_.source()) {
    case ModelTemplates::Source::kModel:
      return "model";
    case ModelTemplates::Source::kOption:
      return "option";
    case ModelTemplates::Source::kFamily:
      return "family";
    case ModelTemplates::Source::kDefault:
      break;
  }
  return "default";
}

// "" for those that the vocabulary does not have, as templates add them to strings.
void ChatEncoder::add_special_tokens(Json& variables) const {
  const text::VocabSpec& spec = tokenizer_->spec();
  variables["bos_token"] = token_text(spec, spec.bos_id);
  variables["eos_token"] = token_text(spec, spec.eos_id);
  if (spec.pad_id) variables["pad_token"] = token_text(spec, spec.pad_id);
  if (spec.unk_id) variables["unk_token"] = token_text(spec, spec.unk_id);
}

Result<ChatEncoder::Rendered> ChatEncoder::render_marked(std::span<const ChatMessage> messages,
                                                         const ChatTemplateOptions& options,
                                                         bool mark) const {
  const ModelTemplates::Entry& entry = templates_.choose(!options.tools.empty());
  const auto in_template = [&entry](Error error) {
    return std::unexpected<Error>(std::move(error).with_context(entry.label));
  };
  if (!entry.parsed) return in_template(Error(entry.parsed.error()));
  RUVLLM_ASSIGN(Json variables, make_chat_variables(messages, options, entry.forms));
  Rendered out;
  RUVLLM_ASSIGN(out.marks, TextMarks::choose(variables));
  if (mark) mark_literals(variables, controls_, out.marks.literal);
  if (options.continue_final_message) {
    RUVLLM_TRY(mark_end(variables["messages"], out.marks.end));
  }
  variables["add_generation_prompt"] =
      options.add_generation_prompt && !options.continue_final_message;
  if (options.unix_seconds) variables["strftime_now"] = *options.unix_seconds;
  add_special_tokens(variables);
  Result<std::string> rendered = entry.parsed->render(variables);
  if (!rendered) return in_template(std::move(rendered).error());
  out.text = *std::move(rendered);
  if (options.continue_final_message) {
    const Status cut = cut_at_end(out.text, out.marks.end);
    if (!cut) return in_template(Error(cut.error()));
  }
  return out;
}

Result<std::string> ChatEncoder::render(std::span<const ChatMessage> messages,
                                        const ChatTemplateOptions& options) const {
  RUVLLM_ASSIGN(Rendered rendered, render_marked(messages, options, false));
  return std::move(rendered.text);
}

Result<std::vector<TokenId>> ChatEncoder::encode(std::span<const ChatMessage> messages,
                                                 const ChatTemplateOptions& options) const {
  RUVLLM_ASSIGN(Rendered rendered, render_marked(messages, options, true));
  const std::vector<text::ByteRange> literal =
      take_out_marks(rendered.text, rendered.marks.literal);
  // Templates that begin with BOS themselves must not get a second one.
  const text::VocabSpec& spec = tokenizer_->spec();
  const std::string bos = token_text(spec, spec.bos_id);
  const bool has_bos = !bos.empty() && rendered.text.starts_with(bos);
  std::vector<TokenId> ids = tokenizer_->encode(
      rendered.text, {.parse_special = true, .add_special = !has_bos, .literal = literal});
  if (spec.add_eos && !has_bos && spec.eos_id && !ids.empty() && ids.back() == *spec.eos_id) {
    ids.pop_back();  // the turn goes on: the answer is still to come
  }
  return ids;
}

}  // namespace ruvllm::api
