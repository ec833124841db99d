#include "gateway/ban_export/nftables.h"

#include <cap-ng.h>
#include <nftables/libnftables.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace ringway::ban_export {
namespace {

std::expected<void, std::string> keep_one_right(const std::string& user) {
  const bool is_root = geteuid() == 0;
  if (!capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN)) {
    return std::unexpected(
        "it may not change the network's filters: start it as root, or by its unit with "
        "AmbientCapabilities=CAP_NET_ADMIN");
  }
  capng_clear(CAPNG_SELECT_ALL);
  capng_update(CAPNG_ADD, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED),
               CAP_NET_ADMIN);
  int failed = 0;
  if (is_root && !user.empty()) {
    const passwd* entry = getpwnam(user.c_str());
    if (!entry) return std::unexpected("there is no user \"" + user + "\"");
    failed =
        capng_change_id(static_cast<int>(entry->pw_uid), static_cast<int>(entry->pw_gid),
                        static_cast<capng_flags_t>(CAPNG_INIT_SUPP_GRP | CAPNG_CLEAR_BOUNDING));
  } else {
    failed = capng_apply(is_root ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS);
  }
  if (failed != 0) return std::unexpected("its other rights could not be given up");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return std::unexpected("no_new_privs is refused");
  }
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  return {};
}

}  // namespace

struct Nftables::Context {
  nft_ctx* nft = nft_ctx_new(NFT_CTX_DEFAULT);
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() {
    if (nft) nft_ctx_free(nft);
  }
};

Nftables::Nftables(std::unique_ptr<Context> context) : context_(std::move(context)) {}
Nftables::Nftables(Nftables&&) noexcept = default;
Nftables& Nftables::operator=(Nftables&&) noexcept = default;
Nftables::~Nftables() = default;

std::expected<Nftables, std::string> Nftables::open(const std::string& user) {
  if (const auto kept = keep_one_right(user); !kept) return std::unexpected(kept.error());
  auto context = std::make_unique<Context>();
  if (!context->nft) return std::unexpected("libnftables cannot be opened");
  nft_ctx_buffer_output(context->nft);
  nft_ctx_buffer_error(context->nft);
  return Nftables(std::move(context));
}

std::expected<void, std::string> Nftables::run(const std::string& commands) {
  if (nft_run_cmd_from_buffer(context_->nft, commands.c_str()) == 0) return {};
  std::string text(nft_ctx_get_error_buffer(context_->nft));
  text.resize(std::min(text.find('\n'), text.size()));
  return std::unexpected(text.empty() ? "nft refuses it" : text);
}

}  // namespace ringway::ban_export
