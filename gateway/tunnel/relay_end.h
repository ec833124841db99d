#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "gateway/base/slot_table.h"
#include "gateway/tunnel/link.h"
#include "gateway/tunnel/numbers.h"

namespace ringway::tunnel {

// What the relay end asks of its surroundings.
class RelayOutside {
 public:
  // A socket to the target; what it receives comes as target_received(). False: no descriptor.
  virtual bool open_target(SlotId socket) = 0;
  enum class Sent : std::uint8_t { Yes, PortClosed, TooLong, Full, NotFramed };
  virtual Sent send_target(SlotId socket, Bytes message) = 0;
  virtual void close_target(SlotId socket) = 0;
  // Closes it; closed() does not follow.
  virtual void close(std::uint16_t link) = 0;
  virtual void say(const std::string& text) = 0;
  // Why the connection of link is closed.
  virtual void complain(std::uint16_t link, const std::string& reason) = 0;

 protected:
  ~RelayOutside() = default;
};

struct RelaySettings {
  std::string target;                  // for people
  std::uint16_t links_max = 64;        // connections of controller ends at one time, 1..1024
  std::uint32_t streams_max = 16'384;  // sockets to the target, of all connections together
  Duration stream_idle = 600s;         // after which a socket is closed
  bool ping = true;                    // Control: ask the target whether it serves
  Duration ping_every = 1s;            // while it does
  LinkSettings link;
};

// The end beside rtpengine, without sockets: each stream of a connection has a socket of its own to
// the target, as if its controller were here.
//
// The target's health, from its answers and from its port:
//
//                 port closed; kMissedMax pings unanswered
//   Serves  --------------------------------------------------> Silent
//     ^                                                            |
//     +------------------------------------------------------------+
//                 any datagram from it
//
// While Silent it is pinged every kPingSilent. Silence counts only once a ping was ever answered:
// a target that does not know the ping (rtpproxy) is not ill for it.
//
// Bounds: links_max (a new connection then ends the oldest that has not greeted), streams_max, of
// which one connection may have a quarter.
class RelayEnd final : private LinkOwner {
 public:
  static constexpr Duration kPingSilent = 200ms;
  static constexpr std::uint8_t kMissedMax = 2;

  RelayEnd(const RelaySettings& settings, RelayOutside& outside, Numbers& numbers);

  void start(Instant now);

  // A connection came: its place, or nullopt: no place is free; close it.
  std::optional<std::uint16_t> accepted(Instant now);
  void opened(std::uint16_t link, Instant now);  // TLS is done
  void received(std::uint16_t link, Bytes bytes, Instant now);
  void closed(std::uint16_t link);

  void target_received(SlotId socket, Bytes message, Instant now);
  void target_refused(SlotId socket, Instant now);  // its port is closed
  void target_ended(SlotId socket, Instant now);    // it closed an established TCP connection
  void target_closed(SlotId socket);                // and the socket is gone

  Link& link(std::uint16_t index) { return places_[index]->link; }
  std::uint16_t links() const { return static_cast<std::uint16_t>(places_.size()); }

  Instant next_deadline() const;
  void expire(Instant now);
  std::string status() const;

 private:
  struct Place {
    Place(std::uint16_t index, const LinkSettings& settings, LinkOwner& owner, Numbers& numbers)
        : link(index, settings, owner, numbers) {}
    Link link;
    bool taken = false;
    std::uint32_t streams = 0;  // <= streams_max / 4
    Instant deadline = kNever;  // for TLS
    Instant since{};
  };
  struct Stream {
    std::uint16_t link = 0;
    std::uint32_t stream = 0;
    bool health = false;  // the socket for our own pings
    Instant used{};
  };
  enum class Health : std::uint8_t { Serves, Silent };

  void on_greeted(std::uint16_t link) override;
  void on_message(std::uint16_t link, std::uint32_t stream, std::uint32_t message,
                  Bytes bytes) override;
  void on_refused(std::uint16_t, std::uint32_t, std::uint32_t, Refusal) override {}
  void on_target(std::uint16_t, bool) override {}
  void on_forget(std::uint16_t link, std::uint32_t stream) override;

  static std::uint64_t key_of(std::uint16_t link, std::uint32_t stream) {
    return std::uint64_t{link} << 32 | stream;
  }
  SlotId stream_of(std::uint16_t link, std::uint32_t stream);
  void close_stream(SlotId id);
  void end(std::uint16_t link, const std::string& reason);
  void set_health(Health health);
  void ping(Instant now);

  const RelaySettings settings_;
  RelayOutside& outside_;
  Numbers& numbers_;
  Instant now_{};
  std::vector<std::unique_ptr<Place>> places_;
  SlotTable<Stream> streams_;
  std::unordered_map<std::uint64_t, SlotId> index_;
  Instant next_sweep_{};

  Health health_ = Health::Serves;
  SlotId health_socket_;
  Instant next_ping_ = kNever;
  std::uint64_t pings_ = 0;
  std::uint8_t missed_ = 0;  // in a row
  bool ping_out_ = false;
  bool ping_known_ = false;  // one was answered
};

}  // namespace ringway::tunnel
