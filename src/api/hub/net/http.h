// HTTP GET over libcurl: several exchanges at once on one thread, redirects followed by rules of
// our own, secrets sent to the first origin only. No retries here (net/retry.h).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/core/error.h"
#include <ruvllm/hub.h>

namespace ruvllm::hub {

struct ByteRange {
  uint64_t begin = 0;
  uint64_t end = 0;  // behind the last byte
};

struct HttpRequest {
  std::string url;
  std::string accept = "*/*";
  std::string token;  // sent as a bearer token, but never to another origin than url's
  std::optional<ByteRange> range = {};
  std::string if_range = {};  // validator: the range only if the content is still this one
};

struct ResponseHead {
  int status = 0;
  std::string url;                             // that answered
  std::map<std::string, std::string> headers;  // names in lower case; also those of redirects that
                                               // Hugging Face puts its own headers on (x-...)
  std::string header(const std::string& name) const;
};

// Takes the body of a response with status 200 or 206. An error ends the exchange.
class BodySink {
 public:
  virtual ~BodySink() = default;
  // Once, before the first write, also when the body is empty.
  virtual Status begin(const ResponseHead& head) = 0;
  // False: enough, the rest is not wanted.
  virtual Result<bool> write(std::span<const std::byte> bytes) = 0;
};

struct HttpOutcome {
  ResponseHead head;
  std::string excerpt;           // beginning of the body of an error response
  std::string transport;         // what went wrong on the way; "": nothing
  bool transport_final = false;  // and would again, e.g. a certificate that is not trusted
  bool untrusted = false;        // the server's certificate, or the file of authorities
  uint64_t retry_after_seconds = 0;
  std::optional<Error> error;  // of the sink, or a redirect that is refused
  bool ok() const {
    return !error && transport.empty() && (head.status == 200 || head.status == 206);
  }
};

class HttpSession;

// One GET. Its sink outlives it; destroying it closes the connection.
class HttpExchange {
 public:
  HttpExchange(HttpSession& session, HttpRequest request, BodySink& sink);
  ~HttpExchange();
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  bool finished() const;
  const HttpOutcome& outcome() const;

 private:
  friend class HttpSession;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class HttpSession {
 public:
  explicit HttpSession(const HubSettings& settings);
  ~HttpSession();
  HttpSession(const HttpSession&) = delete;
  HttpSession& operator=(const HttpSession&) = delete;

  // Lets all exchanges make progress, waiting at most `wait` for any.
  void pump(std::chrono::milliseconds wait);

 private:
  friend class HttpExchange;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ruvllm::hub
