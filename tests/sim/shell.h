#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "gateway/base/buffer_pool.h"
#include "gateway/base/counters.h"
#include "gateway/base/log.h"
#include "gateway/base/outbox.h"
#include "gateway/core/proxy_core.h"
#include "protocol/bencode/bencode.h"
#include "tests/sim/flow.h"
#include "tests/sim/wire.h"
#include "tls/mac.h"

namespace ringway::sim {

class Gateway;

// What shards say to each other (gateway/shard/shard_message.h), with bytes of its own.
struct HandedOver {
  Source source;
  std::string bytes;
};
struct SendOnFlow {
  FlowId flow;
  Ticket ticket = 0;
  ShardIndex origin = 0;
  std::string bytes;
};
struct CloseRemoteFlow {
  FlowId flow;
  std::uint16_t websocket_code = 0;
};
struct SendFailed {
  Ticket ticket = 0;
  TransportFailure failure = TransportFailure::None;
};
using Mail =
    std::variant<HandedOver, SendOnFlow, CloseRemoteFlow, SendFailed, Output::Announcement>;

// What gateway/shard and gateway/transport do around one core, in a world without a kernel:
// dispatch.cc and mail.cc going in, deliver.cc coming out.
class Shell {
 public:
  Shell(Gateway& gateway, ShardIndex index, std::size_t shards, std::uint64_t seed);

  void start(std::shared_ptr<const NextHopSnapshot> next_hops,
             std::shared_ptr<const FilterRules> filter);
  void receive_datagram(ListenerIndex listener, const Endpoint& from, std::string_view bytes);
  std::optional<Wire::End> accept(ListenerIndex listener, const Endpoint& from,
                                  std::shared_ptr<Wire> wire);
  void receive_mail(const Mail& mail);
  void drain();
  void kill();
  // Ends every flow, as a process does that goes down in order.
  void close_all();

  ProxyCore& core() { return *core_; }
  const Counters& counters() const { return counters_; }
  const BufferPool& buffers() const { return buffers_; }
  std::size_t open_flows() const;
  // Probes are armed for good; everything else has to end.
  std::uint32_t probes() const;

 private:
  // dispatch
  void receive_bytes(FlowId id, std::string_view bytes);
  void receive_message(const Source& source, std::string_view bytes);
  void receive_handed_over(const HandedOver& received);
  void wire_ended(FlowId id, FlowEnd end);
  void watch(FlowId id);
  void advance_drain();
  void expire();
  // deliver
  void deliver();
  void perform(Output& output);
  void fail(Ticket ticket, TransportFailure failure);
  void send_on(Flow& flow, std::string_view bytes, Ticket ticket);
  void send_connect(const Output& output);
  void flush(Flow& flow);
  void close(Flow& flow, FlowEnd end, TransportFailure failure, std::uint16_t websocket_code);
  void resolve(const Output& output);
  Flow& new_flow(Transport transport, ListenerIndex listener, const Endpoint& remote);
  Flow* find(FlowId id);
  void print_log();
  // the media relay
  void connect_relay();
  void receive_relay(std::string_view bytes);

  struct Event {
    enum class Kind : std::uint8_t { FlowClosed, SendFailed } kind;
    FlowId flow;
    FlowEnd end = FlowEnd::Closed;
    Ticket ticket = 0;
    TransportFailure failure = TransportFailure::None;
  };

  Gateway& gateway_;
  ShardIndex index_;
  std::string name_;
  Counters counters_;
  Log::Queue log_queue_{64};
  Log log_;
  BufferPool buffers_;
  std::unique_ptr<ProxyCore> core_;
  Outbox outbox_;
  std::vector<std::unique_ptr<Flow>> flows_;  // by slot
  std::vector<std::uint32_t> generations_;    // by slot
  std::deque<Event> events_;
  std::shared_ptr<Wire> relay_;
  std::string relay_pending_;
  bencode::MessageFramer relay_framer_;
  Instant wake_at_ = kNever;
  Instant drain_until_ = kNever;
  bool draining_ = false;
  bool killed_ = false;
};

}  // namespace ringway::sim
