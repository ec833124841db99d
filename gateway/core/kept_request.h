#pragma once

#include "gateway/core/response_context.h"
#include "protocol/sip/message.h"
#include "protocol/sip/validate.h"

namespace ringway {

// Reads the request that a context keeps once more. False: it cannot be read, which only one of our
// own could be. view and essentials live as long as the context.
[[nodiscard]] bool read_kept(const ResponseContext& context, sip::MessageView& view,
                             sip::Essentials& essentials);

}  // namespace ringway
