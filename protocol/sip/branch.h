#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/base/writer.h"

namespace ringway::sip {

// The branch that we write into our own Via: it names the client transaction by itself.
//   z9hG4bK-r<shard:2><slot:6><generation:8><nonce:16>   (lower-case hex)
// The nonce is random for each client transaction; a response counts only if it repeats it.
struct Branch {
  std::uint8_t shard = 0;
  std::uint32_t slot = 0;  // below 2^24
  std::uint32_t generation = 0;
  std::uint64_t nonce = 0;
  friend bool operator==(const Branch&, const Branch&) = default;
};

inline constexpr std::size_t kBranchBytes = 7 + 2 + 32;

void write_branch(const Branch& branch, Writer& out);
// nullopt: not one of ours.
std::optional<Branch> parse_branch(std::string_view text);

}  // namespace ringway::sip
