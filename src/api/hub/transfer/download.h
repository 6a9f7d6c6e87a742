// One large file: in several ranges at once, resumed, checked against length and hash.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "api/hub/names/digest.h"
#include "api/hub/transfer/context.h"
#include "base/core/error.h"

namespace ruvllm::hub {

struct BlobRequest {
  std::string url;
  std::string token = {};
  std::string what;                   // names the file in progress and errors
  std::optional<uint64_t> size = {};  // unset: the server is asked
  std::optional<Digest> digest = {};  // unset: anything
  std::string partial_path;           // hold its lock
};

struct VerifiedFile {
  std::string path;  // the partial file: complete, as announced, on disk; rename it
  uint64_t size = 0;
  std::string digest_hex;  // SHA-256 unless the request asked for git's
};

// After an error the partial file stays for the next attempt, unless its content was wrong.
Result<VerifiedFile> download_blob(PullContext& context, const BlobRequest& request);

// "bytes 5-9/100" of a Content-Range; `total` is unset for "*".
struct ContentRange {
  uint64_t begin = 0;
  uint64_t end = 0;  // behind the last byte
  std::optional<uint64_t> total;
};
std::optional<ContentRange> parse_content_range(const std::string& header);

}  // namespace ruvllm::hub
