#include "gateway/nat/flow_token.h"

#include <array>
#include <cstring>

#include "gateway/config/config.h"
#include "gateway/nat/base64url.h"

namespace ringway {
namespace {

// Layout before base64url: kind and flags 1, then by kind:
//   Network  leg 4
//   others   leg 4, epoch 4, listener 1, user agent 8, then flow 8 or (UDP) family, address, port
// and the signature, 12 bytes. The first character of the text is always 'r'.
static_assert(2 * kListenersMax <= 0xff, "a listener and its twin do not fit a byte");
constexpr std::size_t kSignatureBytes = 12;
constexpr std::size_t kPayloadMax = 1 + 4 + 4 + 1 + 8 + 1 + 16 + 2;

enum Flag : std::uint8_t { kPaired = 4, kMedia = 8, kOutbound = 16, kUdp = 32 };

Bytes write_payload(const FlowToken& token, std::array<std::uint8_t, kPayloadMax>& payload) {
  Writer out(payload);
  std::uint8_t first = static_cast<std::uint8_t>(token.kind);
  if (token.paired) first |= kPaired;
  if (token.media) first |= kMedia;
  if (token.outbound) first |= kOutbound;
  if (token.remote) first |= kUdp;
  std::uint8_t word[8];
  const auto put = [&](std::uint64_t value, std::size_t size) {
    write_u64(word, value);
    out.bytes(Bytes(word).last(size));
  };
  put(first, 1);
  put(token.leg, 4);
  if (token.kind != FlowToken::Kind::Network) {
    put(token.epoch, 4);
    put(token.listener, 1);
    put(token.user_agent, 8);
    if (token.remote) {
      put(token.remote->family() == Family::V6, 1);
      out.bytes(token.remote->address.octets());
      put(token.remote->port, 2);
    } else {
      put(token.flow.value(), 8);
    }
  }
  return out.written();
}

bool read_payload(Bytes payload, FlowToken& token) {
  std::size_t at = 0;
  const auto get = [&](std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = (value << 8) | payload[at + i];
    at += size;
    return value;
  };
  if (payload.size() < 5) return false;
  const auto first = static_cast<std::uint8_t>(get(1));
  token.kind = static_cast<FlowToken::Kind>(first & 3);
  token.paired = first & kPaired;
  token.media = first & kMedia;
  token.outbound = first & kOutbound;
  token.leg = static_cast<std::uint32_t>(get(4));
  if (token.kind == FlowToken::Kind::Network) return payload.size() == at;
  if (payload.size() < at + 14) return false;
  token.epoch = static_cast<std::uint32_t>(get(4));
  token.listener = static_cast<ListenerIndex>(get(1));
  token.user_agent = get(8);
  if (!(first & kUdp)) {
    if (payload.size() != at + 8) return false;
    token.flow = FlowId::from_value(get(8));
    return true;
  }
  Endpoint remote;
  remote.address.family = get(1) != 0 ? Family::V6 : Family::V4;
  const std::size_t address_size = remote.address.octets().size();
  if (payload.size() != at + address_size + 2) return false;
  std::memcpy(remote.address.bytes.data(), payload.data() + at, address_size);
  at += address_size;
  remote.port = static_cast<std::uint16_t>(get(2));
  token.remote = remote;
  return true;
}

// 5 + 12 bytes at least: 23 characters, and the leading letter.
bool has_form(std::string_view text) {
  return text.size() >= 24 && text.size() <= kFlowTokenTextMax && text.front() == 'r';
}

}  // namespace

void write_flow_token(const FlowToken& token, const tls::Mac& mac, std::string_view scope,
                      Writer& out) {
  std::array<std::uint8_t, kPayloadMax> memory;
  const Bytes payload = write_payload(token, memory);
  const tls::MacTag signature = mac.sign({as_bytes("rr"), payload, as_bytes(scope)});
  std::array<std::uint8_t, kPayloadMax + kSignatureBytes> whole;
  Writer both(whole);
  both.bytes(payload).bytes(Bytes(signature).first(kSignatureBytes));
  out.character('r');
  write_base64url(both.written(), out);
}

bool looks_like_flow_token(std::string_view text) {
  return has_form(text) && is_base64url(text);
}

std::optional<FlowToken> read_flow_token(std::string_view text, const tls::Mac& mac,
                                         std::string_view scope) {
  if (!has_form(text)) return std::nullopt;  // its alphabet is checked as it is read
  std::array<std::uint8_t, kPayloadMax + kSignatureBytes> whole;
  const std::size_t size = read_base64url(text.substr(1), whole);
  if (size <= kSignatureBytes) return std::nullopt;
  const Bytes payload = Bytes(whole).first(size - kSignatureBytes);
  const Bytes signature = Bytes(whole).subspan(payload.size(), kSignatureBytes);
  if (!mac.verify(signature, {as_bytes("rr"), payload, as_bytes(scope)})) return std::nullopt;
  FlowToken token;
  if (!read_payload(payload, token)) return std::nullopt;
  return token;
}

std::uint64_t user_agent_hash(const tls::Mac& mac, std::string_view aor,
                              std::string_view instance) {
  const tls::MacTag tag =
      mac.sign({as_bytes("ua"), as_bytes(aor), as_bytes(" "), as_bytes(instance)});
  const std::uint64_t hash = read_u64(tag);
  return hash == 0 ? 1 : hash;
}

}  // namespace ringway
