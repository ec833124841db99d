#include "protocol/sip/edit.h"

namespace ringway::sip {

void EditList::insert(std::uint16_t offset, std::string_view text) {
  replace(offset, offset, text);
}

void EditList::replace(std::uint16_t begin, std::uint16_t end, std::string_view text) {
  if (count_ == kEditsMax || end < begin) {
    overflowed_ = true;
    return;
  }
  edits_[count_++] = {text.data(), text.size(), begin, end};
}

// What changes the bytes in front comes first; at one place insertions come before a replacement,
// since they stand before the byte that it takes away.
bool EditList::before(const Edit& a, const Edit& b) {
  if (a.begin != b.begin) return a.begin < b.begin;
  return a.begin == a.end && b.begin != b.end;
}

bool EditList::write(const MessageView& message, Writer& out) const {
  if (overflowed_) return false;
  std::array<std::uint8_t, kEditsMax> order;
  for (std::size_t i = 0; i < count_; ++i) {  // insertion sort: stable, and mostly in order already
    std::size_t at = i;
    for (; at > 0 && before(edits_[i], edits_[order[at - 1]]); --at) order[at] = order[at - 1];
    order[at] = static_cast<std::uint8_t>(i);
  }
  const std::string_view text = message.text();
  std::size_t position = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    const Edit& edit = edits_[order[i]];
    if (edit.begin < position || edit.end > text.size()) return false;
    out.text(text.substr(position, edit.begin - position));
    out.text({edit.text, edit.text_size});
    position = edit.end;
  }
  out.text(text.substr(position));
  return !out.overflowed();
}

}  // namespace ringway::sip
