#pragma once

#include "gateway/config/config.h"
#include "gateway/config/validate_peers.h"

namespace ringway {

// What a listener compares with an upgrade (RFC 6455 4.2.2): entries that no request could ever
// equal are mistakes.
void validate_web(const ListenConfig& listen, const std::string& path, const AddMistake& add);
// The same for the admin address.
void validate_admin_names(const AdminConfig& admin, const AddMistake& add);

}  // namespace ringway
