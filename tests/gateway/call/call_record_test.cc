#include "gateway/call/call_record.h"

#include <map>

#include "tests/gateway/call/messages.h"

namespace ringway {
namespace {

class CallRecordTest : public CallTest {
 protected:
  std::map<std::string, std::string> record(SlotId id, const MediaTotals& totals = {}) {
    write_call_ended(call(id), {"pbx", "relay-1"}, totals, log_);
    std::map<std::string, std::string> fields;
    const LogRecord* front = queue_->front();
    if (!front) return fields;
    const LogRecord one = *front;
    queue_->pop();
    EXPECT_EQ(one.event, "call_ended");
    for (std::size_t i = 0; i < one.field_count; ++i) {
      const auto& field = one.fields[i];
      fields[std::string(field.key)] =
          field.is_number ? std::to_string(field.number) : std::string(one.text_of(field));
    }
    return fields;
  }
  std::unique_ptr<Log::Queue> queue_ = std::make_unique<Log::Queue>(8);
  Log log_{0, LogLevel::Error, *queue_, *counters_};
};

TEST_F(CallRecordTest, AnAnsweredCallIsToldWithAllItsFieldsOnce) {
  const SlotId id = open().call;
  call(id).media.used = true;
  pass(200ms);
  answer(id, {.status = 180});
  pass(800ms);
  answer(id);
  pass(30s);
  table_.end(id, CallEnder::Callee, CallEndReason::Bye, now_);
  call(id).codec = sdp::first_codec(
      "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n");
  auto fields = record(id, {true, {1500, 1400}, {240'000, 224'000}});
  EXPECT_EQ(fields["call_id"], "call@example.org");
  EXPECT_EQ(fields["from"], "<sip:alice@example.org>;tag=a");
  EXPECT_EQ(fields["to"], "<sip:bob@example.org>");
  EXPECT_EQ(fields["next_hop"], "pbx");
  EXPECT_EQ(fields["status"], "200");
  EXPECT_EQ(fields["status_by"], "callee");
  EXPECT_EQ(fields["first_response_ms"], "200");
  EXPECT_EQ(fields["answer_ms"], "1000");
  EXPECT_EQ(fields["seconds"], "30");
  EXPECT_EQ(fields["ended_by"], "callee");
  EXPECT_EQ(fields["reason"], "BYE");
  EXPECT_EQ(fields["relay"], "relay-1");
  EXPECT_EQ(fields["codec"], "PCMA/8000");
  EXPECT_EQ(fields["packets_from_caller"], "1500");
  EXPECT_EQ(fields["bytes_from_callee"], "224000");
  EXPECT_EQ(fields["media"], "both ways");
  EXPECT_TRUE(record(id).empty());
}

TEST_F(CallRecordTest, ARefusedCallIsToldToo) {
  const SlotId id = open().call;
  table_.invite_refused(id, 486, CallEnder::Callee, CallEndReason::Refused, now_);
  auto fields = record(id);
  EXPECT_EQ(fields["status"], "486");
  EXPECT_EQ(fields["answer_ms"], "0");
  EXPECT_EQ(fields["seconds"], "0");
  EXPECT_EQ(fields["reason"], "refused");
}

TEST_F(CallRecordTest, MediaThatWasNotHeardIsSaid) {
  const SlotId id = open().call;
  call(id).media.used = true;
  answer(id);
  table_.end(id, CallEnder::Caller, CallEndReason::Bye, now_);
  EXPECT_EQ(judge_media(call(id), {}), MediaVerdict::Unknown);
  EXPECT_EQ(judge_media(call(id), {true, {0, 0}, {}}), MediaVerdict::Silent);
  EXPECT_EQ(judge_media(call(id), {true, {9, 0}, {}}), MediaVerdict::OneWay);
  EXPECT_EQ(judge_media(call(id), {true, {0, 9}, {}}), MediaVerdict::OneWay);
  EXPECT_EQ(judge_media(call(id), {true, {1, 1}, {}}), MediaVerdict::BothWays);
  call(id).media.used = false;
  EXPECT_EQ(judge_media(call(id), {}), MediaVerdict::NoRelay);
}

}  // namespace
}  // namespace ringway
