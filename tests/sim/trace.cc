#include "tests/sim/trace.h"

#include <cstdio>

namespace ringway::sim {

void Trace::line(std::string_view who, std::string_view what, std::string_view text) {
  const auto mix = [this](std::uint64_t value) {
    digest_ = (digest_ ^ value) * 0x0000'0100'0000'01b3;
  };
  mix(static_cast<std::uint64_t>(clock_.now().time_since_epoch().count()));
  for (const std::string_view part : {who, what, text}) {
    mix(part.size());
    for (const char c : part) mix(static_cast<std::uint8_t>(c));
  }
  if (!printing_) return;
  const double seconds = std::chrono::duration<double>(clock_.now().time_since_epoch()).count();
  std::fprintf(stderr, "%10.4f  %-12.*s %.*s\n", seconds, static_cast<int>(who.size()), who.data(),
               static_cast<int>(what.size()), what.data());
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view row = text.substr(0, end);
    if (row.ends_with('\r')) row.remove_suffix(1);
    std::fprintf(stderr, "%38s| %.*s\n", "", static_cast<int>(row.size()), row.data());
    text = end == text.npos ? std::string_view{} : text.substr(end + 1);
  }
}

}  // namespace ringway::sim
