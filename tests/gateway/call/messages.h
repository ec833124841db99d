#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "gateway/base/subject.h"
#include "gateway/call/call_table.h"
#include "protocol/sip/parse.h"
#include "protocol/sip/validate.h"

namespace ringway {

// A message with its index, kept alive together.
class Text {
 public:
  explicit Text(std::string text) : text_(std::move(text)) {
    EXPECT_TRUE(sip::parse_message(as_bytes(text_), sip::Framing::Datagram, view_).has_value());
    const auto verdict = view_.is_request() ? sip::validate_request(view_, essentials_)
                                            : sip::validate_response(view_, essentials_);
    EXPECT_TRUE(verdict.ok()) << verdict.reason << "\n" << text_;
  }
  Text(const Text&) = delete;
  const sip::MessageView& view() const { return view_; }
  const sip::Essentials& essentials() const { return essentials_; }

 private:
  std::string text_;
  sip::MessageView view_;
  sip::Essentials essentials_;
};

inline std::string tagged(std::string_view value, std::string_view tag) {
  return std::string(value) + (tag.empty() ? "" : ";tag=" + std::string(tag));
}

struct Request {
  std::string method = "INVITE", uri = "sip:bob@example.org";
  std::string from = "<sip:alice@example.org>", to = "<sip:bob@example.org>";
  std::string from_tag = "a", to_tag = {};
  int cseq = 1;
  std::string extra = {};  // whole lines
  std::string call_id = "call@example.org";

  std::string text() const {
    return method + " " + uri + " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n" +
           "From: " + tagged(from, from_tag) + "\r\nTo: " + tagged(to, to_tag) +
           "\r\nCall-ID: " + call_id + "\r\nCSeq: " + std::to_string(cseq) + " " + method +
           "\r\nMax-Forwards: 70\r\n" + extra + "Content-Length: 0\r\n\r\n";
  }
};

struct Response {
  int status = 200;
  std::string to_tag = "b";
  std::string extra = {};
  std::string method = "INVITE";
  int cseq = 1;
  std::string from_tag = "a";

  std::string text() const {
    return "SIP/2.0 " + std::to_string(status) +
           " X\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: " +
           tagged("<sip:alice@example.org>", from_tag) +
           "\r\nTo: " + tagged("<sip:bob@example.org>", to_tag) +
           "\r\nCall-ID: call@example.org\r\nCSeq: " + std::to_string(cseq) + " " + method +
           "\r\n" + extra + "Content-Length: 0\r\n\r\n";
  }
};

// A table with its surroundings and a clock that only moves when told.
class CallTest : public ::testing::Test {
 protected:
  static constexpr CallLeg kLeg = make_leg(0x1234'5678'9abc'def0);

  CallTable::Opening open(const Request& request = {}, CallLeg leg = kLeg) {
    const Text text(request.text());
    return table_.open(text.view(), text.essentials(), leg, now_);
  }
  SlotId answer(SlotId call, const Response& response = {}, std::size_t beyond = 0) {
    const Text text(response.text());
    return table_.invite_response(call, text.view(), text.essentials(), beyond, now_);
  }
  SlotId passes(SlotId call, Party from, const Request& request) {
    const Text text(request.text());
    return table_.request_passes(call, from, text.essentials());
  }
  bool answered(SlotId call, SlotId dialog, Party from, const Request& request,
                const Response& response) {
    const Text asked(request.text()), said(response.text());
    return table_.request_answered(call, dialog, from, asked.view(), said.view(), now_);
  }
  // A call that is answered by a callee with tag b.
  SlotId talking() {
    const SlotId call = open({.extra = "Contact: <sip:alice@192.0.2.1>\r\n"}).call;
    answer(call, {.extra = "Contact: <sip:bob@192.0.2.2>\r\n"});
    return call;
  }
  // Lets time pass; what was due of call by then, Nothing if no deadline came.
  CallTable::Due pass(Duration duration) {
    now_ += duration;
    CallTable::Due due = CallTable::Due::Nothing;
    wheel_.expire(now_, [&](std::uint64_t payload) {
      EXPECT_EQ(subject_of(payload), Subject::Call);
      if (due == CallTable::Due::Nothing) due = table_.due(SlotId::unpack(payload), now_);
    });
    return due;
  }
  Call& call(SlotId id) { return *table_.get(id); }

  std::unique_ptr<Counters> counters_ = std::make_unique<Counters>();
  BufferPool buffers_{1u << 22};
  TimerWheel wheel_{64};
  CallTimes times_;
  CallTable table_{4, times_, {1, 2}, wheel_, buffers_, *counters_};
  Instant now_{std::chrono::seconds(1'000)};
};

}  // namespace ringway
