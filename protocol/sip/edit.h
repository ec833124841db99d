#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "protocol/base/writer.h"
#include "protocol/sip/message.h"

namespace ringway::sip {

// Changes to one message, gathered in any order and applied in one pass.
// A piece of new text is borrowed until write(): its memory is the caller's.
class EditList {
 public:
  static constexpr std::size_t kEditsMax = 192;

  // Puts text at offset, before the byte that stands there. Several insertions at one offset come
  // out in the order in which they were made.
  void insert(std::uint16_t offset, std::string_view text);
  // Replaces [begin, end) with text. Text inserted at begin comes out in front of it.
  void replace(std::uint16_t begin, std::uint16_t end, std::string_view text);
  void replace(Slice slice, std::string_view text) {
    replace(slice.offset, static_cast<std::uint16_t>(slice.offset + slice.size), text);
  }
  void remove(std::uint16_t begin, std::uint16_t end) { replace(begin, end, {}); }
  // Removes the whole line.
  void remove(const Header& header) { remove(header.begin, header.end); }

  void clear() {
    count_ = 0;
    overflowed_ = false;
  }
  bool overflowed() const { return overflowed_; }
  std::size_t count() const { return count_; }

  // Writes message with the changes into out. Two replacements must not overlap and
  // no insertion may lie inside one (false then: nothing valid is written). Cost: one pass, no
  // allocation. Returns false if the list or out overflowed or replacements overlap.
  [[nodiscard]] bool write(const MessageView& message, Writer& out) const;

 private:
  struct Edit {  // without constructors, so that an empty list costs nothing
    const char* text;
    std::size_t text_size;
    std::uint16_t begin, end;
  };
  static bool before(const Edit& a, const Edit& b);

  std::array<Edit, kEditsMax> edits_;
  std::size_t count_ = 0;
  bool overflowed_ = false;
};

}  // namespace ringway::sip
