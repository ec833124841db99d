#include "gateway/control/rfc3263.h"

#include <algorithm>

#include "protocol/base/ascii.h"

namespace ringway {

std::vector<SrvRecord> order_srv(std::vector<SrvRecord> records, Random& random) {
  std::ranges::stable_sort(records, [](const SrvRecord& a, const SrvRecord& b) {
    // Within a priority those of weight 0 come first, so that they are rarely drawn.
    return a.priority != b.priority ? a.priority < b.priority : a.weight == 0 && b.weight != 0;
  });
  for (auto first = records.begin(); first != records.end(); ++first) {
    const auto last = std::find_if(first, records.end(), [&](const SrvRecord& record) {
      return record.priority != first->priority;
    });
    std::uint64_t sum = 0;
    for (auto it = first; it != last; ++it) sum += it->weight;
    std::uint64_t drawn = random.below(sum + 1), running = 0;
    for (auto it = first; it != last; ++it) {
      running += it->weight;
      if (running < drawn) continue;
      std::rotate(first, it, it + 1);
      break;
    }
  }
  return records;
}

std::optional<Transport> transport_of_service(const NaptrRecord& record) {
  if (!ascii::equal_ignoring_case(record.flags, "s")) return std::nullopt;
  if (ascii::equal_ignoring_case(record.service, "SIP+D2U")) return Transport::Udp;
  if (ascii::equal_ignoring_case(record.service, "SIP+D2T")) return Transport::Tcp;
  if (ascii::equal_ignoring_case(record.service, "SIPS+D2T")) return Transport::Tls;
  return std::nullopt;
}

std::vector<NaptrRecord> order_naptr(std::vector<NaptrRecord> records, bool secure) {
  std::erase_if(records, [&](const NaptrRecord& record) {
    const auto transport = transport_of_service(record);
    return !transport || (secure && *transport != Transport::Tls);
  });
  std::ranges::stable_sort(records, [](const NaptrRecord& a, const NaptrRecord& b) {
    return a.order != b.order ? a.order < b.order : a.preference < b.preference;
  });
  return records;
}

std::string srv_name(Transport transport, const std::string& domain) {
  switch (transport) {
    case Transport::Udp:
      return "_sip._udp." + domain;
    case Transport::Tcp:
      return "_sip._tcp." + domain;
    case Transport::Tls:
      return "_sips._tcp." + domain;
    case Transport::Ws:
    case Transport::Wss:
      break;
  }
  return domain;
}

}  // namespace ringway
