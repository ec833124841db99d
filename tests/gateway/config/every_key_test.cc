#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "gateway/config/load.h"

// Every key of configs/ringway.toml, one at a time, with values that it cannot have. Each is to be
// refused at its own line, by name, with words that say what to write; nothing is passed over.

namespace ringway {
namespace {

enum class Kind { Boolean, Integer, Duration, Size, Text, List };

struct Key {
  std::size_t line = 0;  // in the file, from 0
  std::string table, name, value;
  Kind kind = Kind::Text;
  std::string path() const { return table.empty() ? name : table + "." + name; }
};

struct Shipped {
  std::vector<std::string> lines;
  std::vector<Key> keys;
  std::vector<std::pair<std::size_t, std::string>> tables;  // line and header
};

bool is_quantity(const std::string& value, std::string_view units) {
  const std::size_t digits = value.find_first_not_of("0123456789", 1);
  if (value.size() < 4 || value.front() != '"' || digits < 2 || digits == value.npos) return false;
  const std::string unit = value.substr(digits, value.size() - digits - 1);
  return std::string(units).find(" " + unit + " ") != std::string::npos;
}

Kind kind_of(const std::string& value) {
  if (value == "true" || value == "false") return Kind::Boolean;
  if (value.front() == '[') return Kind::List;
  if (std::isdigit(static_cast<unsigned char>(value.front())) != 0) return Kind::Integer;
  if (is_quantity(value, " k m g ") && value.back() == '"' && value != "\"2m\"") {
    return value[value.size() - 2] == 'm' ? Kind::Duration : Kind::Size;
  }
  return is_quantity(value, " ms s m h ") ? Kind::Duration : Kind::Text;
}

Shipped read_shipped() {
  Shipped shipped;
  std::istringstream text(read_text_file(std::string(CONFIGS) + "/ringway.toml").text);
  std::string line, table;
  while (std::getline(text, line)) {
    shipped.lines.push_back(line);
    if (line.starts_with("[")) {
      shipped.tables.emplace_back(shipped.lines.size() - 1, line);
      const std::size_t begin = line.find_first_not_of('[');
      table = line.substr(begin, line.find(']') - begin);
    }
    if (line.starts_with("#")) line.erase(0, 1);
    const std::size_t end = line.find(" = ");
    if (end == line.npos || line.substr(0, end).find_first_of(" \"[#") != line.npos) {
      if (shipped.lines.back().starts_with("#")) shipped.lines.back().clear();  // words alone
      continue;
    }
    Key key{shipped.lines.size() - 1, table, line.substr(0, end), line.substr(end + 3), Kind::Text};
    key.value = key.value.substr(0, key.value.find(" #"));
    key.value.resize(key.value.find_last_not_of(' ') + 1);
    key.kind = kind_of(key.value);
    shipped.keys.push_back(std::move(key));
  }
  return shipped;
}

std::string text_of(const std::vector<Mistake>& mistakes) {
  std::string text;
  for (const Mistake& mistake : mistakes) {
    text += "  " + std::to_string(mistake.position.line) + ":" +
            std::to_string(mistake.position.column) + ": " + mistake.text + "\n";
  }
  return text;
}

class EveryKey : public testing::Test {
 protected:
  // The file with that line replaced by these.
  std::vector<Mistake> with(std::size_t line, const std::string& in_its_place) const {
    std::string text;
    for (std::size_t i = 0; i < shipped_.lines.size(); ++i) {
      text += (i == line ? in_its_place : shipped_.lines[i]) + "\n";
    }
    return parse_config(text, std::string(CONFIGS) + "/ringway.toml").mistakes;
  }
  // A mistake that stands at the key's line and names the key, or the value if TOML has no such
  // one.
  static bool is_refused(const Key& key, const std::vector<Mistake>& mistakes,
                         const std::string& value = {}) {
    return std::ranges::any_of(mistakes, [&](const Mistake& mistake) {
      // An entry of a list is quoted where it stands.
      const bool quotes_it =
          mistake.text.starts_with('"') && mistake.position.column > key.name.size();
      const bool names_it = quotes_it || mistake.text.find(key.name) != std::string::npos ||
                            (!value.empty() && mistake.text.starts_with("Error while parsing") &&
                             mistake.text.find(value) != std::string::npos);
      return mistake.position.line == key.line + 1 && mistake.position.column != 0 && names_it;
    });
  }
  void expect_refused(const Key& key, const std::string& value) const {
    const auto mistakes = with(key.line, key.name + " = " + value);
    EXPECT_TRUE(is_refused(key, mistakes, value))
        << key.path() << " = " << value << "\nline " << key.line + 1 << ":\n"
        << text_of(mistakes);
  }

