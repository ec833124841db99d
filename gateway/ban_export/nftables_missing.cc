#include "gateway/ban_export/nftables.h"

// For a build without libnftables.

namespace ringway::ban_export {

struct Nftables::Context {};

Nftables::Nftables(std::unique_ptr<Context> context) : context_(std::move(context)) {}
Nftables::Nftables(Nftables&&) noexcept = default;
Nftables& Nftables::operator=(Nftables&&) noexcept = default;
Nftables::~Nftables() = default;

std::expected<Nftables, std::string> Nftables::open(const std::string&) {
  return std::unexpected(
      "this program was built without libnftables: install libnftables-dev and libcap-ng-dev, and "
      "build it again");
}

std::expected<void, std::string> Nftables::run(const std::string&) {
  return std::unexpected("built without libnftables");
}

}  // namespace ringway::ban_export
