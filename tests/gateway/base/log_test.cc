#include "gateway/base/log.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ringway {
namespace {

class LogTest : public ::testing::Test {
 protected:
  std::size_t drain() {
    std::size_t count = 0;
    for (; queue_.front(); queue_.pop()) ++count;
    return count;
  }
  std::unique_ptr<Counters> counters_ = std::make_unique<Counters>();
  Log::Queue queue_{1024};
  Log log_{3, LogLevel::Info, queue_, *counters_};
};

TEST_F(LogTest, FieldsTravelWithTheirKinds) {
  log_.set_time(Instant{9s});
  std::string changing = "value";
  log_.warning("something", {{"text", changing}, {"literal", "x"}, {"number", -5}, {"none", ""}});
  changing = "other";
  const LogRecord* record = queue_.front();
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->event, "something");
  EXPECT_EQ(record->level, LogLevel::Warning);
  EXPECT_EQ(record->shard, 3);
  EXPECT_EQ(record->time, Instant{9s});
  ASSERT_EQ(record->field_count, 4);
  EXPECT_EQ(record->fields[0].key, "text");
  EXPECT_EQ(record->text_of(record->fields[0]), "value") << "copied";
  EXPECT_EQ(record->text_of(record->fields[1]), "x");
  EXPECT_TRUE(record->fields[2].is_number);
  EXPECT_EQ(record->fields[2].number, -5);
  EXPECT_EQ(record->text_of(record->fields[3]), "");
}

TEST_F(LogTest, BelowTheLevelNothingIsWrittenNorCounted) {
  log_.debug("quiet", {});
  EXPECT_EQ(drain(), 0u);
  EXPECT_EQ(counters_->log_dropped.value(), 0u);
  log_.set_level(LogLevel::Debug);
  log_.debug("quiet", {});
  EXPECT_EQ(drain(), 1u);
  log_.set_level(LogLevel::Error);
  log_.warning("quiet", {});
  EXPECT_EQ(drain(), 0u);
}

TEST_F(LogTest, LongTextsAreCutAndNeverBeyondTheRecord) {
  const std::string text(1'000, 'x');
  log_.info("long",
            {{"a", text}, {"b", text}, {"c", text}, {"d", text}, {"e", text}, {"f", text}, {"g", text}});
  const LogRecord& record = *queue_.front();
  for (int field = 0; field < 5; ++field) {
    EXPECT_EQ(record.text_of(record.fields[field]).size(), 256u) << field;
  }
  EXPECT_EQ(record.text_of(record.fields[5]).size(), LogRecord::kTextMax - 5 * 256);
  EXPECT_EQ(record.text_of(record.fields[6]).size(), 0u);
  EXPECT_EQ(record.text_size, LogRecord::kTextMax);
}

TEST_F(LogTest, ANoisyEventLosesItsOwnRecordsOnlyAndTheyAreCounted) {
  for (int i = 0; i < 500; ++i) log_.info("a_noisy_event_of_one_kind", {});
  EXPECT_EQ(drain(), 200u);
  EXPECT_EQ(counters_->log_dropped.value(), 300u);
  log_.info("another_event_that_is_rare", {});
  EXPECT_EQ(drain(), 1u);
  log_.set_time(Instant{1s});
  log_.info("a_noisy_event_of_one_kind", {});
  EXPECT_EQ(drain(), 1u) << "a second later";
}

TEST_F(LogTest, AFullQueueIsCounted) {
  static const char kEvents[8][32] = {"event_0", "event_1", "event_2", "event_3",
                                      "event_4", "event_5", "event_6", "event_7"};
  for (int i = 0; i < 200; ++i) {
    for (const char* event : kEvents) log_.info(event, {});
  }
  const std::size_t kept = drain();
  EXPECT_EQ(kept, 1024u);
  EXPECT_EQ(counters_->log_dropped.value(), 1'600u - kept);
}

}  // namespace
}  // namespace ringway
