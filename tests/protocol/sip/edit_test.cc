#include "protocol/sip/edit.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>

#include "tests/protocol/sip/messages.h"

namespace ringway::sip {
namespace {

class Edit : public testing::Test {
 protected:
  Edit() { EXPECT_TRUE(test::parse(text_, view_)); }
  std::string written(const EditList& edits) {
    Writer out(memory_);
    if (!edits.write(view_, out)) return "refused";
    return std::string(out.written_text());
  }
  static std::uint16_t at(const std::string& text, const char* part) {
    return static_cast<std::uint16_t>(text.find(part));
  }

  const std::string text_ = "BYE sip:a SIP/2.0\r\nVia: 1\r\nTo: t\r\n\r\nbody";
  MessageView view_;
  std::array<std::uint8_t, 8192> memory_;
};

TEST_F(Edit, NothingChangesNothing) {
  EXPECT_EQ(written(EditList{}), text_);
}

TEST_F(Edit, AnyOrderOnePass) {
  EditList edits;
  edits.replace(view_.find(HeaderName::To)->value, "u");
  edits.insert(view_.headers_end(), "X: y\r\n");
  edits.insert(view_.headers_begin(), "Via: 0\r\n");
  edits.remove(*view_.find(HeaderName::Via));
  EXPECT_EQ(edits.count(), 4U);
  EXPECT_EQ(written(edits), "BYE sip:a SIP/2.0\r\nVia: 0\r\nTo: u\r\nX: y\r\n\r\nbody");
}

TEST_F(Edit, InsertionsAtOnePlaceKeepTheirOrder) {
  EditList edits;
  const std::uint16_t via = at(text_, "Via");
  edits.insert(via, "1");
  edits.replace(via, static_cast<std::uint16_t>(via + 6), "R");
  edits.insert(via, "2");
  edits.insert(0, "a");
  edits.insert(via, "3");
  edits.insert(static_cast<std::uint16_t>(text_.size()), "z");
  EXPECT_EQ(written(edits), "aBYE sip:a SIP/2.0\r\n123R\r\nTo: t\r\n\r\nbodyz");
}

TEST_F(Edit, NeighboursTouchWithoutOverlap) {
  EditList edits;
  edits.replace(0, 3, "ACK");
  edits.replace(3, 4, "_");
  edits.insert(3, "-");
  EXPECT_TRUE(written(edits).starts_with("ACK-_sip:a"));
}

TEST_F(Edit, OverlapsAreRefused) {
  EditList edits;
  edits.replace(0, 5, "x");
  edits.replace(4, 6, "y");
  EXPECT_EQ(written(edits), "refused");
  edits.clear();
  edits.replace(0, 5, "x");
  edits.insert(3, "y");
  EXPECT_EQ(written(edits), "refused");
  edits.clear();
  edits.replace(0, 5, "x");
  edits.replace(0, 5, "y");
  EXPECT_EQ(written(edits), "refused");
}

TEST_F(Edit, BadPlacesAreRefused) {
  const auto size = static_cast<std::uint16_t>(text_.size());
  EditList edits;
  edits.replace(5, 4, "x");
  EXPECT_TRUE(edits.overflowed());
  EXPECT_EQ(written(edits), "refused");
  edits.clear();
  EXPECT_EQ(written(edits), text_);
  edits.replace(0, static_cast<std::uint16_t>(size + 1), "x");
  EXPECT_EQ(written(edits), "refused");
  edits.clear();
  edits.insert(static_cast<std::uint16_t>(size + 1), "x");
  EXPECT_EQ(written(edits), "refused");
}

TEST_F(Edit, ListLimit) {
  EditList edits;
  for (std::size_t i = 0; i < EditList::kEditsMax; ++i) edits.insert(0, "x");
  EXPECT_FALSE(edits.overflowed());
  EXPECT_EQ(written(edits), std::string(EditList::kEditsMax, 'x') + text_);
  edits.insert(0, "x");
  EXPECT_TRUE(edits.overflowed());
  EXPECT_EQ(written(edits), "refused");
}

TEST_F(Edit, EveryOutputSizeBelowIsRefused) {
  EditList edits;
  edits.insert(view_.headers_begin(), "Via: 0\r\n");
  const std::size_t needed = text_.size() + 8;
  for (std::size_t size = 0; size <= needed; ++size) {
    Writer out(MutableBytes(memory_).first(size));
    EXPECT_EQ(edits.write(view_, out), size == needed) << size;
  }
}

TEST_F(Edit, AgreesWithAPlainString) {
  const auto seed = std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 5000; ++round) {
    // Cut the text at random places; each piece is kept, replaced, or has something before it.
    std::string expected;
    std::vector<std::array<std::uint16_t, 2>> places;
    std::vector<std::string> texts;
    std::size_t position = 0;
    while (position < text_.size() && places.size() < EditList::kEditsMax) {
      const std::size_t size = std::min<std::size_t>(1 + random() % 6, text_.size() - position);
      const auto begin = static_cast<std::uint16_t>(position);
      const auto end = static_cast<std::uint16_t>(position + size);
      const std::string text(random() % 4, static_cast<char>('a' + random() % 26));
      const auto choice = random() % 3;
      if (choice == 0) places.push_back({begin, end});
      if (choice == 1) places.push_back({begin, begin});
      if (choice != 2) texts.push_back(text), expected += text;
      if (choice != 0) expected += text_.substr(position, size);
      position += size;
    }
    expected += text_.substr(position);
    std::vector<std::size_t> order(places.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    EditList edits;
    for (const std::size_t i : order) edits.replace(places[i][0], places[i][1], texts[i]);
    ASSERT_EQ(written(edits), expected) << "seed " << seed;
  }
}

}  // namespace
}  // namespace ringway::sip
