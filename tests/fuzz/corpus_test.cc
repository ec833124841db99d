// The fuzz targets over the corpus, as an ordinary test: each file whole, cut at every byte, and
// with bytes changed.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/properties.h"

namespace ringway::fuzz {
namespace {

std::vector<std::filesystem::path> corpus() {
  std::vector<std::filesystem::path> out;
  for (const char* folder : {"rfc4475", "rfc5118", "bugs"}) {
    const auto path = std::filesystem::path(RINGWAY_CORPUS) / folder;
    if (!std::filesystem::exists(path)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(path)) out.push_back(entry.path());
  }
  return out;
}

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void check_all(const std::string& text) {
  const Bytes bytes = as_bytes(text);
  check_message(bytes);
  check_forward(bytes);
  const std::string framed = std::string("\x06\x31\x02\x13", 4) + text;
  check_framer(as_bytes(framed));
}

// Header values as the smaller targets want them.
void check_values(const std::string& text) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    std::size_t end = text.find("\r\n", begin);
    if (end == text.npos) end = text.size();
    const std::size_t colon = text.find(':', begin);
    if (colon < end) {
      const std::string value = text.substr(colon + 1, end - colon - 1);
      check_address(as_bytes(value));
      check_via(as_bytes(value));
    }
    begin = end + 2;
  }
}

TEST(Corpus, EachFile) {
  const auto files = corpus();
  ASSERT_GE(files.size(), 62U);
  for (const auto& path : files) {
    SCOPED_TRACE(path);
    const std::string text = read(path);
    check_all(text);
    check_values(text);
    check_address(as_bytes(text));
    check_via(as_bytes(text));
  }
}

TEST(Corpus, EachFileCutAtEveryByte) {
  for (const auto& path : corpus()) {
    const std::string text = read(path);
    const std::size_t step = text.size() > 1024 ? 7 : 1;
    for (std::size_t cut = 0; cut < text.size(); cut += step) {
      // A closed head, so that the cut part is indexed too.
      check_all(text.substr(0, cut) + "\r\n\r\n");
    }
  }
}

TEST(Corpus, EachFileWithBytesChanged) {
  const auto seed = std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  constexpr std::string_view kBytes("\r\n \t\0:;,<>\"\\@=?%/.0az\xff", 22);
  for (const auto& path : corpus()) {
    const std::string text = read(path);
    for (int round = 0; round < 40; ++round) {
      std::string changed = text;
      for (int change = 0; change < 3; ++change) {
        const std::size_t at = random() % changed.size();
        const char c = kBytes[random() % kBytes.size()];
        switch (random() % 3) {
          case 0:
            changed[at] = c;
            break;
          case 1:
            changed.insert(at, 1, c);
            break;
          default:
            changed.erase(at, 1 + random() % 4);
        }
        if (changed.empty()) changed = "x";
      }
      check_all(changed);
      check_values(changed);
    }
  }
}

}  // namespace
}  // namespace ringway::fuzz
