#include "protocol/stun/binding.h"

#include <algorithm>
#include <string_view>

namespace ringway::stun {
namespace {

constexpr std::size_t kHeaderBytes = 20;
constexpr std::uint32_t kMagicCookie = 0x2112a442;

constexpr std::uint16_t kBindingRequest = 0x0001;
constexpr std::uint16_t kBindingSuccess = 0x0101;
constexpr std::uint16_t kBindingError = 0x0111;

constexpr std::uint16_t kErrorCode = 0x0009;
constexpr std::uint16_t kUnknownAttributes = 0x000a;
constexpr std::uint16_t kXorMappedAddress = 0x0020;

// Types below this one must be understood (RFC 8489 14).
constexpr std::uint16_t kComprehensionOptional = 0x8000;

std::size_t padded(std::size_t size) {
  return (size + 3) & ~std::size_t{3};
}

// What RFC 8489 18.3.1 defines is known. Nothing of it changes the answer: credentials are not
// asked for, and the rest belongs into responses.
bool is_known(std::uint16_t type) {
  switch (type) {
    case 0x0001:  // MAPPED-ADDRESS
    case 0x0006:  // USERNAME
    case 0x0008:  // MESSAGE-INTEGRITY
    case kErrorCode:
    case kUnknownAttributes:
    case 0x0014:  // REALM
    case 0x0015:  // NONCE
    case 0x001c:  // MESSAGE-INTEGRITY-SHA256
    case 0x001d:  // PASSWORD-ALGORITHM
    case 0x001e:  // USERHASH
    case kXorMappedAddress:
      return true;
    default:
      return false;
  }
}

void note_unknown(std::uint16_t type, BindingRequest& request) {
  const auto noted = request.unknown_attributes();
  if (std::find(noted.begin(), noted.end(), type) != noted.end()) return;
  if (request.unknown_count == kUnknownAttributesMax) return;
  request.unknown[request.unknown_count++] = type;
}

void write_u16_to(Writer& writer, std::size_t value) {
  std::array<std::uint8_t, 2> bytes;
  write_u16(bytes, static_cast<std::uint16_t>(value));
  writer.bytes(bytes);
}

void write_padding(Writer& writer, std::size_t size) {
  for (std::size_t i = size; i < padded(size); ++i) writer.character('\0');
}

void write_header(std::uint16_t type, std::size_t attributes_size, const BindingRequest& request,
                  Writer& writer) {
  std::array<std::uint8_t, 4> cookie;
  write_u32(cookie, kMagicCookie);
  write_u16_to(writer, type);
  write_u16_to(writer, attributes_size);
  writer.bytes(cookie).bytes(request.transaction_id);
}

// XOR-MAPPED-ADDRESS, RFC 8489 14.2.
void write_success(const BindingRequest& request, const SourceAddress& source, Writer& writer) {
  std::array<std::uint8_t, 16> key;  // the cookie, then the transaction id
  write_u32(key, kMagicCookie);
  std::copy(request.transaction_id.begin(), request.transaction_id.end(), key.begin() + 4);

  const std::size_t ip_size = source.family == Family::Ipv4 ? 4 : 16;
  std::array<std::uint8_t, 16> ip;
  for (std::size_t i = 0; i < ip_size; ++i) {
    ip[i] = static_cast<std::uint8_t>(source.bytes[i] ^ key[i]);
  }
  write_header(kBindingSuccess, 4 + 4 + ip_size, request, writer);
  write_u16_to(writer, kXorMappedAddress);
  write_u16_to(writer, 4 + ip_size);
  write_u16_to(writer, static_cast<std::uint16_t>(source.family));
  write_u16_to(writer, source.port ^ (kMagicCookie >> 16));
  writer.bytes(Bytes{ip}.first(ip_size));
}

// ERROR-CODE 420 and UNKNOWN-ATTRIBUTES, RFC 8489 6.3.1, 14.8, 14.13.
void write_unknown_attributes(const BindingRequest& request, Writer& writer) {
  constexpr std::string_view kReason = "Unknown Attribute";
  constexpr std::size_t kErrorSize = 4 + kReason.size();
  const std::size_t list_size = 2 * request.unknown_count;
  write_header(kBindingError, 4 + padded(kErrorSize) + 4 + padded(list_size), request, writer);
  write_u16_to(writer, kErrorCode);
  write_u16_to(writer, kErrorSize);
  write_u16_to(writer, 0);
  write_u16_to(writer, 4 << 8 | 20);  // class and number of 420
  writer.text(kReason);
  write_padding(writer, kErrorSize);
  write_u16_to(writer, kUnknownAttributes);
  write_u16_to(writer, list_size);
  for (const std::uint16_t type : request.unknown_attributes()) write_u16_to(writer, type);
  write_padding(writer, list_size);
}

}  // namespace

bool is_stun(Bytes datagram) {
  if (datagram.size() < kHeaderBytes || datagram[0] > 1) return false;
  const std::size_t attributes_size = read_u16(datagram.subspan(2));
  return read_u32(datagram.subspan(4)) == kMagicCookie && attributes_size % 4 == 0 &&
         attributes_size == datagram.size() - kHeaderBytes;
}

std::optional<BindingRequest> parse_binding_request(Bytes datagram) {
  if (!is_stun(datagram) || read_u16(datagram) != kBindingRequest) return std::nullopt;
  BindingRequest request;
  std::copy_n(datagram.begin() + 8, request.transaction_id.size(), request.transaction_id.begin());

  Bytes attributes = datagram.subspan(kHeaderBytes);
  while (!attributes.empty()) {
    if (attributes.size() < 4) return std::nullopt;
    const std::uint16_t type = read_u16(attributes);
    const std::size_t size = 4 + padded(read_u16(attributes.subspan(2)));
    if (size > attributes.size()) return std::nullopt;
    if (type < kComprehensionOptional && !is_known(type)) note_unknown(type, request);
    attributes = attributes.subspan(size);
  }
  return request;
}

void write_binding_response(const BindingRequest& request, const SourceAddress& source,
                            Writer& writer) {
  if (request.unknown_count == 0) {
    write_success(request, source, writer);
  } else {
    write_unknown_attributes(request, writer);
  }
}

}  // namespace ringway::stun
