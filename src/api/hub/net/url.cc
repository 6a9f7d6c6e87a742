#include "api/hub/net/url.h"

#include <memory>

#include <curl/curl.h>

#include "api/hub/names/text.h"

namespace ruvllm::hub {
namespace {

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

std::string url_part(CURLU* url, CURLUPart part, unsigned flags) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK || text == nullptr) return "";
  std::string out = text;
  curl_free(text);
  return out;
}

}  // namespace

bool Url::is_loopback() const {
  return host == "localhost" || host == "[::1]" ||
         (host.starts_with("127.") && !host.ends_with('.') &&
          host.find_first_not_of("0123456789.") == std::string::npos);
}

Result<Url> parse_url(std::string_view text) {
  const auto refuse = [&](std::string_view reason) {
    return fail(ErrorCode::kInvalidArgument, "address '{}': {}", printable(text), reason);
  };
  const std::unique_ptr<CURLU, UrlDeleter> handle(curl_url());
  if (!handle) return fail(ErrorCode::kOutOfMemory, "no memory left for an address");
  const CURLUcode code = curl_url_set(handle.get(), CURLUPART_URL, std::string(text).c_str(),
                                      CURLU_DISALLOW_USER | CURLU_NON_SUPPORT_SCHEME);
  if (code == CURLUE_USER_NOT_ALLOWED) return refuse("a user name in an address is not supported");
  if (code != CURLUE_OK) return refuse(curl_url_strerror(code));
  Url url;
  url.text = text;
  url.scheme = lower_case(url_part(handle.get(), CURLUPART_SCHEME, 0));
  url.host = lower_case(url_part(handle.get(), CURLUPART_HOST, 0));
  url.port = url_part(handle.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  url.path = url_part(handle.get(), CURLUPART_PATH, CURLU_URLDECODE);
  if (url.scheme != "https" && url.scheme != "http") return refuse("only https is supported");
  if (url.scheme == "http" && !url.is_loopback()) {
    return refuse("http is allowed to this machine only; use https");
  }
  return url;
}

Status check_redirect(const Url& from, const Url& to) {
  const auto refuse = [&](std::string_view reason) {
    return fail(ErrorCode::kUnavailable, "{} redirects to {}: {}", from.host,
                printable(to.text, 100), reason);
  };
  if (from.scheme == "https" && to.scheme != "https") {
    return refuse("refused, because the connection would no longer be encrypted");
  }
  if (!from.is_loopback() && to.is_loopback()) {
    return refuse("refused, because a server elsewhere has no business on this machine");
  }
  return {};
}

}  // namespace ruvllm::hub
