#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gateway/base/buffer_pool.h"
#include "gateway/base/counters.h"
#include "gateway/base/outbox.h"
#include "gateway/base/random.h"
#include "gateway/base/reserved_array.h"
#include "gateway/base/slot_table.h"
#include "gateway/base/subject.h"
#include "gateway/base/target.h"
#include "gateway/base/timer_wheel.h"
#include "gateway/config/config.h"
#include "gateway/transaction/finished_list.h"
#include "protocol/sip/branch.h"
#include "protocol/sip/method.h"
#include "protocol/sip/status.h"
#include "protocol/transaction/invite_client.h"
#include "protocol/transaction/invite_server.h"
#include "protocol/transaction/key.h"
#include "protocol/transaction/non_invite_client.h"
#include "protocol/transaction/non_invite_server.h"

namespace ringway {

struct ServerTransaction {
  transaction::TransactionKey key;
  std::uint32_t next_in_bucket = 0;
  bool is_invite = false;
  sip::Method method = sip::Method::Other;
  transaction::InviteServer invite;
  transaction::NonInviteServer other;
  Source source;       // responses go back there (RFC 3261 18.2.2, RFC 3581)
  std::uint16_t next_hop = 0xffff;  // who asked, if it is one
  BufferRef response;  // the last one sent
  SlotId context;      // empty once the request is answered for good
  TimerWheel::Handle retransmit = 0, lifetime = 0;
  // How often Timer G may still repeat a final response (RFC 3261 17.2.1).
  std::uint8_t repeats_left = 255;
  // A refusal that comes before refuse_from waits for it in held.
  Instant refuse_from{};
  BufferRef held;
  sip::Status held_status = 0;
  TimerWheel::Handle hold = 0;
  FinishedPlace finished;  // listed: answered for good; only absorbs from now on
};

struct ClientTransaction {
  bool is_invite = false;
  bool provisional = false;  // a 1xx came
  sip::Method method = sip::Method::Other;
  std::uint8_t branch_index = 0;  // which branch of its context
  transaction::InviteClient invite;
  transaction::NonInviteClient other;
  Target target;
  std::uint32_t loop_hash = 0;  // in its branch
  BufferRef request;            // as sent; given back where nothing can ask for it any more
  BufferRef ack;                // of a final non-2xx response
  SlotId context;               // empty: nobody waits (our own CANCEL, probe ...)
  bool repeated = false;        // its connection died, and it went out on a second one
  SlotId cancel;                // the transaction of the CANCEL that was sent for it
  Subject own = Subject::None;  // a request of our own: Probe or Call
  std::uint64_t own_value = 0;
  TimerWheel::Handle retransmit = 0, lifetime = 0;
  FinishedPlace finished;  // listed: a non-INVITE that was answered; only absorbs from now on

  // A response has come: others may follow on another connection (RFC 3261 18.2.2).
  bool was_heard() const {
    return provisional ||
           (is_invite && invite.state() != transaction::InviteClient::State::Calling);
  }
};

// Feeds events to the machines of RFC 3261 17 and performs their actions: sends, resends, arms and
// disarms deadlines, frees slots. Holds every live transaction of one shard. Messages to be handed
// up are the caller's business: an Outcome says that they are.
class TransactionLayer {
 public:
  struct Outcome {
    bool to_user = false;  // the message of the event is for the transaction user
    bool timeout = false;  // timers B, F or H
    bool transport_error = false;
    bool given_up = false;    // a timeout after give_up_on(): says nothing of the target
    bool send_100 = false;    // build a 100 from the request and call send_100()
    bool send_ack = false;    // build an ACK for the final response and call send_ack()
    bool sent = false;        // the message of the event went out
    bool terminated = false;  // the slot is free
  };

  // All outlive the layer.
  TransactionLayer(const Config& config, ShardIndex shard, TimerWheel& wheel, Counters& counters);
  TransactionLayer(const TransactionLayer&) = delete;
  TransactionLayer& operator=(const TransactionLayer&) = delete;

