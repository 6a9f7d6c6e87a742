list(APPEND sona_sources
  evaluation/facts/code_facts.cc
  evaluation/facts/fact_experiment.cc
  evaluation/facts/fact_scores.cc
  evaluation/facts/local_generator.cc)
list(APPEND sona_tests
  evaluation/facts/code_facts_test.cc
  evaluation/facts/local_generator_test.cc)
