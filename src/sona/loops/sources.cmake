list(APPEND sona_sources
  loops/background/background_loop.cc
  loops/background/learner_registry.cc
  loops/config.cc
  loops/evidence/reservoir.cc
  loops/evidence/scorer.cc
  loops/gate/confidence_sequence.cc
  loops/gate/gate.cc
  loops/user/change_point.cc
  loops/user/consolidation.cc
  loops/user/head_rows.cc
  loops/user/serving.cc
  loops/user/user_learner.cc)
list(APPEND sona_tests
  loops/background/background_loop_test.cc
  loops/config_test.cc
  loops/gate/gate_test.cc
  loops/user/consolidation_strategies_test.cc
  loops/user/user_learner_test.cc)
