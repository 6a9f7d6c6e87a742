#include "api/hub/net/http.h"

#include <algorithm>
#include <mutex>
#include <string_view>
#include <utility>

#include <curl/curl.h>

#include "api/hub/names/text.h"
#include "api/hub/net/url.h"
#include <ruvllm/settings.h>

namespace ruvllm::hub {
namespace {

constexpr int kMaxRedirects = 8;
constexpr size_t kMaxExcerptBytes = 4096;
constexpr size_t kMaxHeaderBytes = size_t{64} << 10;
constexpr long kConnectSeconds = 15;
constexpr long kMaxConnections = 16;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool is_final_failure(CURLcode code) {
  return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
         code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT ||
         code == CURLE_OUT_OF_MEMORY || code == CURLE_FAILED_INIT;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};

void initialize_library() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

}  // namespace

std::string ResponseHead::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

struct HttpSession::Impl {
  CURLM* multi = nullptr;
  long stall_seconds = 30;
  std::string ca_file;
};

struct HttpExchange::Impl {
  Impl(const HttpSession::Impl& of_session, HttpRequest of_request, BodySink& to_sink)
      : session(of_session), request(std::move(of_request)), sink(to_sink) {}

  void start(const Url& url);
  void set_headers(const Url& url);
  void finish(CURLcode code);
  void follow_redirect();
  void give_up(Error error) {
    outcome.error = std::move(error);
    finished = true;
  }
  size_t take_header(std::string_view line);
  size_t take_body(std::span<const std::byte> bytes);
  bool begin_body();

  static size_t on_header(char* data, size_t size, size_t count, void* self);
  static size_t on_body(char* data, size_t size, size_t count, void* self);

  const HttpSession::Impl& session;  // outlives the exchange
  HttpRequest request;
  BodySink& sink;
  std::unique_ptr<CURL, EasyDeleter> easy;
  std::unique_ptr<curl_slist, ListDeleter> header_list;
  std::optional<Url> origin;  // of the request as made: may see the token
  std::optional<Url> current;
  int num_redirects = 0;
  size_t header_bytes = 0;
  char error_text[CURL_ERROR_SIZE] = {};
  HttpOutcome outcome;
  bool body_begun = false;
  bool enough = false;
  bool finished = false;
};

void HttpExchange::Impl::set_headers(const Url& url) {
  curl_slist* list = nullptr;
  const auto add = [&list](const std::string& line) {
    if (curl_slist* longer = curl_slist_append(list, line.c_str())) list = longer;
  };
  add("Accept: " + request.accept);
  if (!request.token.empty() && origin && url.same_origin(*origin)) {
    add("Authorization: Bearer " + request.token);
  }
  if (request.range && !request.if_range.empty()) add("If-Range: " + request.if_range);
  header_list.reset(list);
  curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, list);
}

void HttpExchange::Impl::start(const Url& url) {
  current = url;
  if (!origin) origin = url;
  if (!easy) easy.reset(curl_easy_init());
  CURL* handle = easy.get();
  if (handle == nullptr) return give_up(Error(ErrorCode::kOutOfMemory, "no memory left for HTTP"));
  curl_easy_reset(handle);
  curl_easy_setopt(handle, CURLOPT_URL, url.text.c_str());
  curl_easy_setopt(handle, CURLOPT_PRIVATE, this);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error_text);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, (std::string("ruvllm/") + version()).c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  if (!session.ca_file.empty()) {
    curl_easy_setopt(handle, CURLOPT_CAINFO, session.ca_file.c_str());
  }
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT,
                   std::min(kConnectSeconds, session.stall_seconds));
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, session.stall_seconds);
  curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, 256L << 10);
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, &Impl::on_header);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &Impl::on_body);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, this);
  // A proxy of the environment could not reach this machine's own servers.
  if (url.is_loopback()) curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");
  if (request.range) {
    const std::string range = fmt::format("{}-{}", request.range->begin, request.range->end - 1);
    curl_easy_setopt(handle, CURLOPT_RANGE, range.c_str());
  }
  set_headers(url);
  error_text[0] = '\0';
  outcome.head.status = 0;
  header_bytes = 0;
  curl_multi_add_handle(session.multi, handle);
}

size_t HttpExchange::Impl::on_header(char* data, size_t size, size_t count, void* self) {
  return static_cast<Impl*>(self)->take_header({data, size * count});
}

size_t HttpExchange::Impl::on_body(char* data, size_t size, size_t count, void* self) {
  return static_cast<Impl*>(self)->take_body(std::as_bytes(std::span(data, size * count)));
}

size_t HttpExchange::Impl::take_header(std::string_view line) {
  header_bytes += line.size();
  if (header_bytes > kMaxHeaderBytes) {
    outcome.error = Error(ErrorCode::kCorrupt,
                          fmt::format("{}: the response header is too long", current->host));
    return 0;
  }
  if (line.starts_with("HTTP/")) {
    // Of a redirect only what Hugging Face says about the file is kept.
    std::erase_if(outcome.head.headers,
                  [](const auto& header) { return !header.first.starts_with("x-"); });
    return line.size();
  }
  const size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    outcome.head.headers[lower_case(trim(line.substr(0, colon)))] = trim(line.substr(colon + 1));
  }
  return line.size();
}

