#include "api/hub/net/retry.h"

#include <algorithm>
#include <array>

#include "api/hub/names/text.h"
#include "api/hub/net/url.h"

namespace ruvllm::hub {
namespace {

using std::chrono::milliseconds;

constexpr std::array kTemporary = {408, 425, 429, 500, 502, 503, 504};
constexpr milliseconds kLongestBackoff{30'000};
constexpr uint64_t kLongestRetryAfterSeconds = 300;

std::string host_of(const HttpOutcome& outcome) {
  const auto url = parse_url(outcome.head.url);
  return url ? url->host : "the server";
}

// What Hugging Face says in its own header, else the beginning of a body that is plain text.
std::string server_words(const HttpOutcome& outcome) {
  const std::string message = outcome.head.header("x-error-message");
  if (!message.empty()) return ": " + printable(message);
  const bool is_page = outcome.excerpt.find('<') != std::string::npos;
  return outcome.excerpt.empty() || is_page ? "" : ": " + printable(outcome.excerpt);
}

std::string_view token_remedy(const HubSettings& settings) {
  return settings.token.empty()
             ? "if it is private or gated, accept its terms on its page and set HF_TOKEN"
             : "the token (HF_TOKEN, or of the last login) does not open it: accept the terms on "
               "its page, or use another token";
}

}  // namespace

std::optional<milliseconds> retry_delay(const HttpOutcome& outcome, uint32_t failures,
                                        const HubSettings& settings) {
  if (outcome.error || outcome.transport_final || failures > settings.num_retries) {
    return std::nullopt;
  }
  const bool temporary = !outcome.transport.empty() ||
                         std::ranges::find(kTemporary, outcome.head.status) != kTemporary.end();
  if (!temporary) return std::nullopt;
  if (outcome.retry_after_seconds > kLongestRetryAfterSeconds) return std::nullopt;
  if (outcome.retry_after_seconds > 0) return milliseconds(outcome.retry_after_seconds * 1000);
  const uint32_t doublings = std::min(failures - 1, 16u);
  return std::min(milliseconds(uint64_t{settings.backoff_ms} << doublings), kLongestBackoff);
}

std::string describe_outcome(const HttpOutcome& outcome) {
  if (outcome.error) return outcome.error->message();
  if (!outcome.transport.empty()) return printable(outcome.transport);
  return fmt::format("status {} from {}", outcome.head.status, host_of(outcome));
}

Error outcome_error(const HttpOutcome& outcome, std::string_view what,
                    const HubSettings& settings) {
  const auto error = [&](ErrorCode code, std::string_view reason) {
    return Error(code, fmt::format("{}: {}", what, reason));
  };
  if (outcome.error) return Error(*outcome.error).with_context(what);
  if (outcome.untrusted) {
    return error(
        ErrorCode::kUnavailable,
        fmt::format(
            "{}; if the server's certificate is of an authority of your own, name "
            "its PEM file in SSL_CERT_FILE{}",
            printable(outcome.transport),
            settings.ca_file.empty() ? "" : fmt::format(" (now {})", printable(settings.ca_file))));
  }
  if (!outcome.transport.empty()) {
    return error(ErrorCode::kUnavailable,
                 fmt::format("{}; check the network, then run the command again",
                             printable(outcome.transport)));
  }
  const std::string host = host_of(outcome);
  const std::string words = server_words(outcome);
  const std::string code = outcome.head.header("x-error-code");
  switch (outcome.head.status) {
    case 401:
    case 403:
      return error(ErrorCode::kNotFound,
                   fmt::format("{} does not give it to you ({}{}){}; {}", host, outcome.head.status,
                               code.empty() ? "" : " " + printable(code, 40), words,
                               token_remedy(settings)));
    case 404:
      return error(ErrorCode::kNotFound,
                   fmt::format("{} does not have it (404{}){}; check the name", host,
                               code.empty() ? "" : " " + printable(code, 40), words));
    case 429:
      return error(
          ErrorCode::kResourceExhausted,
          fmt::format("{} allows no more requests for now (429){}; try again {}", host, words,
                      outcome.retry_after_seconds > 0
                          ? fmt::format("in {} seconds", outcome.retry_after_seconds)
                          : "later"));
    default:
      return error(ErrorCode::kUnavailable,
                   fmt::format("{} answers with status {}{}; try again later", host,
                               outcome.head.status, words));
  }
}

}  // namespace ruvllm::hub
