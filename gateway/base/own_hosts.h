#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/endpoint.h"

namespace ringway {

// The hosts by which an HTTP server for administrators may be asked.
//
// A page of somebody else can let its own name resolve to an address of ours (DNS rebinding). A
// browser then takes what we answer for the page's own, and lets it read that; but it still says
// the page's name in Host. So a name counts only if it is "localhost" or one of those given here.
// A numeric address is no name: the page would have to come from us.
class OwnHosts {
 public:
  OwnHosts() = default;
  // names: host names, and addresses that are translated to ours.
  explicit OwnHosts(std::vector<std::string> names) : names_(std::move(names)) {}

  // host: of Host or of an absolute target, without a port, IPv6 in brackets. Empty (HTTP/1.0
  // without Host): no browser, so yes. local: the address that was asked; the unspecified one:
  // nobody knows which, so every numeric address is ours.
  bool has(std::string_view host, const Address& local) const;

 private:
  std::vector<std::string> names_;
};

}  // namespace ringway
