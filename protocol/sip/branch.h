#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/base/keyed_hash.h"
#include "protocol/base/writer.h"

namespace ringway::sip {

// The branch that we write into our own Via: it names the client transaction by itself.
//
//   z9hG4bK-r  shard 8 bits | slot 24 | generation 32 | loop hash 32 | nonce 64
//
// the numbers in 32 characters of base 32 (a to z, 2 to 7), highest bits first. The nonce is a
// keyed hash of the others, so nobody can make a branch that he has not seen, and every shard that
// has the key knows one of ours before it looks anything up.
struct Branch {
  std::uint8_t shard = 0;
  std::uint32_t slot = 0;  // below 2^24
  std::uint32_t generation = 0;
  std::uint32_t loop_hash = 0;  // of the request that carries it (RFC 5393 4.2)
  friend bool operator==(const Branch&, const Branch&) = default;
};

inline constexpr std::size_t kBranchBytes = 7 + 2 + 32;

// key: secret, the same on all shards, another one after a restart.
void write_branch(const Branch& branch, const HashKey& key, Writer& out);
// nullopt: not one of ours, under that key.
std::optional<Branch> parse_branch(std::string_view text, const HashKey& key);

}  // namespace ringway::sip
