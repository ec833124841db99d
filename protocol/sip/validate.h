#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/sip/header_values.h"
#include "protocol/sip/message.h"
#include "protocol/sip/status.h"
#include "protocol/sip/uri.h"
#include "protocol/sip/via.h"

namespace ringway::sip {

// What a proxy has to say of a message before it handles it. status 0: fine.
struct Verdict {
  Status status = 0;
  std::string_view reason;  // short text for the reason phrase and the log; static
  bool answerable =
      true;  // false: what a response needs (Via, From, To, Call-ID, CSeq) is not there
  bool ok() const { return status == 0; }
};

// What the check reads anyway and a proxy needs next, so that nothing is parsed twice. Views into
// the message's text. If the verdict is not ok only via may be used, for the answer: its text is
// empty if the top Via could not be read, and the answer goes to where the request came from.
struct Essentials {
  Via via;  // the top one
  CSeq cseq;
  std::string_view call_id;
  std::string_view from_tag, to_tag;          // empty if there is none (RFC 2543)
  std::optional<std::uint32_t> max_forwards;  // requests only
  Uri request_uri;                            // requests only
};

// RFC 3261 16.3 item 1 (syntax of what a proxy uses), 8.1.1 (mandatory headers, each once), 20.42,
// CSeq method match, URI scheme (416: sip, sips, tel, urn, im and pres pass), Content-Length, SIP
// version. Max-Forwards, Proxy-Require and loops are policy and are checked by the core. Outcomes
// for the messages of RFC 4475 and RFC 5118 are listed in tests/corpus.
Verdict validate_request(const MessageView& request);
Verdict validate_request(const MessageView& request, Essentials& out);

// For a response every verdict but ok means: drop.
Verdict validate_response(const MessageView& response);
Verdict validate_response(const MessageView& response, Essentials& out);

}  // namespace ringway::sip
