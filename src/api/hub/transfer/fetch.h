// One request with retries, and small documents held in memory.
#pragma once

#include <string>

#include "api/hub/net/http.h"
#include "api/hub/transfer/context.h"
#include "base/core/error.h"

namespace ruvllm::hub {

// Until it succeeds or trying again is of no use. The sink starts anew at each begin(). `what`
// names what was asked for in notes and errors.
Status fetch(PullContext& context, const HttpRequest& request, BodySink& sink,
             const std::string& what);

struct Document {
  ResponseHead head;
  std::string body;
};
// At most 16 MiB.
Result<Document> fetch_document(PullContext& context, const HttpRequest& request,
                                const std::string& what);

}  // namespace ruvllm::hub
