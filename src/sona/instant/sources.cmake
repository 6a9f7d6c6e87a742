list(APPEND sona_sources
  instant/corrections/correction_writer.cc
  instant/head/consolidation.cc
  instant/head/fast_head_learner.cc
  instant/head/head_gradient.cc
  instant/head/row_table.cc
  instant/hidden_space/hidden_gradient.cc
  instant/hidden_space/hidden_space_learner.cc
  instant/instant_learner.cc
  instant/memory/memory_lists.cc
  instant/memory/memory_merge.cc
  instant/memory/memory_writer.cc
  instant/preference.cc
  instant/token_evidence.cc)
list(APPEND sona_tests
  instant/corrections/learn_correction_test.cc
  instant/head/consolidation_test.cc
  instant/head/head_gradient_test.cc
  instant/hidden_space/hidden_space_test.cc
  instant/instant_learner_test.cc
  instant/memory/memory_budget_test.cc
  instant/memory/memory_test.cc
  instant/preference_test.cc)
