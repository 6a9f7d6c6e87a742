#include "api/hub/names/text.h"

#include <algorithm>

namespace ruvllm::hub {
namespace {

constexpr size_t kMaxComponentBytes = 200;  // leaves room for endings of ours below NAME_MAX
constexpr size_t kMaxPathBytes = 1024;

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

// Of the UTF-8 character at the beginning; 0 if it is a control character or none at all.
size_t character_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return is_control(text[0]) ? 0 : 1;
  const size_t length = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  if (byte(0) == 0xc2 && byte(1) < 0xa0) return 0;  // C1: terminals take some for commands
  return length;
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string upper_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

bool is_hex(std::string_view text, size_t length) {
  return text.size() == length && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string printable(std::string_view text, size_t max_bytes) {
  std::string out;
  size_t at = 0;
  while (at < text.size()) {
    const size_t length = character_length(text.substr(at));
    if (out.size() + std::max<size_t>(length, 1) > max_bytes) break;
    out += length == 0 ? " " : text.substr(at, length);
    at += std::max<size_t>(length, 1);
  }
  return at < text.size() ? out + "..." : out;
}

std::string encode_url_path(std::string_view path) {
  constexpr std::string_view kPlain = "-._~/";
  std::string out;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       kPlain.find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return out;
}

Status check_remote_path(std::string_view path) {
  const auto refuse = [&](std::string_view reason) {
    return fail(ErrorCode::kCorrupt, "the server names a file '{}': {}; it is not used",
                printable(path, 80), reason);
  };
  if (path.empty()) return refuse("empty");
  if (path.size() > kMaxPathBytes) return refuse("too long");
  if (path.front() == '/') return refuse("an absolute path");
  if (std::ranges::any_of(path, is_control)) return refuse("a control character");
  if (path.find('\\') != std::string_view::npos) return refuse("a backslash");
  for (const std::string& component : split(path, '/')) {
    if (component.empty() || component == "." || component == "..") {
      return refuse("a path that may leave its folder");
    }
    if (component.size() > kMaxComponentBytes) return refuse("too long");
  }
  return {};
}

}  // namespace ruvllm::hub