  Shipped shipped_ = read_shipped();
};

TEST_F(EveryKey, IsRead) {
  std::set<std::string> found;
  for (const Key& key : shipped_.keys) found.insert(key.path());
  for (const std::string& key : known_keys()) EXPECT_TRUE(found.contains(key)) << key;
  EXPECT_GT(shipped_.keys.size(), 130u);
  EXPECT_EQ(text_of(with(shipped_.lines.size(), "")), "");
}

TEST_F(EveryKey, RefusesValuesOfAnotherKind) {
  for (const Key& key : shipped_.keys) {
    std::vector<std::string> wrong = {"{ a = 1 }",   "[[1]]",      "[1]",      "[true]",
                                      "[{ a = 1 }]", "1979-05-27", "07:32:00", "[[\"x\"], 1]"};
    if (key.kind != Kind::Boolean) {
      wrong.insert(wrong.end(), {"true", "false"});
    }
    if (key.kind != Kind::Integer && key.kind != Kind::Duration && key.kind != Kind::Size) {
      wrong.insert(wrong.end(), {"7", "0", "-1"});
    }
    if (key.kind != Kind::Duration) wrong.insert(wrong.end(), {"1.5", "0.0"});
    wrong.insert(wrong.end(), {"nan", "-nan", "inf", "-inf", "1e400", "-1.5"});
    if (key.kind == Kind::Boolean || key.kind == Kind::Integer) {
      wrong.insert(wrong.end(),
                   {"\"1\"", "\"true\"", "\"\"", "\"yes\"", "\"1k\"", "[]", "[\"1\"]"});
    }
    if (key.kind == Kind::Duration || key.kind == Kind::Size || key.kind == Kind::Text) {
      wrong.insert(wrong.end(), {"[]", "[\"x\"]"});
    }
    for (const std::string& value : wrong) {
      // One text in place of a list of one is allowed where a list of texts is.
      expect_refused(key, value);
    }
  }
}

TEST_F(EveryKey, RefusesValuesOutOfRange) {
  for (const Key& key : shipped_.keys) {
    if (key.kind != Kind::Integer && key.kind != Kind::Duration && key.kind != Kind::Size) continue;
    for (const char* value : {"-1", "-9223372036854775808", "9223372036854775807", "99999999999999",
                              "18446744073709551616"}) {
      expect_refused(key, value);
    }
  }
}

TEST_F(EveryKey, RefusesOtherUnits) {
  for (const Key& key : shipped_.keys) {
    if (key.kind == Kind::Duration) {
      for (const char* value :
           {"\"5\"", "\"\"", "\"s\"", "\"5 apples\"", "\"5sec\"", "\"5 min\"", "\"-5s\"", "\"+5s\"",
            "\"1.5s\"", "\"5k\"", "\"1h30m\"", "\"5d\"", "\"99999999999s\"", "\"0x5s\"",
            "\"\\u0665s\"", "\"5s \"", "\" 5s\"", "\"4294967295h\""}) {
        expect_refused(key, value);
      }
    }
    if (key.kind == Kind::Size) {
      for (const char* value :
           {"\"64\"", "\"\"", "\"k\"", "\"64kb\"", "\"64KiB\"", "\"64s\"", "\"-1k\"", "\"1.5g\"",
            "\"64t\"", "\"99999999999g\"", "\"4294967295g\"", "\"1 k \""}) {
        expect_refused(key, value);
      }
    }
  }
}

// What a text may say is up to its key. These may be anything: names, and files that are read
// later.
TEST_F(EveryKey, RefusesTextsThatMeanNothing) {
  const std::set<std::string> free_texts = {"key_file",
                                            "filter.file",
                                            "filter.extra_file",
                                            "fraud.name",
                                            "fraud.prefix_file",
                                            "process.user",
                                            "listen.name",
                                            "listen.certificate",
                                            "listen.key",
                                            "listen.rsa_certificate",
                                            "listen.rsa_key",
                                            "listen.client_ca",
                                            "listen.client_crl",
                                            "certificate.certificate",
                                            "certificate.key",
                                            "certificate.rsa_certificate",
                                            "certificate.rsa_key",
                                            "next_hop.name",
                                            "next_hop.tls_ca",
                                            "next_hop.tls_crl",
                                            "next_hop.tls_certificate",
                                            "next_hop.tls_key",
                                            "trusted.name",
                                            "admin.token_file",
                                            "ctl.socket",
                                            "ctl.group",
                                            "page.directory",
                                            "bans.block_files",
                                            "header.remove",
                                            "header.keep",
                                            "media.access_interface",
                                            "media.network_interface",
                                            // Judged with the rest, once all of the file is read.
                                            "fraud.prefixes",
                                            "fraud.from",
                                            "fraud.to",
                                            "fraud.days",
                                            "certificate.names",
                                            "next_hop.send_from",
                                            "admin.names"};
  for (const Key& key : shipped_.keys) {
    if (free_texts.contains(key.path())) continue;
    if (key.kind != Kind::Text && key.kind != Kind::List) continue;
    const std::string text = "\"z\\u0000z \\n?/x:%%\"";
    expect_refused(key, key.kind == Kind::List ? "[" + text + "]" : text);
    if (key.kind == Kind::List) expect_refused(key, "[\"\"]");
  }
}

TEST_F(EveryKey, StandsOnlyOnce) {
  for (const Key& key : shipped_.keys) {
    const std::string line = key.name + " = " + key.value;
    const auto mistakes = with(key.line, line + "\n" + line);
    ASSERT_EQ(mistakes.size(), 1u) << key.path();
    EXPECT_EQ(mistakes[0].position.line, key.line + 2) << key.path() << "\n" << text_of(mistakes);
    EXPECT_NE(mistakes[0].text.find(key.name), std::string::npos) << text_of(mistakes);
  }
}

// Typing errors, other cases, and a key of a table that it has not.
TEST_F(EveryKey, IsNamedWhereItIsMistyped) {
  for (const Key& key : shipped_.keys) {
    std::vector<std::string> typos = {key.name + "s", "x" + key.name, key.name + "_"};
    typos.push_back(key.name.substr(0, key.name.size() - 1));
    std::string upper = key.name;
    upper[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(upper[0])));
    typos.push_back(upper);
    std::string dashed = key.name;
    std::ranges::replace(dashed, '_', '-');
    if (dashed != key.name) typos.push_back(dashed);
    for (const std::string& typo : typos) {
      const bool is_another =
          std::ranges::any_of(shipped_.keys, [&](const Key& other) { return other.name == typo; });
      if (is_another || typo.empty()) continue;
      const auto mistakes = with(key.line, typo + " = " + key.value);
      const bool said = std::ranges::any_of(mistakes, [&](const Mistake& mistake) {
        return mistake.position.line == key.line + 1 && mistake.position.column == 1 &&
               mistake.text.find("\"" + typo + "\"") != std::string::npos &&
               mistake.text.find("did you mean \"") != std::string::npos;
      });
      EXPECT_TRUE(said) << key.path() << " as " << typo << "\n" << text_of(mistakes);
    }
    const auto nested = with(key.line, key.name + ".x = 1");
    EXPECT_TRUE(is_refused(key, nested)) << key.path() << ".x\n" << text_of(nested);
  }
}

TEST_F(EveryKey, TablesAreTablesAndListsOfTablesAreLists) {
  for (const auto& [line, header] : shipped_.tables) {
    const bool is_list = header.starts_with("[[");
    const std::size_t begin = is_list ? 2 : 1;
    const std::string name = header.substr(begin, header.find(']') - begin);
    for (const std::string& other :
         {is_list ? "[" + name + "]" : "[[" + name + "]]", "[" + name + "x]", "[[" + name + "x]]",
          "[" + name.substr(1) + "]"}) {
      const auto mistakes = with(line, other);
      EXPECT_FALSE(mistakes.empty()) << other;
      // Of two headers that do not fit, the reader names the second.
      EXPECT_TRUE(std::ranges::any_of(
          mistakes,
          [&](const Mistake& mistake) {
            return (mistake.position.line >= line + 1 && mistake.position.line <= line + 2) ||
                   mistake.text.find("redefine existing table '" + name + "'") != std::string::npos;
          }))
          << other << " at line " << line + 1 << "\n"
          << text_of(mistakes);
    }
  }
  for (const auto& [line, header] : shipped_.tables) {
    const std::size_t begin = header.find_first_not_of('[');
    const std::string name = header.substr(begin, header.find(']') - begin);
    for (const char* value : {"1", "\"x\"", "true", "[]", "[1]", "[[]]", "1979-05-27", "nan"}) {
      // A list without an entry is what no table at all is.
      if (header.starts_with("[[") && std::string_view(value) == "[]") continue;
      const std::string text = name + " = " + value + "\n";
      const auto mistakes = parse_config(text, "/x/ringway.toml").mistakes;
      EXPECT_TRUE(std::ranges::any_of(mistakes,
                                      [&](const Mistake& mistake) {
                                        return mistake.position.line == 1 &&
                                               mistake.text.find(name) != std::string::npos;
                                      }))
          << text << text_of(mistakes);
    }
  }
}

}  // namespace
}  // namespace ringway
