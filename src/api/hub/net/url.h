// Addresses: what may be fetched, and where a redirect may lead.
#pragma once

#include <string>
#include <string_view>

#include "base/core/error.h"

namespace ruvllm::hub {

struct Url {
  std::string text;
  std::string scheme;
  std::string host;
  std::string port;  // also where the scheme implies it
  std::string path;  // decoded

  // Whether a secret for the one may be told to the other.
  bool same_origin(const Url& other) const {
    return scheme == other.scheme && host == other.host && port == other.port;
  }
  bool is_loopback() const;
};

// https, or http to this machine; no user name or password in it.
Result<Url> parse_url(std::string_view text);
// Neither from https to http nor from elsewhere to this machine.
Status check_redirect(const Url& from, const Url& to);

}  // namespace ruvllm::hub
