// The engine: one model, many requests at once.
//
// Engine::create maps the model file and starts one engine thread that runs the step loop; requests
// are submitted from any thread and read as a stream of events. A request's tokens do not depend on
// what else is running nor on the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ruvllm/adapter.h>
#include <ruvllm/cache/kv_cache.h>
#include <ruvllm/chat.h>
#include <ruvllm/error.h>
#include <ruvllm/export.h>
#include <ruvllm/latency.h>
#include <ruvllm/sampling.h>
#include <ruvllm/tokenizer.h>
#include <ruvllm/tune/batch.h>

namespace ruvllm {

enum class DeviceType : uint8_t { Cpu, Cuda, Metal };

// Where the matrices are read. Answers have the same bits with all of them.
enum class WeightForm : uint8_t {
  kAuto,    // from the file at once, from packed copies in memory as a thread makes them
  kMapped,  // from the file alone: no memory beyond the page cache
  kPacked,  // packed before the first token
};

// Where guesses of the next tokens come from, which the model then checks several at a time.
// Answers have the same tokens with all of them; how many guesses pay is measured while it runs.
enum class Speculation : uint8_t {
  kOff,
  kLookup,  // from what followed the same tokens earlier in prompt and answer
  kDraft,   // from a smaller model, EngineOptions::draft_model_path
  kAuto,    // from both, as far as there is a smaller model
};
RUVLLM_API const char* speculation_name(Speculation speculation);  // "off", "lookup", ...
RUVLLM_API Result<Speculation> speculation_of_name(std::string_view name);

struct EngineOptions {
  std::string model_path = {};
  uint32_t num_threads = 0;  // 0: one a core that affinity and cgroup quota allow, fast ones first
  uint32_t context_length = 0;  // tokens of one sequence; 0: the model's, as far as memory allows
  // Running at once; more wait in the queue. 0: as many as may decode together (batch), chosen by
  // memory if that is open, too.
  uint32_t max_sequences = 1;
  uint32_t max_batch_tokens = 512;  // rows of one step: prompt chunks and decodes together
  BatchConfig batch = {};           // what a step carries; 0: up to the limits above
  // What `batch` leaves at 0 is chosen by what fits into this much memory (BatchConfig::for_model),
  // 0: into what is free, the cgroup's limit included.
  std::optional<double> batch_memory_gb = {};
  DeviceType device = DeviceType::Cpu;
  std::string cpu_isa = {};  // "": the best one here; "generic", "avx2", ... forces it
  WeightForm weights = WeightForm::kAuto;
  // Of packed copies, which double a matrix; 0: half of the memory that is available at the start.
  uint64_t max_packed_bytes = 0;
  KvCacheConfig kv_cache = {};
  // Of keys and values of all sequences; 0: max_sequences full contexts, but at most half of the
  // free memory. If those that run need more, the lowest yields its place and goes on later with
  // the same tokens (docs/scheduling.md).
  uint64_t max_cache_bytes = 0;
  // How long a step with decodes may take because of prompts that are computed beside them, as far
  // as measured; 0: as long as max_batch_tokens allows.
  uint32_t max_step_ms = 0;
  // "": the file's own, or that of its family; else a family's name (chat_template_families) or a
  // Jinja template.
  std::string chat_template = {};
  // Loaded at once and used, all together, by requests that do not choose their own.
  std::vector<AdapterSource> adapters = {};
  Speculation speculation = Speculation::kAuto;
  std::string draft_model_path = {};  // with the model's own vocabulary; read for kDraft and kAuto
  // Where keys and values of prompts outlive the engine (docs/kv-cache.md): the folder then holds
  // the text of all who use it. "": nowhere.
  std::string cache_dir = {};
  uint64_t max_cache_file_bytes = uint64_t{1} << 30;
};

// The names of the chat templates that are built in: "chatml", "llama3", ...
RUVLLM_API std::vector<std::string> chat_template_families();

struct GenerationRequest {
  std::vector<TokenId> prompt = {};
  SamplingParams sampling = {};
  uint32_t max_tokens = 0;             // 0: until the context is full
  std::vector<std::string> stop = {};  // cut from the answer; at most 16 of 256 bytes
  bool ignore_end = false;             // go on past end-of-generation tokens (benchmarks)
  // By name, added in this order; none: the engine's default ones; empty: the model alone.
  std::optional<std::vector<AdapterUse>> adapters = {};
  // Answers to this prompt, which is computed once; 1 to 128. Choice i is what a request of its own
  // would get with i added to the seed.
  uint32_t num_choices = 1;
  int32_t priority = 0;      // -100 to 100; higher ones are served first, nobody waits for ever
  uint64_t deadline_ms = 0;  // ends it with FinishReason::kDeadline so long after submit(); 0: none
  std::string tenant = {};   // those that wait take turns by it
  // With whose learned state it answers (ruvllm/learning/sona.h); one who was never taught anything
  // gets the model's own answer. "": nobody's, and the answer is not kept for feedback.
  std::string user = {};
  // Prompts that begin alike share what was computed for them, if they have the same salt: one for
  // each tenant keeps them apart. False: this one shares nothing.
  std::string cache_salt = {};
  bool cache_prompt = true;
};

enum class FinishReason : uint8_t { kStop, kLength, kCancelled, kDeadline };
// "stop", "length", "cancelled", "deadline"
RUVLLM_API const char* finish_reason_name(FinishReason reason);

struct TokenLogprob {
  TokenId id = 0;
  float logprob = 0.0f;
};

// One generated token. `text` is what became certain with it: never broken UTF-8, never a part of a
// stop string that might still complete.
struct GenerationEvent {
  uint32_t choice = 0;
  TokenId id = 0;
  std::string text;
  float logprob = 0.0f;  // if num_logprobs >= 0
  std::vector<TokenLogprob> top_logprobs;
  uint64_t step = 0;  // number of the engine's step that it was computed in
};

struct GenerationSummary {
  FinishReason finish_reason = FinishReason::kStop;
  std::string trailing_text;  // text held back until the end came
  uint32_t prompt_tokens = 0;
  uint32_t cached_prompt_tokens = 0;  // prompt tokens whose keys and values were still in the cache
  uint32_t completion_tokens = 0;
  uint32_t drafted_tokens = 0;   // guesses that were checked (Speculation)
  uint32_t accepted_tokens = 0;  // of them, those that were right: each saved a step
  uint32_t preemptions = 0;      // times that it made way for others and was computed again
  uint64_t seed = 0;
  LatencyBreakdown latency;
  std::string response_id;          // by which feedback refers to it; "": it had no user
  uint64_t learned_generation = 0;  // of the user's state that answered; 0: the model alone
};

// A running request. One reader; cancel() from any thread. Destroying it cancels.
class RUVLLM_API Generation {
 public:
  Generation(Generation&&) noexcept;
  Generation& operator=(Generation&&) noexcept;
  ~Generation();

