# The random-weight writer (ruvllm/synth.h); paths relative to src/api.
set(api_synth_sources
  models/synth/mixture.cc
  models/synth/random_weights.cc
  models/synth/shapes.cc
  models/synth/synth.cc
  models/synth/tensor_plan.cc
  models/synth/vocab_copy.cc)
