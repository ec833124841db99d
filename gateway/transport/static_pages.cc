#include "gateway/transport/static_pages.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "protocol/base/ascii.h"

namespace ringway {
namespace {

namespace fs = std::filesystem;

std::string content_type_of(const std::string& extension) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 17> kTypes{{
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".mjs", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".json", "application/json"},
      {".map", "application/json"},
      {".webmanifest", "application/manifest+json"},
      {".svg", "image/svg+xml"},
      {".png", "image/png"},
      {".jpg", "image/jpeg"},
      {".ico", "image/x-icon"},
      {".wav", "audio/wav"},
      {".mp3", "audio/mpeg"},
      {".ogg", "audio/ogg"},
      {".woff2", "font/woff2"},
      {".wasm", "application/wasm"},
      {".txt", "text/plain; charset=utf-8"},
  }};
  for (const auto& [known, type] : kTypes) {
    if (known == extension) return std::string(type);
  }
  return "application/octet-stream";
}

// The request path of a file below root: "/assets/phone.js".
std::string request_path(const fs::path& root, const fs::path& file) {
  return "/" + file.lexically_relative(root).generic_string();
}

int hex_value(char c) {
  if (ascii::is_digit(c)) return c - '0';
  const char lower = ascii::to_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// RFC 3986 2.1: "/my%20page.html" is the file "my page.html". What is no escape stays as it is.
std::string without_escapes(std::string_view path) {
  std::string text;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const int high = path[i] == '%' && i + 2 < path.size() ? hex_value(path[i + 1]) : -1;
    const int low = high >= 0 ? hex_value(path[i + 2]) : -1;
    if (low >= 0) i += 2;
    text += low >= 0 ? static_cast<char>(high * 16 + low) : path[i];
  }
  return text;
}

}  // namespace

std::expected<std::shared_ptr<const StaticPages>, std::string> StaticPages::load(
    const std::string& directory) {
  std::error_code error;
  const fs::path root = fs::canonical(directory, error);
  if (error || !fs::is_directory(root)) {
    return std::unexpected("page directory " + directory +
                           " cannot be read: " + (error ? error.message() : "not a directory"));
  }
  std::map<std::string, Page, std::less<>> pages;
  std::size_t bytes = 0;
  for (fs::recursive_directory_iterator entry(root, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().filename().string().starts_with('.')) {
      if (entry->is_directory()) entry.disable_recursion_pending();
      continue;
    }
    std::error_code ignored;
    const fs::path target = fs::canonical(entry->path(), ignored);
    if (ignored || !fs::is_regular_file(target)) continue;
    if (target.lexically_relative(root).generic_string().starts_with("..")) continue;
    // Judged before it is read: it may not fit the memory.
    const std::uintmax_t size = fs::file_size(target, ignored);
    if (ignored || size > kBytesMax - bytes || pages.size() >= kFilesMax) {
      return std::unexpected("page directory " + directory + " is larger than " +
                             std::to_string(kFilesMax) + " files or " +
                             std::to_string(kBytesMax >> 20) + " MiB (at " + target.string() + ")");
    }
    std::ifstream file(target, std::ios::binary);
    std::string body{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!file.good() && !file.eof()) {
      return std::unexpected("page " + target.string() + " cannot be read");
    }
    bytes += std::min(body.size(), kBytesMax - bytes);
    const std::string path = request_path(root, entry->path());
    Page page{content_type_of(entry->path().extension().string()), std::move(body)};
    if (path.ends_with("/index.html")) pages[path.substr(0, path.size() - 10)] = page;
    pages[path] = std::move(page);
  }
  if (error) return std::unexpected("page directory " + directory + ": " + error.message());
  return std::make_shared<const StaticPages>(std::move(pages));
}

const StaticPages::Page* StaticPages::find(std::string_view path) const {
  const auto found =
      path.find('%') == path.npos ? pages_.find(path) : pages_.find(without_escapes(path));
  return found == pages_.end() ? nullptr : &found->second;
}

}  // namespace ringway
