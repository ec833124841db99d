#include "protocol/sip/branch.h"

#include <array>
#include <cstddef>

#include "protocol/base/bytes.h"

namespace ringway::sip {
namespace {

constexpr std::string_view kPrefix = "z9hG4bK-r";
constexpr std::size_t kFieldBytes = 12, kNonceBytes = 8;
constexpr std::string_view kDigits = "abcdefghijklmnopqrstuvwxyz234567";
using Octets = std::array<std::uint8_t, kFieldBytes + kNonceBytes>;

// Bytes of five make eight characters.
void write_base32(const Octets& octets, Writer& out) {
  for (std::size_t at = 0; at < octets.size(); at += 5) {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < 5; ++i) bits = bits << 8 | octets[at + i];
    for (int shift = 35; shift >= 0; shift -= 5) out.character(kDigits[bits >> shift & 31]);
  }
}

// Lower case only: one branch has one spelling.
bool read_base32(std::string_view text, Octets& octets) {
  for (std::size_t at = 0; at < octets.size(); at += 5) {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      const char c = text[at / 5 * 8 + i];
      if (c >= 'a' && c <= 'z') {
        bits = bits << 5 | static_cast<std::uint64_t>(c - 'a');
      } else if (c >= '2' && c <= '7') {
        bits = bits << 5 | static_cast<std::uint64_t>(c - '2' + 26);
      } else {
        return false;
      }
    }
    for (std::size_t i = 0; i < 5; ++i) {
      octets[at + i] = static_cast<std::uint8_t>(bits >> (32 - 8 * i));
    }
  }
  return true;
}

std::uint64_t nonce_of(const Octets& octets, const HashKey& key) {
  return keyed_hash(key, Bytes(octets).first(kFieldBytes));
}

}  // namespace

void write_branch(const Branch& branch, const HashKey& key, Writer& out) {
  Octets octets;
  const MutableBytes fields(octets);
  write_u32(fields, std::uint32_t{branch.shard} << 24 | (branch.slot & 0xff'ffff));
  write_u32(fields.subspan(4), branch.generation);
  write_u32(fields.subspan(8), branch.loop_hash);
  write_u64(fields.subspan(kFieldBytes), nonce_of(octets, key));
  out.text(kPrefix);
  write_base32(octets, out);
}

std::optional<Branch> parse_branch(std::string_view text, const HashKey& key) {
  if (text.size() != kBranchBytes || !text.starts_with(kPrefix)) return std::nullopt;
  Octets octets;
  if (!read_base32(text.substr(kPrefix.size()), octets)) return std::nullopt;
  const Bytes fields(octets);
  if (read_u64(fields.subspan(kFieldBytes)) != nonce_of(octets, key)) return std::nullopt;
  Branch out;
  out.shard = octets[0];
  out.slot = read_u32(fields) & 0xff'ffff;
  out.generation = read_u32(fields.subspan(4));
  out.loop_hash = read_u32(fields.subspan(8));
  return out;
}

}  // namespace ringway::sip