  // Waits for the next event of any choice; std::nullopt when all have ended, then summary() is
  // set. An error ends all.
  Result<std::optional<GenerationEvent>> next();
  uint32_t num_choices() const;
  const GenerationSummary& summary(uint32_t choice = 0) const;
  // Takes effect at the next step; next() then ends with FinishReason::kCancelled.
  void cancel();
  void cancel_choice(uint32_t choice);  // the others go on

 private:
  friend class Engine;
  struct Impl;
  explicit Generation(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Loss over a text in windows without overlap; every token but a window's first is scored.
struct ScoreOptions {
  uint32_t context_length = 512;
  std::string logits_path =
      {};  // "": none; else float32 logits of every scored position, row by row
  std::optional<std::vector<AdapterUse>> adapters = {};  // as in GenerationRequest
  std::string user = {};                                 // as in GenerationRequest
};
struct ScoreProgress {
  uint64_t tokens_done = 0;
  uint64_t tokens_total = 0;
  double nll_sum = 0.0;  // nats
  uint64_t num_scored = 0;
  uint64_t kv_bytes = 0;  // keys and values of one full window
  double seconds = 0.0;
};
class RUVLLM_API Scorer {
 public:
  Scorer(Scorer&&) noexcept;
  Scorer& operator=(Scorer&&) noexcept;
  ~Scorer();
  // Scores one window; false when all is done.
  Result<bool> step();
  const ScoreProgress& progress() const;

 private:
  friend class Engine;
  struct Impl;
  explicit Scorer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// How the final states of a text's tokens become its embedding.
enum class Pooling : uint8_t {
  kNone,  // they do not: one vector a token
  kMean,
  kCls,  // the first token's
  kLast,
};
RUVLLM_API const char* pooling_name(Pooling pooling);  // "none", "mean", "cls", "last"
RUVLLM_API Result<Pooling> pooling_of_name(std::string_view name);

struct EmbeddingOptions {
  // None: the model's own; where its file names none, the mean of an encoder and the last token of
  // a model that generates text.
  std::optional<Pooling> pooling = {};
  uint32_t dimensions = 0;  // the first ones of every vector (Matryoshka models); 0: all
  bool normalize = true;    // to Euclidean length 1, after the cut; zeros stay zeros
  std::optional<std::vector<AdapterUse>> adapters = {};  // as in GenerationRequest
};
struct Embedding {
  std::vector<float> values;  // [num_vectors, dimensions]
  uint32_t num_vectors = 1;   // num_tokens for Pooling::kNone
  uint32_t num_tokens = 0;    // of the text, those included that the model wants around it
};

// Bytes by purpose.
// Bytes of this process in physical memory, by purpose. Each is measured for itself; together they
// are process_resident within 2 %. Several engines of one process each report their own weights,
// cache and workspace, and the others' as `other`.
struct MemoryReport {
  uint64_t weights_resident = 0;    // of the mapped file; shared with all who map it
  uint64_t weights_packed = 0;      // copies in huge pages
  uint64_t cache_resident = 0;      // keys and values
  uint64_t workspace_resident = 0;  // activations and logits
  uint64_t adapters = 0;            // of all that are loaded
  uint64_t tokenizer = 0;           // vocabulary and chat template, on the heap
  uint64_t heap = 0;                // the rest of the heap, free blocks included
  uint64_t code = 0;                // programs and libraries with their data
  uint64_t stacks = 0;              // of the threads
  uint64_t other = 0;               // mapped memory of no known owner
  uint64_t process_resident = 0;    // what the kernel says of the whole

  // Address space behind some of them.
  uint64_t weights_mapped = 0;
  uint64_t cache_reserved = 0;
  uint64_t cache_used = 0;    // pages that sequences hold
  uint64_t cache_cached = 0;  // pages kept for prompts that begin alike, until others need them
  uint64_t workspace = 0;

  // The sum of all purposes.
  uint64_t accounted() const {
    return weights_resident + weights_packed + cache_resident + workspace_resident + adapters +
           tokenizer + heap + code + stacks + other;
  }
};

struct EngineInfo {
  std::string model_name;
  std::string architecture;
  std::string device;  // "cpu"
  std::string isa;     // "avx2"
  uint32_t num_threads = 0;
  uint32_t context_length = 0;
  uint32_t max_sequences = 0;  // running at once
  BatchConfig batch;           // what a step carries
  std::string batch_reason;    // where it comes from
  uint32_t model_context_length = 0;
  uint32_t vocab_size = 0;
  uint32_t embedding_length = 0;                // dimensions of an embedding
  bool generates_text = true;                   // false: an encoder, for embed() only
  Speculation speculation = Speculation::kOff;  // kAuto: lookup, and a draft model if it is named
  std::string draft_model_name;
  uint64_t num_parameters = 0;
  double load_ms = 0.0;
  // Whether conversations go through a template that was made for this model: false where the file
  // has none and its family is not known either.
  bool has_chat_template = false;
  // Where the template comes from: "model" (its file), "option", "family" (the file has none; the
  // vocabulary or architecture says which one fits) or "default" (neither).
  std::string chat_template_source;
  std::string chat_template_name;      // of the family; "" for a template of the file or the caller
  uint32_t restored_cache_blocks = 0;  // of 32 tokens at most, from EngineOptions::cache_dir
  std::string cache_warning;           // what of its file cannot be used; "": nothing to say
};

struct BenchOptions {
  uint32_t prompt_tokens = 512;
  uint32_t generated_tokens = 64;
  std::vector<uint32_t> batch_sizes = {1};
  uint32_t depth = 0;  // tokens already in the cache when the clock starts
  // With adapters, each batch decodes by turns without any and with these: random ones of all
  // products, given to its sequences in turn.
  uint32_t num_adapters = 0;
  uint32_t adapter_rank = 8;
  std::string user = {};  // with whose learned state all runs decode, as in GenerationRequest
  uint32_t repetitions = 3;
  uint32_t shared_prefix = 0;  // tokens that two prompts begin with; 0: not measured
};
struct BenchDecode {
  uint32_t batch = 0;
  double tok_s = 0.0;   // of all sequences together, median of the repetitions
  double ms_p50 = 0.0;  // a step
  double ms_p99 = 0.0;
  double prefill_tok_s = 0.0;   // of the tokens that were in the cache before, all sequences
  uint64_t drafted_tokens = 0;  // of all sequences and repetitions
  uint64_t accepted_tokens = 0;
  double adapters_tok_s = 0.0;     // with BenchOptions::num_adapters; tok_s is without
  double adapters_fraction = 0.0;  // of the speed without: median of the repetitions' ratios
};
// Two prompts that differ in their last 16 tokens, one after the other: time to the first token,
// median of the repetitions.
struct BenchPrefix {
  double first_ms = 0.0;
  double second_ms = 0.0;
  uint32_t cached_tokens = 0;  // of the second prompt
};
struct BenchReport {
  double prefill_tok_s = 0.0;
  std::vector<BenchDecode> decode;
  std::optional<BenchPrefix> prefix;
  double load_ms = 0.0;
  uint64_t peak_rss_bytes = 0;
  double bandwidth_gb_s =
      0.0;  // read bandwidth of this machine with the engine's threads, measured
  double roofline_fraction = 0.0;  // bytes read by a decode step (batch 1) / time / bandwidth
  std::string isa;
  uint64_t adapter_bytes = 0;  // of one of BenchOptions::num_adapters
  MemoryReport memory;         // after the last run
};

class Sona;

class RUVLLM_API Engine {
 public:
  static Result<std::unique_ptr<Engine>> create(const EngineOptions& options);
  ~Engine();  // cancels what still runs

  const EngineInfo& info() const;
  const Tokenizer& tokenizer() const;
  MemoryReport memory() const;

  // The chat template over the messages; see EngineInfo for which one that is.
  Result<std::string> apply_chat_template(std::span<const ChatMessage> messages,
                                          const ChatTemplateOptions& options) const;
  Result<std::string> apply_chat_template(std::span<const ChatMessage> messages,
                                          bool add_generation_prompt) const;
  // The same as token ids. Control tokens come from the template alone: "<|im_start|>" inside a
  // message stays ordinary text, so that nobody can forge a turn.
  Result<std::vector<TokenId>> encode_chat(std::span<const ChatMessage> messages,
                                           const ChatTemplateOptions& options) const;
  Result<std::vector<TokenId>> encode_chat(std::span<const ChatMessage> messages,
                                           bool add_generation_prompt) const;

  // kResourceExhausted when the queue is full; kInvalidArgument for an empty or over-long prompt,
  // ids out of range or parameters out of theirs.
  Result<Generation> submit(GenerationRequest request);

  // Adapters by name, for requests submitted from now on; a name loaded again replaces the older
  // adapter, and requests that run keep theirs. Thread-safe.
  Result<AdapterInfo> load_adapter(const AdapterSource& source);
  Status unload_adapter(const std::string& name);
  std::vector<AdapterInfo> adapters() const;

  // Perplexity; runs on the caller's thread's behalf in the step loop, beside other requests.
  Result<Scorer> score(std::vector<TokenId> tokens, const ScoreOptions& options);

  // One embedding a text, in their order. All texts run side by side in the step loop, as far as
  // max_sequences and max_batch_tokens go; what else runs changes no bit of a result. Control
  // tokens in a text are recognized, as by the models' reference tokenizers. kInvalidArgument: a
  // text has no tokens or more than the context; nothing was computed then.
  Result<std::vector<Embedding>> embed(std::span<const std::string> texts,
                                       const EmbeddingOptions& options);
  // The same of token ids.
  Result<std::vector<Embedding>> embed_tokens(std::vector<std::vector<TokenId>> texts,
                                              const EmbeddingOptions& options);

  Result<BenchReport> benchmark(const BenchOptions& options);

  // Writes the prefixes into EngineOptions::cache_dir, if there are new ones; the destructor does
  // so, too, but cannot say when it fails. Serving pauses meanwhile.
  Status save_cache();

 private:
  friend class Sona;
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ruvllm
