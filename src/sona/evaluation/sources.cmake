list(APPEND sona_sources
  evaluation/arms/cache_arms.cc
  evaluation/arms/constant_gradient_arm.cc
  evaluation/arms/learner_arm.cc
  evaluation/arms/served_head.cc
  evaluation/feed/evidence.cc
  evaluation/feed/text_feed.cc
  evaluation/statistics.cc
  evaluation/studies/forgetting.cc
  evaluation/studies/gradients.cc
  evaluation/studies/long_run.cc
  evaluation/studies/prequential.cc
  evaluation/studies/safety.cc
  evaluation/studies/study.cc
  evaluation/studies/walk.cc
  evaluation/tasks/shared_learner.cc
  evaluation/tasks/slot_learner.cc)
list(APPEND sona_tests
  evaluation/arms/arms_test.cc
  evaluation/statistics_test.cc)
