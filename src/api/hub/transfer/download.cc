#include "api/hub/transfer/download.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <deque>
#include <filesystem>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "api/hub/names/text.h"
#include "api/hub/net/http.h"
#include "api/hub/net/retry.h"
#include "api/hub/transfer/fetch.h"
#include "api/hub/transfer/files.h"
#include "api/hub/transfer/partial_file.h"

namespace ruvllm::hub {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kPump{50};
constexpr auto kSaveInterval = std::chrono::seconds(4);
constexpr size_t kHashStep = size_t{1} << 20;
constexpr uint64_t kHashBudget = uint64_t{32} << 20;  // between two looks at the network
constexpr int kMaxRestarts = 2;

std::optional<uint64_t> parse_length(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// What If-Range can say: a strong ETag, else the date of the last change.
std::string validator_of(const ResponseHead& head) {
  const std::string etag = head.header("etag");
  if (!etag.empty() && !etag.starts_with("W/")) return etag;
  return etag.empty() ? head.header("last-modified") : "";
}

Status check_encoding(const ResponseHead& head, const std::string& what) {
  const std::string encoding = lower_case(head.header("content-encoding"));
  if (encoding.empty() || encoding == "identity") return {};
  return fail(ErrorCode::kUnsupported, "{}: the server sends it encoded ({}), though not asked to",
              what, printable(encoding, 40));
}

// Asks for one byte, to learn length and whether ranges work.
class ProbeSink final : public BodySink {
 public:
  Status begin(const ResponseHead& head) override {
    head_ = head;
    return {};
  }
  Result<bool> write(std::span<const std::byte> /*bytes*/) override { return false; }
  std::optional<uint64_t> size() const {
    if (head_.status != 206) return parse_length(head_.header("content-length"));
    const auto range = parse_content_range(head_.header("content-range"));
    return range ? range->total : std::nullopt;
  }
  bool ranges() const { return head_.status == 206; }

 private:
  ResponseHead head_;
};

class BlobDownload {
 public:
  BlobDownload(PullContext& context, const BlobRequest& request)
      : context_(context), request_(request), file_(request.partial_path) {}

  Result<VerifiedFile> run();

 private:
  // Fetches one part, again and again until it is complete.
  struct Worker final : BodySink {
    Worker(BlobDownload& of, size_t idx) : download(of), part_idx(idx) {}
    Status begin(const ResponseHead& head) override { return download.begin(*this, head); }
    Result<bool> write(std::span<const std::byte> bytes) override {
      return download.write(*this, bytes);
    }

    BlobDownload& download;
    size_t part_idx;
    std::unique_ptr<HttpExchange> exchange;
    bool conditional = false;  // it asked for the range only if the content is still the same
    uint32_t failures = 0;     // in a row, without a byte for any worker in between
    uint64_t received_at_failure = 0;
    Clock::time_point not_before;
  };

  Status prepare();
  Status probe();
  Status start_anew(const std::string& reason);
  void make_workers();
  Status transfer();
  Status advance_workers();
  void start(Worker& worker);
  Status settle(Worker& worker);
  Status begin(Worker& worker, const ResponseHead& head);
  Status check_range(const Worker& worker, const ResponseHead& head);
  Result<bool> write(Worker& worker, std::span<const std::byte> bytes);
  Status advance_hash(uint64_t budget);
  Result<bool> verify();
  void report();

  std::unexpected<Error> wrong(std::string_view reason) const {
    return fail(ErrorCode::kCorrupt, "{}: {}", request_.what, reason);
  }

  PullContext& context_;
  const BlobRequest& request_;
  PartialFile file_;
  std::deque<Worker> workers_;
  std::optional<Hasher> hasher_;
  uint64_t hashed_ = 0;
  uint64_t received_ = 0;  // over the network, also what was thrown away
  uint64_t reported_ = 0;  // of them
  std::string digest_hex_;
  bool ranges_work_ = true;
  std::string anew_reason_;  // set by a worker: what is there is of no use
  int restarts_ = 0;
  Clock::time_point next_save_ = Clock::now() + kSaveInterval;
  std::optional<uint64_t> size_;
};

Status BlobDownload::probe() {
  ProbeSink sink;
  HttpRequest request{.url = request_.url, .token = request_.token};
  request.range = ByteRange{0, 1};
  RUVLLM_TRY(fetch(context_, request, sink, request_.what));
  size_ = sink.size();
  ranges_work_ = sink.ranges();
  return {};
}

Status BlobDownload::prepare() {
  const std::string folder = std::filesystem::path(request_.partial_path).parent_path();
  RUVLLM_TRY(make_folders(folder));
  size_ = request_.size;
  if (!size_) RUVLLM_TRY(probe());
  const uint32_t num_parts = ranges_work_ ? context_.options.num_parts : 1;
  if (size_) {
    RUVLLM_TRY(file_.open(*size_, num_parts, context_.settings.part_bytes));
    RUVLLM_TRY(check_space(folder, *size_ - file_.bytes_present()));
  } else {
    RUVLLM_TRY(file_.restart(0, false, 1, 0));
  }
  if (file_.resumed()) {
    context_.board.note(fmt::format("{}: going on at {} of {} bytes", request_.what,
                                    file_.bytes_present(), *size_));
  }
  make_workers();
  return {};
}

void BlobDownload::make_workers() {
  workers_.clear();
  for (size_t i = 0; i < file_.parts().size(); ++i) workers_.emplace_back(*this, i);
  hasher_.emplace(request_.digest ? request_.digest->kind : DigestKind::kSha256, size_.value_or(0));
  hashed_ = 0;
  anew_reason_.clear();
}

Status BlobDownload::start_anew(const std::string& reason) {
  if (++restarts_ > kMaxRestarts) return wrong(reason + "; gave up after starting over twice");
  context_.board.note(fmt::format("{}: {}; starting over", request_.what, reason));
  workers_.clear();  // before the file that they write to
  const uint32_t num_parts = ranges_work_ ? context_.options.num_parts : 1;
  RUVLLM_TRY(
      file_.restart(size_.value_or(0), size_.has_value(), num_parts, context_.settings.part_bytes));
  make_workers();
  return {};
}

void BlobDownload::start(Worker& worker) {
  const FilePart& part = file_.parts()[worker.part_idx];
  HttpRequest request{.url = request_.url, .token = request_.token};
  const bool whole = part.position == 0 && file_.parts().size() == 1;
  if (!whole) {
    request.range = ByteRange{part.position, part.end};
    request.if_range = file_.validator();
  }
  worker.conditional = !request.if_range.empty();
  worker.exchange = std::make_unique<HttpExchange>(context_.session, std::move(request), worker);
}

Status BlobDownload::check_range(const Worker& worker, const ResponseHead& head) {
  const FilePart& part = file_.parts()[worker.part_idx];
  if (head.status == 200) {
    if (part.position > 0 || file_.parts().size() > 1) {
      // To a conditional request the whole file means that it changed, unless it comes again.
      if (!worker.conditional) ranges_work_ = false;
      anew_reason_ = worker.conditional ? "the server's file is not the one that was begun"
                                        : "the server sends only the whole file";
      return wrong(anew_reason_);
    }
    const auto length = parse_length(head.header("content-length"));
    if (!length || !size_ || *length == *size_) return {};
    return wrong(
        fmt::format("the server offers {} bytes where {} were announced", *length, *size_));
  }
  const auto range = parse_content_range(head.header("content-range"));
  if (!range || range->begin != part.position || range->end > part.end) {
    return wrong(fmt::format("the server sends another range ('{}') than bytes {} to {}",
                             printable(head.header("content-range"), 60), part.position, part.end));
  }
  if (range->total && size_ && *range->total != *size_) {
    return wrong(fmt::format("the server says that it has {} bytes where {} were announced",
                             *range->total, *size_));
  }
  return {};
}

Status BlobDownload::begin(Worker& worker, const ResponseHead& head) {
  RUVLLM_TRY(check_encoding(head, request_.what));
  const auto linked = parse_etag(head.header("x-linked-etag"));
  if (linked && request_.digest && linked->kind == request_.digest->kind &&
      *linked != *request_.digest) {
    return wrong(
        fmt::format("the server now has a file with another hash ({}) than it listed ({}); "
                    "run the command again",
                    linked->hex, request_.digest->hex));
  }
  RUVLLM_TRY(check_range(worker, head));
  const std::string validator = validator_of(head);
  if (!file_.validator().empty() && validator != file_.validator() && !request_.digest) {
    anew_reason_ = "the file changed at the server";
    return wrong(anew_reason_);
  }
  file_.set_validator(validator);
  return {};
}

Result<bool> BlobDownload::write(Worker& worker, std::span<const std::byte> bytes) {
  const FilePart& part = file_.parts()[worker.part_idx];
  if (bytes.size() > part.end - part.position) {
    return wrong(fmt::format("the server sends more than the {} bytes that were asked for",
                             part.end - part.begin));
  }
  RUVLLM_TRY(file_.write(worker.part_idx, bytes));
  received_ += bytes.size();
  return true;
}

// An exchange has ended: the part is done, or what comes next.
Status BlobDownload::settle(Worker& worker) {
  HttpOutcome outcome = worker.exchange->outcome();
  worker.exchange.reset();
  if (!anew_reason_.empty()) return {};
  if (outcome.ok() && !file_.size_known()) file_.finish_at_current_size();
  if (file_.parts()[worker.part_idx].complete()) return {};
  if (outcome.ok()) outcome.transport = "the server ended its answer early";
  if (outcome.head.status == 416 && outcome.transport.empty() && file_.resumed()) {
    anew_reason_ = "the server has no such range (416)";
    return {};
  }
  if (!file_.size_known()) {
    // Without a length there is no telling where to go on.
    if (!retry_delay(outcome, static_cast<uint32_t>(restarts_) + 1, context_.settings)) {
      return std::unexpected(outcome_error(outcome, request_.what, context_.settings));
    }
    anew_reason_ = describe_outcome(outcome);
    return {};
  }
  if (worker.received_at_failure != received_) worker.failures = 0;
  worker.received_at_failure = received_;
  const auto delay = retry_delay(outcome, ++worker.failures, context_.settings);
  if (!delay) return std::unexpected(outcome_error(outcome, request_.what, context_.settings));
  context_.note_retry(request_.what, describe_outcome(outcome), *delay);
  worker.not_before = Clock::now() + *delay;
  return {};
}

Status BlobDownload::advance_workers() {
  for (Worker& worker : workers_) {
    if (worker.exchange && worker.exchange->finished()) RUVLLM_TRY(settle(worker));
    if (!anew_reason_.empty()) return start_anew(std::exchange(anew_reason_, ""));
    const bool waiting = worker.exchange || file_.parts()[worker.part_idx].complete();
    if (!waiting && Clock::now() >= worker.not_before) start(worker);
  }
  return {};
}

Status BlobDownload::advance_hash(uint64_t budget) {
  std::vector<std::byte> buffer(kHashStep);
  while (budget > 0 && hashed_ < file_.contiguous_bytes()) {
    const uint64_t wanted =
        std::min({budget, file_.contiguous_bytes() - hashed_, uint64_t{kHashStep}});
    RUVLLM_ASSIGN(const size_t count, file_.read(hashed_, std::span(buffer).first(wanted)));
    hasher_->update(std::span(buffer).first(count));
    hashed_ += count;
    budget -= count;
  }
  return {};
}

void BlobDownload::report() {
  context_.board.update([&](PullProgress& progress) {
    progress.bytes_done = context_.finished_bytes + file_.bytes_present();
    progress.bytes_total =
        std::max(progress.bytes_total, context_.finished_bytes + size_.value_or(0));
    progress.bytes_received += received_ - std::exchange(reported_, received_);
  });
}

Status BlobDownload::transfer() {
  context_.board.set_activity("downloading");
  while (!file_.complete()) {
    RUVLLM_TRY(context_.check_cancelled());
    RUVLLM_TRY(advance_workers());
    context_.session.pump(kPump);
    RUVLLM_TRY(advance_hash(kHashBudget));
    report();
    if (Clock::now() >= next_save_) {
      RUVLLM_TRY(file_.save_state());
      next_save_ = Clock::now() + kSaveInterval;
    }
  }
  workers_.clear();
  return {};
}

// False: what an earlier run left was wrong, everything is to be fetched again.
Result<bool> BlobDownload::verify() {
  context_.board.set_activity("verifying");
  while (hashed_ < file_.contiguous_bytes()) {
    RUVLLM_TRY(context_.check_cancelled());
    RUVLLM_TRY(advance_hash(kHashBudget));
  }
  const std::string hex = hasher_->finish_hex();
  digest_hex_ = hex;
  if (!request_.digest || hex == request_.digest->hex) return true;
  const bool resumed = file_.resumed();
  if (resumed) {
    RUVLLM_TRY(start_anew("what was there does not match its hash"));
    return false;
  }
  file_.remove();
  return wrong(
      fmt::format("its hash is {}, announced was {}; the download was damaged or the "
                  "server lies; nothing is kept",
                  hex, request_.digest->hex));
}

Result<VerifiedFile> BlobDownload::run() {
  RUVLLM_TRY(prepare());
  const auto keep = [&](Status status) {
    workers_.clear();
    if (!status && !file_.complete()) (void)file_.save_state();
    return status;
  };
  while (true) {
    RUVLLM_TRY(keep(transfer()));
    auto good = verify();
    if (!good) {
      if (good.error().code() == ErrorCode::kCancelled) (void)file_.save_state();
      return std::unexpected(good.error());
    }
    if (*good) break;
  }
  RUVLLM_TRY(file_.sync());
  file_.remove_state();
  return VerifiedFile{file_.path(), file_.size(), digest_hex_};
}

}  // namespace

std::optional<ContentRange> parse_content_range(const std::string& header) {
  constexpr std::string_view kUnit = "bytes ";
  const size_t dash = header.find('-');
  const size_t slash = header.find('/');
  if (!header.starts_with(kUnit) || dash == std::string::npos || slash == std::string::npos ||
      dash > slash) {
    return std::nullopt;
  }
  const std::string_view text = header;
  const auto first = parse_length(text.substr(kUnit.size(), dash - kUnit.size()));
  const auto last = parse_length(text.substr(dash + 1, slash - dash - 1));
  const std::string_view total = text.substr(slash + 1);
  if (!first || !last || *last < *first || *last == UINT64_MAX) return std::nullopt;
  ContentRange range{*first, *last + 1, parse_length(total)};
  if (total != "*" && (!range.total || *range.total < range.end)) return std::nullopt;
  return range;
}

Result<VerifiedFile> download_blob(PullContext& context, const BlobRequest& request) {
  return BlobDownload(context, request).run();
}

}  // namespace ruvllm::hub
