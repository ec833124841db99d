#include "gateway/control/rfc3263.h"

#include <algorithm>

#include "protocol/base/ascii.h"

namespace ringway {
namespace {

// What lies behind a name: labels up to an empty one or to a pointer. Empty if it is torn.
Bytes behind_name(Bytes message) {
  while (!message.empty()) {
    const std::size_t length = message[0];
    if (length == 0) return message.subspan(1);
    if (length >= 0xc0) return message.size() > 2 ? message.subspan(2) : Bytes{};
    if (length + 1 >= message.size()) break;
    message = message.subspan(length + 1);
  }
  return {};
}

}  // namespace

std::uint32_t smallest_ttl(Bytes message, std::uint32_t otherwise) {
  constexpr std::size_t kHeader = 12, kQuestion = 4, kRecord = 10;
  if (message.size() < kHeader) return otherwise;
  const std::uint16_t questions = read_u16(message.subspan(4));
  const std::uint16_t answers = read_u16(message.subspan(6));
  Bytes rest = message.subspan(kHeader);
  for (std::uint16_t i = 0; i < questions; ++i) {
    rest = behind_name(rest);
    if (rest.size() < kQuestion) return otherwise;
    rest = rest.subspan(kQuestion);
  }
  std::optional<std::uint32_t> smallest;
  for (std::uint16_t i = 0; i < answers; ++i) {
    rest = behind_name(rest);
    if (rest.size() < kRecord) return otherwise;
    const std::uint32_t ttl = read_u32(rest.subspan(4));
    const std::size_t data = read_u16(rest.subspan(8));
    if (rest.size() - kRecord < data) return otherwise;
    rest = rest.subspan(kRecord + data);
    smallest = std::min(smallest.value_or(ttl), ttl);
  }
  return smallest.value_or(otherwise);
}

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
