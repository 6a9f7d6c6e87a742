list(APPEND sona_sources
  patterns/clusters.cc
  patterns/hnsw_index.cc
  patterns/pattern_bank.cc
  patterns/pattern_blob.cc)
list(APPEND sona_tests
  patterns/clusters_test.cc
  patterns/pattern_bank_test.cc
  patterns/pattern_bank_threads_test.cc)