  // Server side.
  SlotId find_server(const transaction::TransactionKey& key);
  ServerTransaction* server(SlotId id) { return servers_.find(id); }
  // An empty id if the table is full and no finished transaction can make room: refuse with 503.
  SlotId open_server(const transaction::TransactionKey& key, sip::Method method,
                     const Source& source, Instant now, Outbox& outbox, Outcome& outcome);
  Outcome request_repeated(SlotId id, Instant now, Outbox& outbox);
  Outcome ack_received(SlotId id, Instant now, Outbox& outbox);
  // response is kept for repetition. sent is false where the machine discards it, and where it is a
  // refusal that waits for the transaction's refuse_from.
  Outcome respond(SlotId id, sip::Status status, BufferRef response, Instant now, Outbox& outbox);
  void send_100(SlotId id, BufferRef response, Outbox& outbox);
  // The connection that the request came over has ended: responses go to source from now on, which
  // has no flow, over a new connection (RFC 3261 18.2.2), the last one once more.
  void reconnect_server(SlotId id, const Source& source, Outbox& outbox);
  // The user cannot answer, for want of memory: a repetition of the request is a new one.
  void forget(SlotId id);
  // The user will never answer (RFC 4320: no 408 for non-INVITE).
  void abandon(SlotId id, Instant now, Outbox& outbox);

  // Client side. The branch is reserved first, because it stands in the request.
  // loop_hash stands in the branch, so that a request that comes back is known (RFC 5393).
  // An empty id if the table is full and no finished transaction can make room.
  SlotId reserve_client(sip::Method method, const Target& target, std::uint32_t loop_hash);
  sip::Branch branch_of(SlotId id);
  ClientTransaction* client(SlotId id) { return clients_.find(id); }
  Outcome start_client(SlotId id, BufferRef request, Instant now, Outbox& outbox);
  // Frees a client transaction that was never started or that nobody needs any more.
  void release_client(SlotId id);
  // The client transaction that branch and method of a response name; empty: stray.
  SlotId find_client(const sip::Branch& branch, sip::Method method);
  Outcome response_received(SlotId id, sip::Status status, Instant now, Outbox& outbox);
  void send_ack(SlotId id, BufferRef ack, Outbox& outbox);
  Outcome client_failed(SlotId id, Instant now, Outbox& outbox);  // its send failed for good
  // The connection that the request went out on has ended: it goes out once more, on another one,
  // as what it was (RFC 3261 17.1.4, 18.4). False: that was done before, it has its final response,
  // or the connection cannot be opened by us.
  bool repeat_client(SlotId id, Outbox& outbox);

  // An INVITE that was called off: what has answered provisionally and stays silent to its CANCEL
  // is forgotten 64*T1 later (RFC 3261 9.1).
  void give_up_on(SlotId id, Instant now);

  // A deadline whose payload has one of the five transaction subjects. id is set to the
  // transaction it was about.
  Outcome expire(std::uint64_t payload, Instant now, Outbox& outbox, SlotId& id);

  // With those that are finished and only absorb repetitions.
  std::uint32_t servers() const { return servers_.size(); }
  std::uint32_t live_servers() const { return servers_.size() - finished_servers_.size(); }
  std::uint32_t live_clients() const { return clients_.size(); }

  // Sends buffer to where source came from.
  static void send_back(const Source& source, BufferRef buffer, Ticket ticket, Outbox& outbox);
  // Sends buffer to target. config names the TLS peers.
  static void send_to(const Target& target, const Config& config, BufferRef buffer, Ticket ticket,
                      Outbox& outbox);

 private:
  Outcome perform(SlotId id, ServerTransaction& transaction, const transaction::Actions& actions,
                  BufferRef* message, Instant now, Outbox& outbox);
  Outcome perform(SlotId id, ClientTransaction& transaction, const transaction::Actions& actions,
                  Instant now, Outbox& outbox);
  void answer(const ServerTransaction& transaction, BufferRef response, Ticket ticket,
              Outbox& outbox);
  void release_server(SlotId id, ServerTransaction& transaction);
  // True: response waits.
  bool hold(SlotId id, sip::Status status, BufferRef& response, Instant now);
  Outcome release_held(SlotId id, Instant now, Outbox& outbox);
  template <typename Machine, typename Event>
  transaction::Actions step(Machine& machine, Event event, transaction::Reliability reliability,
                            CounterArray<6>& states);
  std::uint32_t& bucket(const transaction::TransactionKey& key) {
    return buckets_[key.low & bucket_mask_];
  }

  const Config& config_;
  ShardIndex shard_;
  transaction::Timers timers_;
  TimerWheel& wheel_;
  Counters& counters_;
  SlotTable<ServerTransaction> servers_;
  SlotTable<ClientTransaction> clients_;
  ReservedArray<std::uint32_t> buckets_;  // slot + 1 of the first of each chain; 0: none
  std::uint64_t bucket_mask_;
  FinishedList<ServerTransaction> finished_servers_{servers_};
  FinishedList<ClientTransaction> finished_clients_{clients_};
};

}  // namespace ringway
