#include "tls/random.h"

#include <openssl/rand.h>

#include <algorithm>
#include <climits>
#include <cstdlib>

namespace ringway::tls {

void fill_random(MutableBytes memory) {
  while (!memory.empty()) {
    const std::size_t size = std::min<std::size_t>(memory.size(), INT_MAX);
    if (RAND_priv_bytes(memory.data(), static_cast<int>(size)) != 1) std::abort();
    memory = memory.subspan(size);
  }
}

}  // namespace ringway::tls
