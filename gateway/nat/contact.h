#pragma once

#include <optional>
#include <string_view>

#include "gateway/nat/flow_token.h"
#include "gateway/nat/own_uris.h"
#include "protocol/base/writer.h"
#include "protocol/sip/limits.h"
#include "protocol/sip/uri.h"
#include "tls/mac.h"

namespace ringway {

// A Contact that points at us, for next hops that know no Path: the user part stays, host and
// port are ours, and what they replaced travels inside, so that the inverse needs no memory:
//
//   sip:alice@xyz.invalid;transport=ws  ->  sip:alice@192.0.2.1:5060;rwc=TOKEN;rwo=BASE64URL
//
// The signature covers user and original, so an alias cannot be pointed at another one.

// Writes the alias of contact (a sip or sips URI without headers). False, and nothing written, if
// it would be longer than a URI may be: such a Contact stays as it is.
[[nodiscard]] bool write_contact_alias(const sip::Uri& contact, const FlowToken& token,
                                       ListenerIndex listener, const OwnUris& own,
                                       const tls::Mac& mac, Writer& out);

struct ContactAlias {
  bool refused = false;   // looks like ours and is not: forged or changed
  bool outdated = false;  // of a form that is not written any more
  std::string_view uri;   // the original, byte for byte; lives in scratch
  FlowToken token;
};
// nullopt: no alias of ours.
std::optional<ContactAlias> undo_contact_alias(const sip::Uri& uri, const OwnUris& own,
                                               const tls::Mac& mac, Writer& scratch);

}  // namespace ringway
