#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/base/writer.h"
#include "protocol/sip/message.h"
#include "protocol/sip/status.h"

// Messages that we originate. Each writes one whole message with Content-Length; the caller checks
// out.overflowed().

namespace ringway::sip {

// What a response repeats of its request may need: the top Via is written with received and
// rport filled in (RFC 3261 18.2.1, RFC 3581 4).
struct ResponseOptions {
  std::string_view reason = {};   // empty: default_reason()
  std::string_view to_tag = {};   // added to To if it has none; empty: no tag (100 only)
  std::string_view top_via = {};  // replaces the first Via value; empty: as it stands
  std::string_view extra = {};    // whole header lines, each with CRLF
};

// A response to request: all Via values, From, To, Call-ID, CSeq, Timestamp for 100
// (RFC 3261 8.2.6). skip_vias: how many Via values from the top are left out (our own, when
// request is the copy that we forwarded).
void write_response(const MessageView& request, Status status, const ResponseOptions& options,
                    Writer& out, std::uint16_t skip_vias = 0);

// ACK for a final response other than 2xx, from the INVITE as it was sent (RFC 3261 17.1.1.3):
// same Request-URI, top Via only, From, Call-ID, Route; To from response; CSeq number with ACK.
void write_ack(const MessageView& invite, const MessageView& response, Writer& out);

// CANCEL for the INVITE as it was sent (RFC 3261 9.1). extra: whole header lines (Reason ...).
void write_cancel(const MessageView& invite, std::string_view extra, Writer& out);

}  // namespace ringway::sip
