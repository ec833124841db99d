#pragma once

#include <string_view>

#include "gateway/base/outbox.h"
#include "gateway/core/registrations.h"
#include "gateway/core/services.h"
#include "gateway/transaction/layer.h"
#include "protocol/base/writer.h"
#include "protocol/sip/build.h"
#include "protocol/sip/via.h"

namespace ringway {

// Responses that we make ourselves (RFC 3261 8.2.6). extra: whole header lines, each with CRLF.
//
// Whoever sends a datagram in another's name shall not make us send him more than he paid: to a UDP
// source of the access side that has not registered no response is longer than its request. It is
// written shorter where that helps, else it does not go at all, counted.
class Replies {
 public:
  // All outlive this object.
  Replies(Services& core, TransactionLayer& transactions, Registrations& registrations)
      : core_(core), transactions_(transactions), registrations_(registrations) {}

  // True where source may be somebody else: a datagram's, of nobody who has registered.
  bool is_unverified(const Source& source) const;

  // Without a transaction: it costs a stranger's packet one packet and no memory. An ACK gets none.
  void refuse(const sip::MessageView& request, const Source& source, sip::Status status,
              std::string_view reason, std::string_view extra, Outbox& outbox);
  // Through the server transaction, which repeats it.
  void respond(SlotId server, const sip::MessageView& request, const Source& source,
               sip::Status status, std::string_view extra, Instant now, Outbox& outbox);
  // The same, to be sent later. Empty: no buffer, counted.
  BufferRef response(const sip::MessageView& request, const Source& source, sip::Status status,
                     std::string_view extra) {
    return write(request, source, status, {}, extra);
  }
  // 100, without a To tag and with the Timestamp of the request (RFC 3261 8.2.6.1).
  void trying(SlotId server, const sip::MessageView& request, const Source& source, Outbox& outbox);

  // RFC 7339: a neighbour that has "oc" in its Via hears in each response of ours what share of its
  // requests it shall keep back: kShareKept while overloaded, for kShareHolds, else none.
  void set_overloaded(bool overloaded, Instant now);
  static bool asks_for_share(const sip::Via& via);
  static constexpr std::uint32_t kShareKept = 50;  // percent
  static constexpr Duration kShareHolds = 1s;

  // True for the ACK of a response that refuse() or respond() made.
  bool is_for_own_response(const Incoming& ack) const;
  // Where responses to a request go (RFC 3261 18.2.2, RFC 3581 4).
  Source reply_address(const Source& source, const sip::Via& via) const;
  // Where they go once the connection of the request, which came from source, has ended: to that
  // address, at the port that the Via names, without a flow (RFC 3261 18.2.2).
  static Source address_after_end(const Source& source, const sip::Via& via);
  // The top Via value with received and rport as the source says (RFC 3261 18.2.1, RFC 3581 4).
  // via.text if it may stay as it is; else text in out.
  static std::string_view via_with_source(const sip::Via& via, const Source& source, Writer& out);

 private:
  std::string_view with_share(std::string_view via, Writer& out) const;
  BufferRef write(const sip::MessageView& request, const Source& source, sip::Status status,
                  std::string_view reason, std::string_view extra);
  BufferRef shorten(BufferRef buffer, const sip::MessageView& request, sip::Status status,
                    sip::ResponseOptions options);

  Services& core_;
  TransactionLayer& transactions_;
  Registrations& registrations_;
  bool overloaded_ = false;
  std::uint64_t judged_at_ms_ = 0;  // since 1970
};

}  // namespace ringway
