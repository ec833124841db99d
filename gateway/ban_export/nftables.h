#pragma once

#include <expected>
#include <memory>
#include <string>

namespace ringway::ban_export {

// The kernel's nf_tables, by libnftables.
class Nftables {
 public:
  // Gives up everything but the right to change the network's filters (CAP_NET_ADMIN), becomes
  // user if it is root and user is not empty, and opens libnftables.
  // Errors: what is missing and what to do, one line.
  static std::expected<Nftables, std::string> open(const std::string& user);

  Nftables(Nftables&&) noexcept;
  Nftables& operator=(Nftables&&) noexcept;
  ~Nftables();

  // Commands as nft -f reads them: one transaction. Errors: libnftables' own words.
  std::expected<void, std::string> run(const std::string& commands);

 private:
  struct Context;
  explicit Nftables(std::unique_ptr<Context> context);
  std::unique_ptr<Context> context_;
};

}  // namespace ringway::ban_export
