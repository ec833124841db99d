#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gateway/base/random.h"
#include "gateway/base/transport.h"
#include "protocol/base/bytes.h"

namespace ringway {

// RFC 2782: one SRV record. RFC 3403: one NAPTR record.
struct SrvRecord {
  std::uint16_t priority = 0, weight = 0, port = 0;
  std::string target;
};
struct NaptrRecord {
  std::uint16_t order = 0, preference = 0;
  std::string flags, service, replacement;
};

// The order in which targets are tried: priorities ascending, within one each drawn in proportion
// to its weight (RFC 2782, "Usage rules").
std::vector<SrvRecord> order_srv(std::vector<SrvRecord> records, Random& random);

// The transport a NAPTR service stands for (SIP+D2U, SIP+D2T, SIPS+D2T), if it is one of ours.
std::optional<Transport> transport_of_service(const NaptrRecord& record);

// The usable records in order of preference (RFC 3263 4.1); secure leaves out what is not TLS.
std::vector<NaptrRecord> order_naptr(std::vector<NaptrRecord> records, bool secure);

// The smallest TTL among the answers of a DNS message (RFC 1035 4.1), in seconds; otherwise if
// there is none or the message is torn. Stops at the end of message whatever its counts say.
std::uint32_t smallest_ttl(Bytes message, std::uint32_t otherwise);

// "_sip._udp.example.org"
std::string srv_name(Transport transport, const std::string& domain);

}  // namespace ringway
