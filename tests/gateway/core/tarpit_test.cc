#include "gateway/core/tarpit.h"

#include "gateway/base/subject.h"
#include "tests/gateway/core/parts_test.h"

namespace ringway {
namespace {

class TarpitTest : public PartsTest {
 protected:
  FlowId open(std::uint32_t slot) {
    FlowInfo info;
    info.flow = FlowId(0, slot, 1);
    info.listener = 0;
    flows_.opened(info, {});
    return info.flow;
  }
  bool holds(FlowId flow) {
    Source source;
    source.transport = Transport::Tcp;
    source.flow = flow;
    return tarpit_.holds(source);
  }
  // The flows that are closed until then.
  std::vector<FlowId> advance(Duration time) {
    now_ += time;
    core_.wheel.expire(now_, [&](std::uint64_t payload) {
      ASSERT_EQ(subject_of(payload), Subject::Tarpit);
      tarpit_.over(SlotId::unpack(payload), outbox_);
    });
    std::vector<FlowId> closed;
    for (const Output& output : outbox_.items()) {
      if (output.kind == Output::Kind::CloseFlow) closed.push_back(output.flow);
    }
    outbox_.clear();
    return closed;
  }

  Services core_ = services();
  Flows flows_{core_.shard};
  Tarpit tarpit_{core_, flows_};
};

TEST_F(TarpitTest, AStreamIsHeldAndThenClosed) {
  const FlowId flow = open(3), other = open(4);
  ASSERT_TRUE(tarpit_.hold(flow, now_));
  EXPECT_TRUE(holds(flow));
  EXPECT_FALSE(holds(other));
  EXPECT_TRUE(advance(Tarpit::kHeld - 1s).empty());
  EXPECT_EQ(advance(2s), std::vector{flow});
}

TEST_F(TarpitTest, OneThatHasEndedIsNotClosedForItsSuccessor) {
  ASSERT_TRUE(tarpit_.hold(open(3), now_));
  FlowInfo next;
  next.flow = FlowId(0, 3, 2);
  flows_.opened(next, {});
  EXPECT_FALSE(holds(next.flow));
  EXPECT_TRUE(advance(Tarpit::kHeld + 1s).empty());
}

TEST_F(TarpitTest, NoMoreThanItsBoundAreHeld) {
  for (std::uint32_t i = 0; i < Tarpit::kHeldMax; ++i) ASSERT_TRUE(tarpit_.hold(open(i), now_));
  const FlowId one_more = open(Tarpit::kHeldMax);
  EXPECT_FALSE(tarpit_.hold(one_more, now_));
  EXPECT_FALSE(holds(one_more));
  EXPECT_EQ(advance(Tarpit::kHeld + 1s).size(), Tarpit::kHeldMax);
  EXPECT_TRUE(tarpit_.hold(one_more, now_));
}

TEST_F(TarpitTest, ADatagramAndAStreamThatIsGoneAreNotHeld) {
  EXPECT_FALSE(tarpit_.hold({}, now_));
  EXPECT_FALSE(tarpit_.hold(FlowId(0, 3, 1), now_));
  EXPECT_FALSE(holds({}));
}

}  // namespace
}  // namespace ringway
