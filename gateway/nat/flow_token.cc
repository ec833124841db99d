#include "gateway/nat/flow_token.h"

#include <algorithm>
#include <array>

#include "gateway/config/config.h"
#include "gateway/nat/base64url.h"

namespace ringway {
namespace {

// A token is the letter q and base64url of: signature 12 bytes, payload.
//
// Payload, hidden under the signature; widths in bits, the first field in the highest bits:
//
//   kind 2 | paired 1 | media (Path, Contact: outbound) 1 | udp 1 | ipv6 1 | listener's higher 2
//   leg 16                                                      Network and Access
//   node 4 | relay 4                                            from here on all but Network
//   shard 8
//   epoch 16
//   listener's lower 6 | next hop 6 | day 4
//   user agent 48
//   flow: slot 24, generation 32; or, udp: address 32 or 128, port 16
//   access profile 3 | network profile 3 | far end 26           Access
//
//   kind      bytes of payload         characters in all
//   Network   3                        21
//   Access    26 (udp: 25, ipv6 37)    52 (51, 67)
//   Path      20 (udp: 19, ipv6 31)    44 (43, 59)
//   Contact   as Path
//
// The signature covers a prefix, the payload as it reads (kind included) and the scope. A prefix
// stands in front of the payload in memory, so that both are the fields that are signed.
static_assert(kListenerPlacesMax <= 0xff, "a listener does not fit");
constexpr std::size_t kSignatureBytes = 12;
constexpr std::size_t kPayloadMax = 37;
constexpr char kLetter = 'q', kOldLetter = 'r';
constexpr std::string_view kPrefix = "rt3";
static_assert(kPrefix.size() + kPayloadMax <= tls::Mac::kFieldBytesMax);
constexpr unsigned kNoListenerBits = 0xff, kNoNextHopBits = 0x3f;
constexpr unsigned kFarEndBits = kFarEndHashBits, kFarEndMask = (1U << kFarEndBits) - 1;

enum Flag : std::uint8_t { kPaired = 32, kMedia = 16, kOutbound = 16, kUdp = 8, kIpv6 = 4 };

bool is_record_route(FlowToken::Kind kind) {
  return kind == FlowToken::Kind::Network || kind == FlowToken::Kind::Access;
}

void put(Writer& out, std::uint64_t value, std::size_t size) {
  std::uint8_t word[8];
  write_u64(word, value);
  out.bytes(Bytes(word).last(size));
}

Bytes write_payload(const FlowToken& token, MutableBytes payload) {
  Writer out(payload);
  const unsigned listener = token.listener < kNoListenerBits ? token.listener : kNoListenerBits;
  unsigned first = static_cast<unsigned>(token.kind) << 6;
  if (token.paired) first |= kPaired;
  if (is_record_route(token.kind) ? token.media : token.outbound) first |= kMedia;
  if (token.remote) first |= kUdp;
  if (token.remote && token.remote->family() == Family::V6) first |= kIpv6;
  if (token.kind != FlowToken::Kind::Network) first |= listener >> 6;
  put(out, first, 1);
  if (is_record_route(token.kind)) put(out, token.leg, 2);
  if (token.kind == FlowToken::Kind::Network) return out.written();
  const unsigned next_hop = token.next_hop < kNoNextHopBits ? token.next_hop : kNoNextHopBits;
  put(out, (token.node & 15U) << 4 | (token.relay & 15U), 1);
  put(out, token.flow ? token.flow.shard() : token.shard, 1);
  put(out, token.epoch, 2);
  put(out, (listener & 0x3f) << 10 | next_hop << 4 | (token.day & 15U), 2);
  put(out, token.user_agent, 6);
  if (token.remote) {
    out.bytes(token.remote->address.octets());
    put(out, token.remote->port, 2);
  } else {
    put(out, token.flow.value(), 7);  // its shard stands above
  }
  if (token.kind == FlowToken::Kind::Access) {
    const unsigned profiles = (token.access_profile & 7U) << 3 | (token.network_profile & 7U);
    put(out, profiles << kFarEndBits | (token.far_end & kFarEndMask), 4);
  }
  return out.written();
}

// Takes bytes from the front; what is not there reads as zero and is told by complete().
class Reader {
 public:
  explicit Reader(Bytes bytes) : rest_(bytes) {}
  std::uint64_t take(std::size_t size) {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : take_bytes(size)) value = (value << 8) | byte;
    return value;
  }
  Bytes take_bytes(std::size_t size) {
    if (size > rest_.size()) {
      short_ = true;
      rest_ = {};
      return {};
    }
    const Bytes taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  bool complete() const { return !short_ && rest_.empty(); }

 private:
  Bytes rest_;
  bool short_ = false;
};

bool read_payload(Bytes payload, FlowToken& token) {
  Reader in(payload);
  const auto first = static_cast<std::uint8_t>(in.take(1));
  token.kind = static_cast<FlowToken::Kind>(first >> 6);
  token.paired = (first & kPaired) != 0;
  const bool record_route = is_record_route(token.kind);
  token.media = record_route && (first & kMedia) != 0;
  token.outbound = !record_route && (first & kOutbound) != 0;
  if (record_route) token.leg = static_cast<std::uint16_t>(in.take(2));
  if (token.kind == FlowToken::Kind::Network) return in.complete();
  const auto edge = static_cast<std::uint8_t>(in.take(1));
  token.node = edge >> 4;
  token.relay = edge & 15;
  token.shard = static_cast<std::uint8_t>(in.take(1));
  token.epoch = static_cast<std::uint16_t>(in.take(2));
  const auto places = static_cast<unsigned>(in.take(2));
  const unsigned listener = (first & 3U) << 6 | places >> 10;
  const unsigned next_hop = places >> 4 & 0x3f;
  token.listener = listener == kNoListenerBits ? kNoListener : static_cast<ListenerIndex>(listener);
  token.next_hop =
      next_hop == kNoNextHopBits ? FlowToken::kNoNextHop : static_cast<std::uint16_t>(next_hop);
  token.day = places & 15;
  token.user_agent = in.take(6);
  if ((first & kUdp) != 0) {
    Endpoint remote;
    remote.address.family = (first & kIpv6) != 0 ? Family::V6 : Family::V4;
    const Bytes octets = in.take_bytes(remote.address.octets().size());
    std::copy(octets.begin(), octets.end(), remote.address.bytes.begin());
    remote.port = static_cast<std::uint16_t>(in.take(2));
    token.remote = remote;
  } else if (const std::uint64_t place = in.take(7); place != 0) {
    token.flow = FlowId::from_value(std::uint64_t{token.shard} << 56 | place);
  }
  if (token.kind == FlowToken::Kind::Access) {
    const auto last = static_cast<std::uint32_t>(in.take(4));
    token.access_profile = static_cast<std::uint8_t>(last >> (kFarEndBits + 3));
    token.network_profile = last >> kFarEndBits & 7;
    token.far_end = last & kFarEndMask;
  }
  return in.complete();
}

// 3 + 12 bytes at least: 20 characters, and the leading letter.
bool has_form(std::string_view text) {
  return text.size() >= 21 && text.size() <= kFlowTokenTextMax && text.front() == kLetter;
}

std::string_view scope_of(FlowToken::Kind kind, std::string_view scope) {
  return kind == FlowToken::Kind::Path ? std::string_view{} : scope;
}

}  // namespace

void write_flow_token(const FlowToken& token, const tls::Mac& mac, std::string_view scope,
                      Writer& out) {
  std::array<std::uint8_t, kPrefix.size() + kPayloadMax> memory;
  std::copy(kPrefix.begin(), kPrefix.end(), memory.begin());
  const std::size_t size =
      write_payload(token, MutableBytes(memory).subspan(kPrefix.size())).size();
  const tls::MacTag signature = mac.sign_fields(Bytes(memory).first(kPrefix.size() + size),
                                                as_bytes(scope_of(token.kind, scope)));
  const MutableBytes payload = MutableBytes(memory).subspan(kPrefix.size(), size);
  mac.hide(payload, signature);
  std::array<std::uint8_t, kPayloadMax + kSignatureBytes> whole;
  Writer both(whole);
  both.bytes(Bytes(signature).first(kSignatureBytes)).bytes(payload);
  out.character(kLetter);
  write_base64url(both.written(), out);
}

bool looks_like_flow_token(std::string_view text) {
  return has_form(text) && is_base64url(text);
}

bool looks_like_old_flow_token(std::string_view text) {
  const std::size_t size = text.size();
  return (size == 24 || size == 51 || size == 52 || size == 67) && text.front() == kOldLetter &&
         is_base64url(text);
}

std::optional<FlowToken> read_flow_token(std::string_view text, const tls::Mac& mac,
                                         std::string_view scope) {
  if (!has_form(text)) return std::nullopt;  // its alphabet is checked as it is read
  std::array<std::uint8_t, kPayloadMax + kSignatureBytes> whole;
  const std::size_t size = read_base64url(text.substr(1), whole);
  if (size <= kSignatureBytes) return std::nullopt;
  std::array<std::uint8_t, kSignatureBytes> signature;
  std::copy_n(whole.begin(), kSignatureBytes, signature.begin());
  const MutableBytes payload = MutableBytes(whole).subspan(kSignatureBytes, size - kSignatureBytes);
  mac.hide(payload, signature);
  const auto kind = static_cast<FlowToken::Kind>(payload[0] >> 6);
  const MutableBytes fields = MutableBytes(whole).subspan(kSignatureBytes - kPrefix.size(),
                                                          kPrefix.size() + payload.size());
  std::copy(kPrefix.begin(), kPrefix.end(), fields.begin());
  if (!mac.verify_fields(signature, fields, as_bytes(scope_of(kind, scope)))) return std::nullopt;
  FlowToken token;
  if (!read_payload(payload, token)) return std::nullopt;
  return token;
}

bool is_stale(std::uint8_t day, std::uint64_t today) {
  constexpr std::uint64_t kDaysMax = 13;
  return ((today - day) & 15) > kDaysMax;
}

std::uint64_t user_agent_hash(const tls::Mac& mac, std::string_view aor,
                              std::string_view instance) {
  const tls::MacTag tag =
      mac.sign({as_bytes("ua"), as_bytes(aor), as_bytes(" "), as_bytes(instance)});
  const std::uint64_t hash = read_u64(tag) >> 16;
  return hash == 0 ? 1 : hash;
}

}  // namespace ringway
