// What was said so far, and how it becomes a prompt that fits the context.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include <ruvllm/chat.h>
#include <ruvllm/tokenizer.h>

namespace ruvllm::cli {

class Conversation {
 public:
  void set_system(std::string text) { system_ = std::move(text); }
  const std::string& system() const { return system_; }
  void add(std::string role, std::string content);
  // Forgets what was said; the system prompt stays.
  void clear() { turns_.clear(); }
  // Forgets the last user message and all after it, and returns it; nullopt when there is none.
  std::optional<std::string> undo();
  // Forgets the answer after the last user message; false when nothing was asked yet.
  bool drop_answer();
  // Forgets the oldest user message with its answers; false when only the last one is left.
  bool drop_oldest();

  const std::vector<ChatMessage>& turns() const { return turns_; }
  // The system prompt, if any, and all turns.
  std::vector<ChatMessage> messages() const;

  // {"messages": [{"role", "content"}, ...]}, the system prompt as first message.
  std::string to_json() const;
  // `name` is for the error messages. Roles other than system (first), user, assistant: an error.
  static Result<Conversation> from_json(std::string_view text, const std::string& name);

 private:
  std::string system_;
  std::vector<ChatMessage> turns_;  // user and assistant
};

using Encoder = std::function<Result<std::vector<TokenId>>(const std::vector<ChatMessage>&)>;

// Encodes the conversation, forgetting its oldest messages until `reserve` tokens of the context
// are left for the answer; `num_dropped` counts the messages forgotten.
Result<std::vector<TokenId>> encode_within(Conversation& conversation, const Encoder& encode,
                                           uint32_t context_length, uint32_t reserve,
                                           size_t& num_dropped);

// For models without a chat template: "User: ..." and "Assistant: ..." line by line.
std::string plain_transcript(const std::vector<ChatMessage>& messages);
// What an answer in such a transcript must stop at.
inline constexpr std::string_view kPlainTranscriptStop = "\nUser:";

}  // namespace ruvllm::cli
