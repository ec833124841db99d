#include "gateway/core/loop_check.h"

#include "protocol/sip/branch.h"
#include "protocol/sip/name_addr.h"
#include "protocol/sip/via.h"

namespace ringway {
namespace {

using sip::HeaderName;

}  // namespace

std::uint32_t LoopCheck::hash_of(const Incoming& in) const {
  std::uint64_t hash = keyed_hash(core_.hash_key, in.view.request_uri());
  for (const sip::Header* route = in.view.find(HeaderName::Route); route;
       route = in.view.next(route)) {
    hash = hash * 31 + keyed_hash(core_.hash_key, in.view.text(route->value));
  }
  return static_cast<std::uint32_t>(hash ^ (hash >> 32));
}

bool LoopCheck::comes_back(const Incoming& in, std::uint32_t hash) const {
  for (const sip::Header* header = in.view.find(HeaderName::Via); header;
       header = in.view.next(header)) {
    const std::string_view text = in.view.text(header->value);
    if (text.find("z9hG4bK-r") == text.npos) continue;
    sip::ListCursor values(text);
    while (const auto value = values.next()) {
      if (value->find("z9hG4bK-r") == value->npos) continue;
      const auto via = sip::parse_via(*value);
      const auto branch = via ? sip::parse_branch(via->branch, core_.branch_key) : std::nullopt;
      if (!branch || branch->loop_hash != hash) continue;
      for (std::size_t i = 0; i < core_.listeners.size(); ++i) {
        if (core_.own.sent_by(static_cast<ListenerIndex>(i)) == via->sent_by) return true;
      }
    }
  }
  return false;
}

}  // namespace ringway
