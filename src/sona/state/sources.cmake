list(APPEND sona_sources
  state/fields.cc
  state/learner_codec.cc
  state/memory_codec.cc
  state/state_blobs.cc)
list(APPEND sona_tests
  state/fields_test.cc
  state/learner_codec_test.cc)
