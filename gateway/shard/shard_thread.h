#pragma once

#include <expected>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gateway/admission/source_gate.h"
#include "gateway/base/buffer_pool.h"
#include "gateway/base/counters.h"
#include "gateway/base/log.h"
#include "gateway/base/outbox.h"
#include "gateway/config/config.h"
#include "gateway/core/proxy_core.h"
#include "gateway/reactor/reactor.h"
#include "gateway/shard/exchange.h"
#include "gateway/shard/name_waits.h"
#include "gateway/shard/shard.h"
#include "gateway/transport/datagram.h"
#include "gateway/transport/socket.h"
#include "gateway/transport/streams.h"
#include "tls/mac.h"

namespace ringway {

// What runs on a shard's thread.
//
//   shard.cc     start, the turn, the end
//   dispatch.cc  completions and events to the core
//   deliver.cc   the core's outbox to transport, other shards and the control thread
//   mail.cc      messages from other threads
//   drain.cc     service drain
//   query.cc     answers to the control thread's questions
//   listeners.cc listeners that come and go with a reload
class ShardThread {
 public:
  explicit ShardThread(ShardSetup setup);
  ~ShardThread();

  [[nodiscard]] std::expected<void, std::string> start();
  void join();
  ControlPort& port() { return port_; }
  const Counters& counters() const { return counters_; }

  // The turns without a thread, for who brings a kernel whose wait() does not wait: open(), then
  // turn() until it is over, then end(). All from one thread, instead of start().
  [[nodiscard]] std::expected<void, std::string> open();
  void turn();
  bool is_stopping() const { return stopping_; }
  // Nobody wakes it any more. What it holds can still be looked at.
  void end() {
    if (parts_) parts_->reactor.end();
  }
  // Between open() and the end of its life.
  const ProxyCore& core() const { return parts_->core; }

 private:
  // Everything that lives on the thread. The reactor ends before any of it goes, so that the kernel
  // lets go of its memory.
  struct Parts {
    explicit Parts(ShardThread& thread);

    BufferPool buffers;
    std::vector<Socket> relay_sockets;  // towards media relays by UDP
    Log log;
    SourceGate gate;
    Reactor reactor;
    Datagrams datagrams;
    Streams streams;
    tls::Mac mac;
    ProxyCore core;
    NameWaits names;
    Outbox outbox;
  };

  // shard.cc
  void run(std::promise<std::expected<void, std::string>>& started);
  [[nodiscard]] std::expected<void, std::string> open_relays();
  void serve_comers_and_goers();
  void note_lag();
  void flush();
  void expire();
  Instant next_deadline() const;
  Instant now() const { return parts_->reactor.now(); }

  // dispatch.cc
  void dispatch(const Completion& completion);
  void receive_datagram(const Completion& completion);
  // Media relays by UDP count as listeners behind all places of those.
  static constexpr ListenerIndex relay_listener(std::uint8_t relay) {
    return static_cast<ListenerIndex>(kListenerPlacesMax + relay);
  }
  void pump();
  void handle(const StreamEvent& event);

  // deliver.cc
  void deliver();
  void perform(Output& output);
  void fail(Ticket ticket, TransportFailure failure);
  bool post(ShardIndex shard, BetweenShards&& message, BufferRef buffer);
  void keep_address_of(const Output::Announcement& announcement);
  void resolve(const Output& output);
  bool tell_control(FromShard&& message);

  // mail.cc
  bool has_mail() const;
  void take_over(PublishConfig& publish);
  void read_mail();
  void handle(ToShard& message);
  void handle(BetweenShards& message);

  // query.cc
  Report report(const Query& query);
  bool list(const Query& query, Report& report);
  std::optional<std::uint32_t> command(const Query& query);
  std::uint32_t kick(std::string_view name);
  ReportRow row_of_flow(FlowId flow, const Stream& stream) const;

  // listeners.cc
  void take_over_listeners(std::vector<NewListener> added);
  bool is_ahead(const BetweenShards& message) const;
  void add_listener(NewListener& added);
  void remove_listener(ListenerIndex place);
  bool is_heard(ListenerIndex listener, Bytes bytes);
  void serve_leaving();

  // drain.cc
  void begin_drain();
  void advance_drain();
  bool close_idle_flows();
  bool has_calls() const;
  Instant drain_deadline() const;

  //   No --Drain--> Waiting     calls go on; access flows without one are closed bit by bit
  //                    |
  //   all calls over --+-- the time is over
  //                    |        v
  //                    |    Releasing   BYE to both sides, media deleted
  //                    v        v
  //                    Closing          all other flows, WebSockets with 1001
  //                       v
  //                     Done            no flow is left
  enum class Drainage : std::uint8_t { No, Waiting, Releasing, Closing, Done };

  ShardSetup setup_;
  Config config_;  // in force; replaced in place, between two turns
  ControlPort port_;
  Counters counters_;
  std::thread thread_;
  std::unique_ptr<Parts> parts_;

  std::vector<Datagrams::Failure> failures_;  // to be told to the core
  std::vector<Ticket> unresolved_;            // likewise
  std::vector<bool> posted_;                  // shards that got mail in this turn
  // Removed UDP listeners whose socket is still there.
  struct Leaving {
    ListenerIndex listener;
    Instant since;
    bool deaf = false;  // to new requests
  };
  std::vector<Leaving> leaving_;
  Instant leaving_next_ = kNever;             // when they are looked at
  Instant reading_until_{};                   // sockets that others have taken the place of
  Instant drain_until_ = kNever;              // the end of Waiting or Releasing
  Instant drain_next_ = kNever;               // the next slice of Waiting
  Instant caught_up_at_{};                    // when the kernel last had nothing more for us
  Instant newcomers_at_{};                    // at the latest, however crowded
  Drainage drainage_ = Drainage::No;
  bool stopping_ = false;
};

}  // namespace ringway
