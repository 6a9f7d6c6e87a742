#include "api/text/chat_encoder.h"

#include <algorithm>
#include <string_view>

namespace ruvllm::api {
namespace {

using text::TokenId;

// A code point that no text is meant to contain (Unicode noncharacters U+FDD0 to U+FDEF) and that
// these messages do not.
Result<std::string> choose_marker(std::span<const ChatMessage> messages) {
  for (int last = 0x90; last <= 0xAF; ++last) {
    std::string marker = {'\xEF', '\xB7', static_cast<char>(last)};
    if (std::ranges::none_of(messages, [&](const ChatMessage& message) {
          return message.content.find(marker) != std::string::npos;
        })) {
      return marker;
    }
  }
  return fail(ErrorCode::kInvalidArgument,
              "the messages use all Unicode noncharacters U+FDD0 to U+FDEF; remove them");
}

// Puts the marker after the first byte of every control token in the text, so that it is none.
std::string break_control_tokens(std::string content, const std::vector<std::string>& controls,
                                 const std::string& marker) {
  for (const std::string& control : controls) {
    for (size_t at = content.find(control); at != std::string::npos;
         at = content.find(control, at + 1)) {
      content.insert(at + 1, marker);
      at += marker.size();
    }
  }
  return content;
}

// Removes the markers; the bytes around each place may not be read as a control token.
std::vector<text::ByteRange> remove_markers(std::string& rendered, const std::string& marker) {
  std::vector<text::ByteRange> literal;
  std::string clean;
  size_t from = 0;
  for (size_t at = rendered.find(marker); at != std::string::npos;
       at = rendered.find(marker, from)) {
    clean.append(rendered, from, at - from);
    literal.push_back({clean.size() - 1, clean.size() + 1});
    from = at + marker.size();
  }
  clean.append(rendered, from);
  rendered = std::move(clean);
  return literal;
}

}  // namespace

ChatEncoder::ChatEncoder(std::shared_ptr<const text::Tokenizer> tokenizer)
    : tokenizer_(std::move(tokenizer)) {
  const text::VocabSpec& spec = tokenizer_->spec();
  for (size_t i = 0; i < spec.kinds.size(); ++i) {
    if (spec.kinds[i] == text::TokenKind::kControl && !spec.tokens[i].empty()) {
      control_texts_.push_back(spec.tokens[i]);
    }
  }
  if (has_template()) template_.emplace(text::ChatTemplate::parse(spec.chat_template));
}

Result<std::string> ChatEncoder::render(std::span<const ChatMessage> messages,
                                        bool add_generation_prompt) const {
  if (!template_) {
    return fail(ErrorCode::kNotFound,
                "the model has no chat template; send the prompt as it is (--raw)");
  }
  if (!template_->has_value()) {
    return std::unexpected<Error>(Error(template_->error()).with_context("chat template"));
  }
  const text::VocabSpec& spec = tokenizer_->spec();
  const auto token_text = [&](const std::optional<TokenId>& id) {
    return id ? spec.tokens[static_cast<size_t>(*id)] : std::string();
  };
  nlohmann::ordered_json variables = {{"messages", nlohmann::ordered_json::array()},
                                      {"add_generation_prompt", add_generation_prompt},
                                      {"bos_token", token_text(spec.bos_id)},
                                      {"eos_token", token_text(spec.eos_id)}};
  for (const ChatMessage& message : messages) {
    variables["messages"].push_back({{"role", message.role}, {"content", message.content}});
  }
  Result<std::string> rendered = (*template_)->render(variables);
  if (!rendered) {
    return std::unexpected<Error>(std::move(rendered).error().with_context("chat template"));
  }
  return rendered;
}

Result<std::vector<TokenId>> ChatEncoder::encode(std::span<const ChatMessage> messages,
                                                 bool add_generation_prompt) const {
  RUVLLM_ASSIGN(const std::string marker, choose_marker(messages));
  std::vector<ChatMessage> safe(messages.begin(), messages.end());
  for (ChatMessage& message : safe) {
    message.content = break_control_tokens(std::move(message.content), control_texts_, marker);
    message.role = break_control_tokens(std::move(message.role), control_texts_, marker);
  }
  RUVLLM_ASSIGN(std::string rendered, render(safe, add_generation_prompt));
  const std::vector<text::ByteRange> literal = remove_markers(rendered, marker);
  // Templates that begin with BOS themselves must not get a second one.
  const text::VocabSpec& spec = tokenizer_->spec();
  const bool has_bos = spec.bos_id && !spec.tokens[static_cast<size_t>(*spec.bos_id)].empty() &&
                       rendered.starts_with(spec.tokens[static_cast<size_t>(*spec.bos_id)]);
  std::vector<TokenId> ids = tokenizer_->encode(
      rendered, {.parse_special = true, .add_special = !has_bos, .literal = literal});
  if (spec.add_eos && !has_bos && spec.eos_id && !ids.empty() && ids.back() == *spec.eos_id) {
    ids.pop_back();  // the turn goes on: the answer is still to come
  }
  return ids;
}

}  // namespace ruvllm::api
