#include "protocol/sip/branch.h"

#include <cstddef>

#include "protocol/base/ascii.h"

namespace ringway::sip {
namespace {

constexpr std::string_view kPrefix = "z9hG4bK-r";

// Lower-case digits only: one branch has one spelling.
std::optional<std::uint64_t> read_hex(std::string_view text) {
  std::uint64_t value = 0;
  for (const char c : text) {
    if (!ascii::is_digit(c) && (c < 'a' || c > 'f')) return std::nullopt;
    const int digit = ascii::is_digit(c) ? c - '0' : c - 'a' + 10;
    value = value << 4 | static_cast<std::uint64_t>(digit);
  }
  return value;
}

}  // namespace

void write_branch(const Branch& branch, Writer& out) {
  out.text(kPrefix).hex(branch.shard, 2).hex(branch.slot & 0xff'ffff, 6);
  out.hex(branch.generation, 8).hex(branch.nonce, 16);
}

std::optional<Branch> parse_branch(std::string_view text) {
  if (text.size() != kBranchBytes || !text.starts_with(kPrefix)) return std::nullopt;
  const auto place = read_hex(text.substr(9, 16));  // shard, slot, generation
  const auto nonce = read_hex(text.substr(25));
  if (!place || !nonce) return std::nullopt;
  Branch out;
  out.shard = static_cast<std::uint8_t>(*place >> 56);
  out.slot = static_cast<std::uint32_t>(*place >> 32) & 0xff'ffff;
  out.generation = static_cast<std::uint32_t>(*place);
  out.nonce = *nonce;
  return out;
}

}  // namespace ringway::sip
