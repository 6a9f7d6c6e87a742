list(APPEND sona_sources
  statistics/paired_bootstrap.cc)
list(APPEND sona_tests
  statistics/paired_bootstrap_test.cc)
