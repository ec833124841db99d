#pragma once

#include "protocol/base/time.h"
#include "protocol/sip/message.h"

namespace ringway {

// RFC 4028 8.3: when the session ends that a 2xx to INVITE or UPDATE has granted at now, kNever if
// it grants none or says nothing that can be read. Past this moment a proxy forgets the session; it
// does not send a BYE.
Instant session_end(const sip::MessageView& response, Instant now);

}  // namespace ringway