bool HttpExchange::Impl::begin_body() {
  body_begun = true;
  if (Status status = sink.begin(outcome.head); !status) outcome.error = status.error();
  return !outcome.error;
}

size_t HttpExchange::Impl::take_body(std::span<const std::byte> bytes) {
  long status = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
  outcome.head.status = static_cast<int>(status);
  outcome.head.url = current->text;
  if (status != 200 && status != 206) {
    const size_t room = kMaxExcerptBytes - std::min(kMaxExcerptBytes, outcome.excerpt.size());
    const auto part = bytes.first(std::min(room, bytes.size()));
    outcome.excerpt.append(reinterpret_cast<const char*>(part.data()), part.size());
    enough = part.size() < bytes.size();
    return enough ? 0 : bytes.size();
  }
  if (!body_begun && !begin_body()) return 0;
  Result<bool> more = sink.write(bytes);
  if (!more) {
    outcome.error = more.error();
    return 0;
  }
  enough = !*more;
  return enough ? 0 : bytes.size();
}

void HttpExchange::Impl::follow_redirect() {
  const char* location = nullptr;
  curl_easy_getinfo(easy.get(), CURLINFO_REDIRECT_URL, &location);
  if (location == nullptr) {
    return give_up(
        Error(ErrorCode::kUnavailable, fmt::format("{} redirects to nowhere", current->host)));
  }
  if (++num_redirects > kMaxRedirects) {
    return give_up(Error(ErrorCode::kUnavailable, fmt::format("{}: more than {} redirects in a row",
                                                              origin->host, kMaxRedirects)));
  }
  auto next = parse_url(location);
  if (!next) {
    return give_up(std::move(next).error().with_context(
        fmt::format("{} redirects to what is not allowed", current->host)));
  }
  if (const Status allowed = check_redirect(*current, *next); !allowed) {
    return give_up(allowed.error());
  }
  outcome.excerpt.clear();
  enough = false;
  start(*next);
}

void HttpExchange::Impl::finish(CURLcode code) {
  long status = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
  outcome.head.status = static_cast<int>(status);
  outcome.head.url = current->text;
  const bool aborted_by_us = code == CURLE_WRITE_ERROR && (enough || outcome.error.has_value());
  if (!outcome.error && (code == CURLE_OK || aborted_by_us)) {
    if (is_redirect(outcome.head.status)) return follow_redirect();
    if (code == CURLE_OK && !body_begun && (status == 200 || status == 206)) begin_body();
  }
  if (code != CURLE_OK && !aborted_by_us) {
    outcome.transport = error_text[0] != '\0' ? error_text : curl_easy_strerror(code);
    outcome.transport_final = is_final_failure(code);
    outcome.untrusted = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE;
  }
  curl_off_t seconds = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RETRY_AFTER, &seconds);
  outcome.retry_after_seconds = seconds > 0 ? static_cast<uint64_t>(seconds) : 0;
  finished = true;
}

HttpExchange::HttpExchange(HttpSession& session, HttpRequest request, BodySink& sink)
    : impl_(std::make_unique<Impl>(*session.impl_, std::move(request), sink)) {
  auto url = parse_url(impl_->request.url);
  if (url) {
    impl_->start(*url);
  } else {
    impl_->give_up(std::move(url).error());
  }
}

HttpExchange::~HttpExchange() {
  // No effect on one that is finished and out of the set already.
  if (impl_->easy) curl_multi_remove_handle(impl_->session.multi, impl_->easy.get());
}

bool HttpExchange::finished() const { return impl_->finished; }
const HttpOutcome& HttpExchange::outcome() const { return impl_->outcome; }

HttpSession::HttpSession(const HubSettings& settings) : impl_(std::make_unique<Impl>()) {
  initialize_library();
  impl_->multi = curl_multi_init();
  impl_->stall_seconds = static_cast<long>(std::max(1u, settings.stall_seconds));
  impl_->ca_file = settings.ca_file;
  curl_multi_setopt(impl_->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, kMaxConnections);
}

HttpSession::~HttpSession() { curl_multi_cleanup(impl_->multi); }

void HttpSession::pump(std::chrono::milliseconds wait) {
  int running = 0;
  curl_multi_perform(impl_->multi, &running);
  int remaining = 0;
  bool any_finished = false;
  while (const CURLMsg* message = curl_multi_info_read(impl_->multi, &remaining)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* easy = message->easy_handle;
    const CURLcode code = message->data.result;
    HttpExchange::Impl* exchange = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &exchange);
    curl_multi_remove_handle(impl_->multi, easy);
    exchange->finish(code);
    any_finished = true;
  }
  if (any_finished) return;
  curl_multi_poll(impl_->multi, nullptr, 0, static_cast<int>(wait.count()), nullptr);
}

}  // namespace ruvllm::hub
