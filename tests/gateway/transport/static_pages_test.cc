#include "gateway/transport/static_pages.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace ringway {
namespace {

namespace fs = std::filesystem;

class StaticPagesTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/pages-XXXXXX";
    root_ = mkdtemp(name);
    write("index.html", "<p>start");
    write("phone/index.html", "<p>phone");
    write("phone/main.js", "start()");
    write(".secret", "key");
    write(".git/config", "key");
  }
  void TearDown() override { fs::remove_all(root_); }
  void write(const std::string& name, const std::string& text) {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  std::string body(const StaticPages& pages, std::string_view path) {
    const auto* page = pages.find(path);
    return page ? page->body : "none";
  }
  fs::path root_;
};

TEST_F(StaticPagesTest, FilesAnswerForTheirPathsAndIndexesForTheirDirectories) {
  const auto pages = StaticPages::load(root_);
  ASSERT_TRUE(pages) << pages.error();
  EXPECT_EQ(body(**pages, "/"), "<p>start");
  EXPECT_EQ(body(**pages, "/index.html"), "<p>start");
  EXPECT_EQ(body(**pages, "/phone/"), "<p>phone");
  EXPECT_EQ(body(**pages, "/phone/main.js"), "start()");
  EXPECT_EQ((*pages)->find("/phone/main.js")->content_type, "text/javascript; charset=utf-8");
  EXPECT_EQ((*pages)->find("/")->content_type, "text/html; charset=utf-8");
}

TEST_F(StaticPagesTest, WhatIsNotMeantForTheWorldIsNotThere) {
  write("../outside-" + root_.filename().string(), "outside");
  const fs::path outside = root_.parent_path() / ("outside-" + root_.filename().string());
  fs::create_symlink(outside, root_ / "link");
  fs::create_symlink("index.html", root_ / "inside");
  const auto pages = StaticPages::load(root_);
  fs::remove(outside);
  ASSERT_TRUE(pages) << pages.error();
  for (const std::string path :
       {"/.secret", "/.git/config", "/link", "/phone", "/phone/../index.html", "", "index.html"}) {
    EXPECT_EQ(body(**pages, path), "none") << path;
  }
  EXPECT_EQ(body(**pages, "/inside"), "<p>start");
}

// RFC 3986 2.1.
TEST_F(StaticPagesTest, EscapesInAPathAreTheCharactersThatTheyMean) {
  write("my page.html", "<p>mine");
  write("100%.html", "<p>all");
  const auto pages = StaticPages::load(root_);
  ASSERT_TRUE(pages) << pages.error();
  EXPECT_EQ(body(**pages, "/my%20page.html"), "<p>mine");
  EXPECT_EQ(body(**pages, "/%70hone/main%2ejs"), "start()");
  EXPECT_EQ(body(**pages, "/100%25.html"), "<p>all");
  EXPECT_EQ(body(**pages, "/100%.html"), "<p>all");
  for (const char* none : {"/%2esecret", "/%2e%2e/index.html", "/index.html%00", "/%2", "/%"}) {
    EXPECT_EQ(body(**pages, none), "none") << none;
  }
}

// The file is sparse: to read it would take longer than this test, and more memory than there is.
TEST_F(StaticPagesTest, AFileThatIsTooLargeIsNotRead) {
  write("huge.bin", "");
  fs::resize_file(root_ / "huge.bin", std::uintmax_t{1} << 40);
  const auto pages = StaticPages::load(root_);
  ASSERT_FALSE(pages);
  EXPECT_NE(pages.error().find("huge.bin"), std::string::npos) << pages.error();
}

TEST_F(StaticPagesTest, ADirectoryThatIsNoneIsNamed) {
  for (const fs::path& path : {root_ / "missing", root_ / "index.html"}) {
    const auto pages = StaticPages::load(path);
    ASSERT_FALSE(pages);
    EXPECT_NE(pages.error().find(path.string()), std::string::npos) << pages.error();
  }
}

TEST_F(StaticPagesTest, MoreFilesThanAPageHasAreRefused) {
  for (std::size_t i = 0; i <= StaticPages::kFilesMax; ++i) write("f" + std::to_string(i), "x");
  const auto pages = StaticPages::load(root_);
  ASSERT_FALSE(pages);
  EXPECT_NE(pages.error().find("larger than"), std::string::npos) << pages.error();
}

TEST_F(StaticPagesTest, OneMoreLeavesTheSnapshotAsItWas) {
  const auto pages = StaticPages::load(root_);
  ASSERT_TRUE(pages);
  const StaticPages more = (*pages)->with("/phone.json", {"application/json", "{}"});
  EXPECT_EQ(body(more, "/phone.json"), "{}");
  EXPECT_EQ(body(**pages, "/phone.json"), "none");
}

}  // namespace
}  // namespace ringway
