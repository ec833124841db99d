#include "protocol/sip/message.h"

namespace ringway::sip {

const Header* MessageView::next(const Header* header) const {
  if (!repeats(header->name)) return nullptr;
  const Header* const end = headers_.data() + header_count_;
  for (const Header* other = header + 1; other != end; ++other) {
    if (other->name == header->name) return other;
  }
  return nullptr;
}

std::uint16_t MessageView::count(HeaderName name) const {
  std::uint16_t count = 0;
  for (const Header* header = find(name); header; header = next(header)) ++count;
  return count;
}

}  // namespace ringway::sip
