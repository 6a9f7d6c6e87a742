// Errors of the public interface: a code for programs, a message for people.
//
// Every function that can fail on untrusted input (files, requests, templates, stored state)
// returns Result<T>; no exception crosses a library boundary. A message names the thing (file,
// tensor, field, byte offset), the reason and what to do about it.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include <ruvllm/export.h>

namespace ruvllm {

enum class ErrorCode : uint8_t {
  kInvalidArgument,    // the caller asked for something that can never work
  kNotFound,           // a file, tensor, adapter or id that does not exist
  kUnsupported,        // well-formed, but not implemented here
  kCorrupt,            // malformed or self-contradicting data
  kOutOfMemory,        // an allocation or a memory budget failed
  kResourceExhausted,  // a queue, pool or limit is full; trying later may work
  kCancelled,
  kDeadlineExceeded,
  kUnavailable,  // I/O failure or a device that is gone
  kInternal,     // a bug of ours
};

// Stable lower-case name, e.g. "corrupt".
RUVLLM_API std::string_view error_code_name(ErrorCode code);

class [[nodiscard]] RUVLLM_API Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }

  // The same error with `context` and ": " in front, for callers that know more (a file name, say).
  Error with_context(std::string_view context) &&;

 private:
  ErrorCode code_;
  std::string message_;
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = std::expected<void, Error>;

}  // namespace ruvllm
