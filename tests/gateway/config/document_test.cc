#include "gateway/config/document.h"

#include <gtest/gtest.h>

namespace ringway {
namespace {

TEST(Document, ValuesKnowTheirKindAndPlace) {
  std::vector<Mistake> mistakes;
  const TomlNode root =
      parse_document("a = 1\n\n[t]\n  b = \"x\"\nc = [true, 1.5]\nd = 1979-05-27\n", mistakes);
  ASSERT_TRUE(mistakes.empty());
  EXPECT_EQ(root.find("a")->kind, TomlNode::Kind::Integer);
  EXPECT_EQ(root.find("a")->integer, 1);
  const TomlNode* table = root.find("t");
  ASSERT_NE(table, nullptr);
  const TomlNode* text = table->find("b");
  ASSERT_NE(text, nullptr);
  EXPECT_EQ(text->text, "x");
  EXPECT_EQ(text->key_position.line, 4u);
  EXPECT_EQ(text->key_position.column, 3u);
  EXPECT_EQ(text->position.column, 7u);
  ASSERT_EQ(table->find("c")->children.size(), 2u);
  EXPECT_TRUE(table->find("c")->children[0].boolean);
  EXPECT_EQ(table->find("c")->children[1].real, 1.5);
  EXPECT_EQ(table->find("d")->kind, TomlNode::Kind::Time);
  EXPECT_EQ(table->find("e"), nullptr);
}

TEST(Document, ASyntaxErrorIsOneMistakeAtItsPlace) {
  std::vector<Mistake> mistakes;
  EXPECT_TRUE(parse_document("a = 1\nb = \nc = 3\n", mistakes).children.empty());
  ASSERT_EQ(mistakes.size(), 1u);
  EXPECT_EQ(mistakes[0].position.line, 2u);
}

TEST(Document, ANameThatIsNoneEndsNoProcess) {
  for (const char* header : {"[!x]", "[ .a]", "[[=]]", "[\x1brule]]", "[[/etc]]"}) {
    std::vector<Mistake> mistakes;
    const std::string text = "a = 1\n" + std::string(header) + "\nb = 2\n";
    EXPECT_TRUE(parse_document(text, mistakes).children.empty()) << header;
    ASSERT_EQ(mistakes.size(), 1u) << header;
    EXPECT_EQ(mistakes[0].position.line, 2u) << header;
    EXPECT_FALSE(mistakes[0].text.empty());
  }
}

// TOML 1.0: bare keys, numbers and words are ASCII; so are tabs and spaces.
TEST(Document, ACharacterBeyondAsciiStandsInQuotesOrIsAMistakeAtItsPlace) {
  struct Wrong {
    std::string_view text;
    std::uint32_t line, column;
  };
  for (const Wrong& wrong :
       {Wrong{"a = 1\nb\u00e9 = 2\n", 2, 2}, Wrong{"a = \u00e9\n", 1, 5},
        Wrong{"a = 1\u00a0\n", 1, 6}, Wrong{"\xff", 1, 1}, Wrong{"a = \"\u00e9\"\u00fc\n", 1, 8},
        Wrong{"a = [\n  \"\u4e2d\",\u3000]\n", 2, 7}, Wrong{"# \u00e9\n[\u00e9]\n", 2, 2},
        Wrong{"[[r\u00fcle]]\n", 1, 4}, Wrong{"a = 'x\\'\u00e9\n", 1, 9},
        Wrong{"a = \"\"\"x\"\"\"\"\"\u00e9\n", 1, 14},
        Wrong{"a = \"\"\"\n\u00e9 \\\n \u00e9\"\"\"\n", 3, 2}}) {
    std::vector<Mistake> mistakes;
    EXPECT_TRUE(parse_document(wrong.text, mistakes).children.empty()) << wrong.text;
    ASSERT_EQ(mistakes.size(), 1u) << wrong.text;
    EXPECT_EQ(mistakes[0].position.line, wrong.line) << wrong.text;
    EXPECT_EQ(mistakes[0].position.column, wrong.column) << wrong.text;
    EXPECT_NE(mistakes[0].text.find("quotes"), std::string::npos) << mistakes[0].text;
  }
}

TEST(Document, InQuotesAndCommentsAnyCharacterMayStand) {
  for (const char* text :
       {"a = \"\u00e9\"", "a = '\u4e2d'  # \u00e9\n", "\"\u00e9\" = 1\n",
        "'\u00e9'.x = \"\\\"\u00e9\"\n", "\ufeffa = 1\n", "# \" \u00e9\na = 1\n",
        "a = \"\"\"\n\u00e9\"\"\u00fc\\\"\"\"\u00e9\"\"\"\"\"\n", "a = '''\\\n\u00e9''' # \u00e9",
        "a = \"\"\"\\\n x\u00e9\"\"\"\n", "[\"\u00e9\"]\na = \"#\u00e9\"\n"}) {
    std::vector<Mistake> mistakes;
    EXPECT_FALSE(parse_document(text, mistakes).children.empty()) << text;
    EXPECT_TRUE(mistakes.empty()) << text << ": " << mistakes[0].text;
  }
}

TEST(Document, PathsAreRelativeToTheFileThatNamesThem) {
  EXPECT_EQ(resolve_path("key.pem", "/etc/ringway/ringway.toml"), "/etc/ringway/key.pem");
  EXPECT_EQ(resolve_path("/key.pem", "/etc/ringway/ringway.toml"), "/key.pem");
  EXPECT_EQ(resolve_path("key.pem", "ringway.toml"), "key.pem");
  EXPECT_EQ(resolve_path("", "/etc/ringway.toml"), "");
}

}  // namespace
}  // namespace ringway
