#pragma once

#include <string_view>

#include "gateway/base/buffer_pool.h"
#include "gateway/call/call.h"
#include "gateway/call/dialog.h"

namespace ringway {

// Writes the BYE that ends dialog towards one side, in the name of the other (RFC 3261 15.1.1,
// 12.2.1.1): its Contact as Request-URI, its Route set, a CSeq above all that the other has used.
// There is no Via yet. cause and text say why (RFC 3326); text is plain words without quotes.
//
// Empty: that side has not named a Contact (an early dialog without one), or there is no buffer.
BufferRef write_bye(const Call& call, Dialog& dialog, Party towards, sip::Status cause,
                    std::string_view text, BufferPool& buffers);

}  // namespace ringway
