list(APPEND sona_sources
  instant/head/consolidation.cc
  instant/head/fast_head_learner.cc
  instant/head/head_gradient.cc
  instant/head/row_table.cc
  instant/instant_learner.cc
  instant/memory/memory_lists.cc
  instant/memory/memory_writer.cc
  instant/preference.cc)
list(APPEND sona_tests
  instant/head/consolidation_test.cc
  instant/head/head_gradient_test.cc
  instant/instant_learner_test.cc
  instant/memory/memory_test.cc
  instant/preference_test.cc)
