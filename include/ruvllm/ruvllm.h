// Everything public in one include.
#pragma once

#include <ruvllm/adapter.h>
#include <ruvllm/cache/kv_cache.h>
#include <ruvllm/cache/paged_kv_cache.h>
#include <ruvllm/chat.h>
#include <ruvllm/convert.h>
#include <ruvllm/engine.h>
#include <ruvllm/error.h>
#include <ruvllm/hub.h>
#include <ruvllm/inspect.h>
#include <ruvllm/kernels/attention.h>
#include <ruvllm/latency.h>
#include <ruvllm/learning/sona.h>
#include <ruvllm/learning/sona_config.h>
#include <ruvllm/quantize.h>
#include <ruvllm/sampling.h>
#include <ruvllm/settings.h>
#include <ruvllm/synth.h>
#include <ruvllm/tokenizer.h>
#include <ruvllm/tune/batch.h>
