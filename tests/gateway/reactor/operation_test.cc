#include "gateway/reactor/operation.h"

#include <gtest/gtest.h>

namespace ringway {
namespace {

TEST(Operation, ItsThreePartsSurviveTheKernelsSixtyFourBits) {
  for (const auto kind : {OperationKind::None, OperationKind::WakeShard, OperationKind::Connect}) {
    for (const SlotId id :
         {SlotId{0, 0}, SlotId{0, 1}, SlotId{0xff'ffff, 0xffff'ffff}, SlotId{0x12'3456, 7}}) {
      const Operation back = Operation::unpack(Operation{kind, id}.packed());
      EXPECT_EQ(back.kind, kind);
      EXPECT_EQ(back.id, id);
    }
  }
}

TEST(Operation, AnotherGenerationIsAnotherName) {
  EXPECT_NE((Operation{OperationKind::ReceiveStream, {5, 1}}.packed()),
            (Operation{OperationKind::ReceiveStream, {5, 2}}.packed()));
}

}  // namespace
}  // namespace ringway
