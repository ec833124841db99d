#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "gateway/base/fifo.h"
#include "gateway/base/slot_table.h"
#include "gateway/base/timer_wheel.h"
#include "gateway/transport/event.h"
#include "gateway/transport/stream.h"
#include "gateway/transport/stream_environment.h"

namespace ringway {

// The streams of one shard: their places, their stages and deadlines, and what they have to report.
// The only code that changes Stream::stage.
//
// A close takes effect at once, and is told through take_closed() to those who keep something for
// the stream, so that nothing below here has to know them.
class StreamTable {
 public:
  using Stage = Stream::Stage;
  using Role = Stream::Role;

  explicit StreamTable(const StreamEnvironment& environment);
  ~StreamTable();
  StreamTable(const StreamTable&) = delete;
  StreamTable& operator=(const StreamTable&) = delete;

  // Places. limits.flows of them are shared by what is accepted and what leads to far ends. Next
  // hops and media relays have places of their own beside these, which nobody else can take.
  static constexpr std::uint32_t kPlacesOfNextHop = 16;
  bool has_place(Role role) const;
  // Less than a sixteenth of the shared places is free.
  bool is_crowded() const;
  // A stream in Connecting that owns fd; nullptr without a place, and fd stays the caller's.
  Stream* add(int fd, Role role, Transport transport, Instant now);
  Stream* find(SlotId id) { return streams_.find(id); }
  Stream* find(FlowId flow) {
    return flow.shard() == shard_ ? streams_.find({flow.slot(), flow.generation()}) : nullptr;
  }
  Stream* at(std::uint32_t slot) { return streams_.at(slot); }
  std::uint32_t used_slots() const { return streams_.used_slots(); }
  std::uint32_t count(Role role) const { return places_[static_cast<std::size_t>(role)]; }
  std::uint32_t size() const { return streams_.size(); }
  FlowId flow_id(const Stream& stream) const {
    return {shard_, stream.id.slot, stream.id.generation};
  }

  // Stages before Flushing, Open apart. TLS and the upgrade have one deadline together.
  void enter(Stream& stream, Stage stage, Instant now);
  // Open; reports FlowOpened, except for relays.
  void open(Stream& stream, Instant now);
  // Flushing, or Ending where closing is abrupt or nothing was connected yet. Reports FlowClosed if
  // FlowOpened was. No effect on what is closing already.
  void close(Stream& stream, const Closing& closing, Instant now);
  // All that was queued is sent: Lingering, or Ending if the peer has closed too.
  void flushed(Stream& stream, Instant now);
  // Ending.
  void end(Stream& stream);
  // The same as close(), but in a quiet moment: thousands may end at once (a proxy before us
  // restarts), while the calls of others go on. Nothing more is sent on it meanwhile.
  void close_later(Stream& stream, const Closing& closing);
  bool has_closings() const { return !leaving_.empty() || !ended_.empty(); }
  // The next of those that close_later() named, now closed; nullptr: none.
  bool close_next(Instant now);
  // The next whose slot can be freed, nullptr: none. Then release().
  Stream* take_ended();
  void release(Stream& stream);
  // A stream that was closed or ended since; each may come twice. nullptr: none.
  Stream* take_closed();
  // An operation of it came back.
  void finish_if_idle(Stream& stream);

  // Deadlines. A stream has one timer, armed for the earliest of what may become due; one that has
  // moved later meanwhile is armed again when it fires.
  void schedule(Stream& stream);
  void stop_timer(Stream& stream);
  Instant next_deadline() const { return timers_.next_deadline(); }
  // Calls report(stream) for each whose deadline has passed. How late the latest is.
  template <typename Report>
  Duration expire(Instant now, Report&& report) {
    return timers_.expire(now, [&](std::uint64_t payload) {
      Stream* stream = streams_.find(SlotId::unpack(payload));
      if (!stream) return;
      stream->timer = 0;
      stream->timer_at = kNever;
      if (deadline_of(*stream) > now) return schedule(*stream);
      report(*stream);
    });
  }
  // When it is Open and now is its deadline: what has become due.
  bool is_stalled(const Stream& stream, Instant now) const;
  bool is_dribbling(const Stream& stream, Instant now) const;

  // Memory of messages that have begun and not ended.
  void set_held(Stream& stream, std::size_t bytes);
  std::uint64_t held_bytes() const { return held_bytes_; }

  // What is to be reported, oldest first.
  Fifo<StreamEvent>& events() { return events_; }
  void report_failure(Ticket ticket, TransportFailure failure);

 private:
  std::uint32_t shared_places() const;
  Instant deadline_of(const Stream& stream) const;
  Instant open_deadline_of(const Stream& stream) const;
  bool is_websocket(const Stream& stream) const {
    return stream.protocol == Stream::Protocol::WebSocket;
  }

  const Config& config_;
  ShardIndex shard_;
  Kernel& kernel_;
  Counters& counters_;
  std::uint32_t next_hop_places_;
  SlotTable<Stream> streams_;
  std::array<std::uint32_t, 4> places_{};  // by Role
  std::uint64_t held_bytes_ = 0;           // of all streams
  TimerWheel timers_;
  Fifo<StreamEvent> events_;
  Fifo<SlotId> leaving_;
  Fifo<SlotId> ended_;
  Fifo<SlotId> closed_;
};

}  // namespace ringway
