#pragma once

#include <cstdint>

namespace ringway {

// Whose calls they are: the account that a next hop has granted to the user agent that makes or
// takes them. A call keeps it, whatever becomes of the binding.
struct Account {
  std::uint64_t aor = 0;  // its address-of-record, keyed by its group of next hops; 0: a guest
  std::uint64_t key = 0;  // what its calls are counted by
  explicit operator bool() const { return aor != 0; }
};

}  // namespace ringway
