#pragma once

#include <cstddef>
#include <string_view>

#include "gateway/base/buffer_pool.h"
#include "gateway/call/party.h"
#include "protocol/sip/message.h"

// What a message says of the dialog that it makes or refreshes, copied for later requests of ours
// (RFC 3261 12.1). An empty reference: it says nothing of it, or there is no buffer.

namespace ringway {

// The URI of the first Contact, which is where later requests towards its sender go.
BufferRef copy_remote_target(const sip::MessageView& message, BufferPool& buffers);

// The Route lines of a request towards the caller: the Record-Routes of its INVITE in their order
// (RFC 3261 12.1.1).
BufferRef copy_caller_routes(const sip::MessageView& invite, BufferPool& buffers);

// The Route lines of a request towards the callee: of the Record-Routes of its response those
// above ours (their number is beyond), in reverse (RFC 3261 12.1.2).
BufferRef copy_callee_routes(const sip::MessageView& response, std::size_t beyond,
                             BufferPool& buffers);

// The Route lines of a request as they stand, without the first own values.
BufferRef copy_route_lines(const sip::MessageView& request, std::size_t own, BufferPool& buffers);

}  // namespace ringway
