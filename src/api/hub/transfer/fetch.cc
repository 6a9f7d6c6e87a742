#include "api/hub/transfer/fetch.h"

#include "api/hub/net/retry.h"

namespace ruvllm::hub {
namespace {

constexpr size_t kMaxDocumentBytes = size_t{16} << 20;
constexpr std::chrono::milliseconds kPump{50};

class MemorySink final : public BodySink {
 public:
  explicit MemorySink(std::string what) : what_(std::move(what)) {}

  Status begin(const ResponseHead& head) override {
    document_ = {head, ""};
    return {};
  }
  Result<bool> write(std::span<const std::byte> bytes) override {
    if (document_.body.size() + bytes.size() > kMaxDocumentBytes) {
      return fail(ErrorCode::kCorrupt, "{}: the answer is larger than {} MiB; it is not used",
                  what_, kMaxDocumentBytes >> 20);
    }
    document_.body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return true;
  }
  Document take() { return std::move(document_); }

 private:
  std::string what_;
  Document document_;
};

}  // namespace

Status fetch(PullContext& context, const HttpRequest& request, BodySink& sink,
             const std::string& what) {
  for (uint32_t failures = 1;; ++failures) {
    HttpExchange exchange(context.session, request, sink);
    while (!exchange.finished()) {
      RUVLLM_TRY(context.check_cancelled());
      context.session.pump(kPump);
    }
    const HttpOutcome& outcome = exchange.outcome();
    if (outcome.ok()) return {};
    const auto delay = retry_delay(outcome, failures, context.settings);
    if (!delay) return std::unexpected(outcome_error(outcome, what, context.settings));
    context.note_retry(what, describe_outcome(outcome), *delay);
    RUVLLM_TRY(context.wait(*delay));
  }
}

Result<Document> fetch_document(PullContext& context, const HttpRequest& request,
                                const std::string& what) {
  MemorySink sink(what);
  RUVLLM_TRY(fetch(context, request, sink, what));
  return sink.take();
}

}  // namespace ruvllm::hub
