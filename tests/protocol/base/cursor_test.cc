#include "protocol/base/cursor.h"

#include <gtest/gtest.h>

namespace ringway {
namespace {

TEST(Cursor, ReadsForward) {
  Cursor cursor("INVITE sip:bob");
  EXPECT_EQ(cursor.peek(), 'I');
  EXPECT_EQ(cursor.take_while(ascii::kAlpha), "INVITE");
  EXPECT_EQ(cursor.position(), 6u);
  EXPECT_FALSE(cursor.skip_char('x'));
  EXPECT_TRUE(cursor.skip_char(' '));
  EXPECT_FALSE(cursor.skip_text("sips:"));
  EXPECT_TRUE(cursor.skip_text("sip:"));
  EXPECT_EQ(cursor.rest(), "bob");
  EXPECT_FALSE(cursor.skip_text("bobby"));
  EXPECT_EQ(cursor.take_until("@;"), "bob");
  EXPECT_TRUE(cursor.at_end());
}

TEST(Cursor, StandsStillAtTheEnd) {
  Cursor cursor("");
  EXPECT_TRUE(cursor.at_end());
  EXPECT_EQ(cursor.peek(), '\0');
  EXPECT_EQ(cursor.take_while(0xff), "");
  EXPECT_EQ(cursor.take_until("x"), "");
  EXPECT_FALSE(cursor.skip_char('\0'));
  EXPECT_TRUE(cursor.skip_text(""));
  cursor.skip(5);
  cursor.skip_space();
  EXPECT_EQ(cursor.position(), 0u);
}

TEST(Cursor, SkipStopsAtTheEnd) {
  Cursor cursor("abc");
  cursor.skip(2);
  EXPECT_EQ(cursor.rest(), "c");
  cursor.skip(static_cast<std::size_t>(-1));
  EXPECT_TRUE(cursor.at_end());
}

TEST(Cursor, SkipSpaceTakesSpacesAndTabsOnly) {
  Cursor cursor(" \t \r\n");
  cursor.skip_space();
  EXPECT_EQ(cursor.rest(), "\r\n");
}

TEST(Cursor, TakeUntilStopsAtTheFirstOfSeveral) {
  Cursor cursor("a=b;c");
  EXPECT_EQ(cursor.take_until(";="), "a");
  EXPECT_EQ(cursor.peek(), '=');
  EXPECT_EQ(cursor.take_until("="), "");
}

}  // namespace
}  // namespace ringway
