#pragma once

#include "gateway/base/outbox.h"
#include "gateway/core/context_table.h"
#include "gateway/core/registrations.h"
#include "gateway/core/request_size.h"
#include "gateway/core/request_writer.h"
#include "gateway/core/response_sender.h"
#include "gateway/core/responses.h"
#include "gateway/core/route_reader.h"
#include "gateway/core/router.h"
#include "gateway/core/services.h"
#include "gateway/routing/next_hop_set.h"
#include "gateway/transaction/layer.h"

namespace ringway {

// The copy of a request with its edits, and the client transaction that carries it (RFC 3261 16.6).
class RequestSender {
 public:
  struct Parts {  // all outlive this object
    Services& core;
    ContextTable& contexts;
    TransactionLayer& transactions;
    NextHopSet& next_hops;
    Registrations& registrations;
    Router& router;
    RouteReader& routes;
    Responses& responses;
    ResponseSender& refusals;
    const HeaderRules& header_rules;
  };
  explicit RequestSender(const Parts& parts);

  // The request of context, which in is, goes to the context's target. Where that cannot be it
  // fails there.
  void forward(SlotId context, const Incoming& in, Instant now, Outbox& outbox);
  // What a user agent that is back at target has not answered goes there, under the same branch, so
  // that it knows it again where the first one came through after all.
  void send_again(SlotId context, const Target& target, Outbox& outbox);

 private:
  void forward_ack(SlotId id, RequestWriter::Job job, Instant now, Outbox& outbox);
  void start_client(SlotId id, SlotId client, BufferRef message, const Target& target, Instant now,
                    Outbox& outbox);

  Services& core_;
  ContextTable& contexts_;
  TransactionLayer& transactions_;
  RouteReader& routes_;
  Responses& responses_;
  ResponseSender& refusals_;
  RequestWriter writer_;
  RequestSize size_;
};

}  // namespace ringway
