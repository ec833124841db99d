#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "gateway/admission/fraud_rules.h"
#include "gateway/admission/source_lists.h"
#include "gateway/config/config.h"
#include "gateway/control/conditions.h"
#include "gateway/filter/filter.h"
#include "tls/mac.h"

namespace ringway {

// The scanner signatures that the config asks for; null if the filter is off.
[[nodiscard]] std::expected<std::shared_ptr<const FilterRules>, std::string> make_filter(
    const Config& config);

// Who is never and who is always kept out, block-list files included. Errors name the file, the
// line and what is wrong. First: a list that is empty yet is a doubt only; Next: it would take the
// place of one that is in use, so it is an error.
enum class ListUse : std::uint8_t { First, Next };
[[nodiscard]] std::expected<std::shared_ptr<const SourceLists>, std::string> make_source_lists(
    const Config& config, ListUse use);

// Who may call which numbers how much, prefix files included.
[[nodiscard]] std::expected<std::shared_ptr<const FraudRules>, std::string> make_fraud_rules(
    const Config& config);
// How far local time is ahead of UTC now.
Duration utc_offset();

// The key that signs tokens: from the config's file, or new.
[[nodiscard]] std::expected<tls::MacKey, std::string> make_token_key(const Config& config);

// The first line of admin.token_file; empty if none is named.
[[nodiscard]] std::expected<std::string, std::string> read_admin_token(const Config& config);

// When the certificates in use end; those that cannot be read are left out.
std::vector<CertificateEnd> certificate_ends(const Config& config);

// A TLS listener is named by its certificate (RFC 5922 7.5): names that the config leaves out are
// read from it.
void read_certificate_names(Config& config);

// Every file whose change means a reload.
std::vector<std::string> watched_files(const Config& config);

}  // namespace ringway
