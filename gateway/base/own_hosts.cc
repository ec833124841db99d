#include "gateway/base/own_hosts.h"

#include <algorithm>

#include "protocol/base/ascii.h"

namespace ringway {
namespace {

// "gateway.example.org." is the same name (RFC 1034 3.1).
std::string_view without_root(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return name;
}

}  // namespace

bool OwnHosts::has(std::string_view host, const Address& local) const {
  if (host.empty()) return true;
  if (const auto address = parse_address(host)) {
    if (*address == local || address->is_loopback()) return true;
    if (local.is_any() && !address->is_any()) return true;
    return std::ranges::any_of(
        names_, [&](const std::string& name) { return parse_address(name) == address; });
  }
  const std::string_view name = without_root(host);
  if (ascii::equal_ignoring_case(name, "localhost")) return true;
  return std::ranges::any_of(names_, [&](const std::string& own) {
    return ascii::equal_ignoring_case(without_root(own), name);
  });
}

}  // namespace ringway
