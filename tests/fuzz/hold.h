#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace ringway::fuzz {

// Ends the process where a promise is broken; more: the input that broke it.
inline void hold(bool promise, const char* text, std::string_view more = "") {
  if (promise) return;
  std::fprintf(stderr, "broken: %s\n%.*s\n", text, static_cast<int>(more.size()), more.data());
  std::abort();
}

}  // namespace ringway::fuzz
