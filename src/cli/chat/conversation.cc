#include "cli/chat/conversation.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

namespace ruvllm::cli {
namespace {
using Json = nlohmann::ordered_json;
}  // namespace

void Conversation::add(std::string role, std::string content) {
  turns_.push_back({std::move(role), std::move(content)});
}

std::optional<std::string> Conversation::undo() {
  while (!turns_.empty()) {
    const ChatMessage last = std::move(turns_.back());
    turns_.pop_back();
    if (last.role == "user") return last.content;
  }
  return std::nullopt;
}

bool Conversation::drop_answer() {
  std::optional<std::string> question = undo();
  if (!question) return false;
  add("user", std::move(*question));
  return true;
}

bool Conversation::drop_oldest() {
  const auto is_user = [](const ChatMessage& turn) { return turn.role == "user"; };
  if (turns_.empty()) return false;
  const auto next = std::find_if(turns_.begin() + 1, turns_.end(), is_user);
  if (next == turns_.end()) return false;
  turns_.erase(turns_.begin(), next);
  return true;
}

std::vector<ChatMessage> Conversation::messages() const {
  std::vector<ChatMessage> out;
  if (!system_.empty()) out.push_back({"system", system_});
  out.insert(out.end(), turns_.begin(), turns_.end());
  return out;
}

std::string Conversation::to_json() const {
  Json list = Json::array();
  for (const ChatMessage& message : messages()) {
    list.push_back({{"role", message.role}, {"content", message.content}});
  }
  return Json{{"messages", list}}.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Conversation> Conversation::from_json(std::string_view text, const std::string& name) {
  const Json root = Json::parse(text, nullptr, false);
  const auto list = root.is_object() ? root.find("messages") : root.end();
  if (list == root.end() || !list->is_array()) {
    return fail(ErrorCode::kCorrupt, "{}: not a conversation: no JSON object with \"messages\"",
                name);
  }
  Conversation out;
  for (size_t i = 0; i < list->size(); ++i) {
    const Json& item = (*list)[i];
    const bool well_formed = item.is_object() && item.contains("role") &&
                             item["role"].is_string() && item.contains("content") &&
                             item["content"].is_string();
    const std::string role = well_formed ? item["role"].get<std::string>() : "";
    if (role == "system" && i == 0) {
      out.system_ = item["content"].get<std::string>();
    } else if (role == "user" || role == "assistant") {
      out.add(role, item["content"].get<std::string>());
    } else {
      return fail(ErrorCode::kCorrupt,
                  "{}: messages[{}]: needs a \"role\" (user, assistant, or system as the first) "
                  "and a \"content\" text",
                  name, i);
    }
  }
  return out;
}

Result<std::vector<TokenId>> encode_within(Conversation& conversation, const Encoder& encode,
                                           uint32_t context_length, uint32_t reserve,
                                           size_t& num_dropped) {
  num_dropped = 0;
  while (true) {
    RUVLLM_ASSIGN(std::vector<TokenId> ids, encode(conversation.messages()));
    const size_t num_turns = conversation.turns().size();
    if (ids.size() + reserve <= context_length || !conversation.drop_oldest()) return ids;
    num_dropped += num_turns - conversation.turns().size();
  }
}

std::string plain_transcript(const std::vector<ChatMessage>& messages) {
  std::string out;
  for (const ChatMessage& message : messages) {
    if (message.role == "system") {
      out += message.content + "\n\n";
    } else {
      out += (message.role == "user" ? "User: " : "Assistant: ") + message.content + "\n";
    }
  }
  return out + "Assistant:";
}

}  // namespace ruvllm::cli
