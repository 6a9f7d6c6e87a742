// Rules of the network that need no network.
#include <gtest/gtest.h>

#include "api/hub/net/retry.h"
#include "api/hub/net/url.h"

namespace ruvllm::hub {
namespace {

Url url(const std::string& text) {
  auto parsed = parse_url(text);
  EXPECT_TRUE(parsed.has_value()) << text;
  return parsed.value_or(Url{});
}

TEST(Url, OnlyHttpsAndThisMachine) {
  EXPECT_TRUE(parse_url("https://example.com/x").has_value());
  EXPECT_TRUE(parse_url("http://127.0.0.1:8080/x").has_value());
  EXPECT_TRUE(parse_url("http://localhost/x").has_value());
  EXPECT_TRUE(parse_url("http://[::1]:1/x").has_value());
  for (const std::string text :
       {"http://example.com/x", "ftp://example.com/x", "file:///etc/passwd",
        "https://u:p@example.com/", "https://", "x", "http://127.0.0.1.example.com/",
        "http://localhost.example.com/", "http://127.evil.com/", "gopher://127.0.0.1/"}) {
    EXPECT_FALSE(parse_url(text).has_value()) << text;
  }
  EXPECT_EQ(url("https://Example.COM/a%20b").host, "example.com");
  EXPECT_EQ(url("https://example.com/a%20b").path, "/a b");
}

TEST(Url, SameOriginLooksAtSchemeHostAndPort) {
  EXPECT_TRUE(url("https://a.com/x").same_origin(url("https://A.com:443/y")));
  EXPECT_FALSE(url("https://a.com/x").same_origin(url("https://a.com:444/x")));
  EXPECT_FALSE(url("https://a.com/x").same_origin(url("https://b.a.com/x")));
  EXPECT_FALSE(url("http://127.0.0.1/x").same_origin(url("http://localhost/x")));
}

TEST(Url, Redirects) {
  EXPECT_TRUE(check_redirect(url("https://a.com/"), url("https://b.com/")).has_value());
  EXPECT_TRUE(check_redirect(url("http://127.0.0.1/"), url("https://b.com/")).has_value());
  EXPECT_FALSE(check_redirect(url("https://127.0.0.1/"), url("http://127.0.0.1/")).has_value());
  EXPECT_FALSE(check_redirect(url("https://a.com/"), url("https://127.0.0.1/")).has_value());
}

HttpOutcome status(int code, uint64_t retry_after = 0) {
  HttpOutcome outcome;
  outcome.head.status = code;
  outcome.head.url = "https://example.com/x";
  outcome.retry_after_seconds = retry_after;
  return outcome;
}

TEST(Retry, WaitsLongerEachTimeAndGivesUp) {
  HubSettings settings;
  settings.backoff_ms = 100;
  settings.num_retries = 3;
  EXPECT_EQ(retry_delay(status(503), 1, settings)->count(), 100);
  EXPECT_EQ(retry_delay(status(503), 3, settings)->count(), 400);
  EXPECT_FALSE(retry_delay(status(503), 4, settings).has_value());
  settings.num_retries = 60;
  EXPECT_EQ(retry_delay(status(500), 50, settings)->count(), 30'000);
}

TEST(Retry, KnowsWhatIsOfNoUse) {
  const HubSettings settings;
  for (const int code : {400, 401, 403, 404, 410, 416}) {
    EXPECT_FALSE(retry_delay(status(code), 1, settings).has_value()) << code;
  }
  EXPECT_EQ(retry_delay(status(429, 7), 1, settings)->count(), 7000);
  EXPECT_FALSE(retry_delay(status(429, 4000), 1, settings).has_value());
  HttpOutcome broken;
  broken.transport = "the connection broke";
  EXPECT_TRUE(retry_delay(broken, 1, settings).has_value());
  broken.transport_final = true;
  EXPECT_FALSE(retry_delay(broken, 1, settings).has_value());
  HttpOutcome refused = status(503);
  refused.error = Error(ErrorCode::kCorrupt, "x");
  EXPECT_FALSE(retry_delay(refused, 1, settings).has_value());
}

TEST(Retry, ErrorsSayWhatToDo) {
  HubSettings settings;
  HttpOutcome gated = status(403);
  gated.head.headers["x-error-code"] = "GatedRepo";
  gated.head.headers["x-error-message"] = "Access is restricted\x1b[2J";
  const std::string without = outcome_error(gated, "m.gguf", settings).message();
  EXPECT_NE(without.find("set HF_TOKEN"), std::string::npos) << without;
  EXPECT_NE(without.find("GatedRepo"), std::string::npos) << without;
  EXPECT_EQ(without.find('\x1b'), std::string::npos);
  settings.token = "hf_x";
  const std::string with = outcome_error(gated, "m.gguf", settings).message();
  EXPECT_NE(with.find("accept the terms"), std::string::npos) << with;
  EXPECT_EQ(with.find("hf_x"), std::string::npos);
}

}  // namespace
}  // namespace ruvllm::hub
