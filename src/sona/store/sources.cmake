list(APPEND sona_sources
  store/archive/archive_reader.cc
  store/archive/archive_writer.cc
  store/files/durable_files.cc
  store/housekeeping.cc
  store/records.cc
  store/sha256.cc
  store/sqlite/database.cc
  store/sqlite/open_database.cc
  store/sqlite/rows/export_import.cc
  store/sqlite/rows/feedback_rows.cc
  store/sqlite/rows/forget.cc
  store/sqlite/rows/generation_rows.cc
  store/sqlite/rows/owner_rows.cc
  store/sqlite/schema.cc
  store/sqlite/sqlite_store.cc
  store/sqlite/write_queue.cc)
list(APPEND sona_tests
  store/testing/archive_test.cc
  store/testing/crash_test.cc
  store/testing/faults_test.cc
  store/testing/forget_test.cc
  store/testing/housekeeping_test.cc
  store/testing/recovery_test.cc
  store/testing/sqlite_store_test.cc)
