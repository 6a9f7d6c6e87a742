#include "support/harness.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>

#include "base/system/cpu_info.h"

namespace ruvllm::bench {
namespace {

bool g_failed = false;

// The value of "--name=value", or nullptr.
const char* value_of(std::string_view argument, std::string_view name) {
  if (!argument.starts_with("--") || !argument.substr(2).starts_with(name)) return nullptr;
  const std::string_view rest = argument.substr(2 + name.size());
  return rest.starts_with('=') ? rest.data() + 1 : nullptr;
}

Status read_option(std::string_view argument, Setup& setup, bool& is_ours) {
  is_ours = true;
  if (argument == "--tiny") {
    setup.tiny = true;
  } else if (const char* threads = value_of(argument, "threads")) {
    const std::string_view text = threads;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), setup.num_threads);
    if (error != std::errc{} || end != text.data() + text.size()) {
      return fail(ErrorCode::kInvalidArgument, "--threads={}: not a number", text);
    }
  } else if (const char* isa = value_of(argument, "isa")) {
    setup.isa = isa;
  } else if (const char* model = value_of(argument, "model")) {
    setup.model = model;
  } else if (const char* shape = value_of(argument, "shape")) {
    setup.shape = shape;
  } else if (const char* type = value_of(argument, "type")) {
    setup.type = type;
  } else {
    is_ours = false;
  }
  return {};
}

void describe(const Setup& setup) {
  benchmark::AddCustomContext("cpu", cpu_name());
  benchmark::AddCustomContext("isa", setup.device->isa());
  benchmark::AddCustomContext("threads", std::to_string(setup.num_threads));
  benchmark::AddCustomContext("peak_int8_gmac_s",
                              fmt::format("{:.1f}", setup.peaks.int8_multiply_adds / 1e9));
  benchmark::AddCustomContext("peak_float_gmac_s",
                              fmt::format("{:.1f}", setup.peaks.float_multiply_adds / 1e9));
  benchmark::AddCustomContext("read_gb_s", fmt::format("{:.1f}", setup.peaks.read_bytes / 1e9));
}

Status prepare(int& argc, char** argv, Setup& setup) {
  const char* isa = std::getenv("RUVLLM_CPU_ISA");
  const char* model = std::getenv("RUVLLM_BENCH_MODEL");
  setup.isa = isa == nullptr ? "" : isa;
  setup.model = model == nullptr ? "" : model;
  int num_left = 1;
  for (int i = 1; i < argc; ++i) {
    bool is_ours = false;
    RUVLLM_TRY(read_option(argv[i], setup, is_ours));
    if (!is_ours) argv[num_left++] = argv[i];
  }
  argc = num_left;
  RUVLLM_ASSIGN(setup.device, device::CpuDevice::create(setup.num_threads, setup.isa));
  ThreadTeam& team = setup.device->team();
  setup.num_threads = team.num_threads();
  RUVLLM_ASSIGN(setup.peaks, measure_peaks(team, setup.device->isa()));
  return {};
}

}  // namespace

int run_benchmarks(int argc, char** argv, void (*add)(const Setup& setup)) {
  static Setup setup;  // outlives the registered benchmarks
  if (const Status ready = prepare(argc, argv, setup); !ready) {
    std::fprintf(stderr, "%s: %s\n", argv[0], ready.error().message().c_str());
    return 1;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  describe(setup);
  add(setup);
  const size_t num_run = benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return num_run > 0 && !g_failed ? 0 : 1;
}

void fail_benchmark(benchmark::State& state, const Error& error) {
  g_failed = true;
  state.SkipWithError(error.message().c_str());
}

void report_work(benchmark::State& state, const Setup& setup, const Work& work) {
  using benchmark::Counter;
  const auto rate = [](double amount) {
    return Counter(amount, Counter::kIsIterationInvariantRate);
  };
  if (work.multiply_adds > 0.0) {
    const double threads = work.num_threads == 0 ? setup.num_threads : work.num_threads;
    const double peak = (work.arithmetic == Arithmetic::kInt8 ? setup.peaks.int8_multiply_adds
                                                              : setup.peaks.float_multiply_adds) *
                        threads / setup.num_threads;
    state.counters["GMAC/s"] = rate(work.multiply_adds / 1e9);
    state.counters["of_peak"] = rate(work.multiply_adds / peak);
  }
  if (work.bytes > 0.0) {
    state.counters["GB/s"] = rate(work.bytes / 1e9);
    state.counters["of_bandwidth"] = rate(work.bytes / setup.peaks.read_bytes);
  }
}

}  // namespace ruvllm::bench
