#pragma once

#include <cstddef>
#include <expected>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace ringway {

// The files served to plain GETs on WebSocket ports: an immutable snapshot in memory. Shards never
// touch the file system.
class StaticPages {
 public:
  struct Page {
    std::string content_type;
    std::string body;
  };

  static constexpr std::size_t kFilesMax = 1'000;
  static constexpr std::size_t kBytesMax = std::size_t{64} << 20;

  StaticPages() = default;
  explicit StaticPages(std::map<std::string, Page, std::less<>> pages) : pages_(std::move(pages)) {}

  // Reads a directory and those in it; index.html also answers for its directory. Symbolic links
  // that leave the directory and names that begin with a dot are left out. Control thread only.
  [[nodiscard]] static std::expected<std::shared_ptr<const StaticPages>, std::string> load(
      const std::string& directory);

  // The same pages and one more, or another one at its path.
  StaticPages with(std::string path, Page page) const {
    StaticPages pages = *this;
    pages.pages_.insert_or_assign(std::move(path), std::move(page));
    return pages;
  }

  // path: of the request target, without the query; nullptr if there is no such page.
  const Page* find(std::string_view path) const;
  std::size_t size() const { return pages_.size(); }

 private:
  std::map<std::string, Page, std::less<>> pages_;  // by path, "/phone.js"
};

}  // namespace ringway
