#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "gateway/base/endpoint.h"
#include "gateway/base/random.h"
#include "gateway/base/slot_table.h"
#include "gateway/tunnel/cookie.h"
#include "gateway/tunnel/link.h"
#include "gateway/tunnel/numbers.h"
#include "gateway/tunnel/pending.h"

namespace ringway::tunnel {

// Where a datagram came from and its answer goes: a listener, the peer's address as its socket
// family writes it, and which of our addresses it asked: the answer comes from there.
struct SourceName {
  std::uint16_t listener = 0;
  std::uint8_t size = 0;
  std::array<std::uint8_t, 112> address{};
  std::array<std::uint8_t, 16> asked{};  // IPv4 in the first four; zeroes where there is only one

  Bytes bytes() const { return Bytes(address).first(size); }
  friend bool operator==(const SourceName& a, const SourceName& b) {
    return a.listener == b.listener && a.size == b.size && a.address == b.address &&
           a.asked == b.asked;
  }
};

// What the controller end asks of its surroundings.
class ControllerOutside {
 public:
  enum class Sent : std::uint8_t { Yes, TooLong, Failed };  // Yes: or soon
  virtual Sent send_datagram(const SourceName& to, Bytes bytes) = 0;
  // Opens a connection; connected(), opened() or closed() follow.
  virtual void connect(std::uint16_t link, const Endpoint& relay_end) = 0;
  // Closes it; closed() does not follow.
  virtual void close(std::uint16_t link) = 0;
  virtual void say(const std::string& text) = 0;

 protected:
  ~ControllerOutside() = default;
};

struct RelayAddress {
  std::vector<Endpoint> endpoints;  // at least one; tried in turn
  std::string name;                 // for people
};

struct ControllerSettings {
  std::vector<RelayAddress> relays;    // 1..kRelaysMax, the preferred one first
  std::uint16_t connections = 2;       // to each relay end, 1..8
  std::uint32_t pending_max = 16'384;  // requests that wait; a quarter of them of one socket
  std::uint32_t sources_max = 4096;    // controllers' sockets at one time
  Duration timeout = 4500ms;           // then an error is the answer
  Duration source_idle = 300s;         // after which a socket is forgotten
  Duration connect_timeout = 700ms;
  LinkSettings link;
};

// The end beside the SIP server, without sockets: datagrams of controllers go down a connection to
// a relay end, answers come back to who asked, and what cannot be answered is answered with an
// error in the controller's own encoding.
//
// Each place for a connection:
//
//            connect                connected, TLS        greeted
//   Waiting ---------> Connecting -----------------> Open ------> (Link is Up)
//      ^                   |                           |
//      +-------------------+---------------------------+  closed: back-off with jitter
//
// A full table of controllers' sockets lets go of one that waits for nothing. Its cookies' prefix
// comes from its address, so it is the same one when it asks again.
//
// Relay ends: all requests go to one that is up and whose target serves, and stay with it until it
// fails: calls that it holds are not torn from it when a preferred one comes back.
class ControllerEnd final : private LinkOwner {
 public:
  static constexpr std::size_t kRelaysMax = 8;
  static constexpr Duration kBackOffMin = 100ms, kBackOffMax = 500ms;

  ControllerEnd(const ControllerSettings& settings, ControllerOutside& outside, Numbers& numbers,
                std::uint64_t seed, const HashKey& key);

  void start(Instant now);
  void received(const SourceName& from, Bytes datagram, Instant now);

  // Of the connection at place link.
  void connected(std::uint16_t link, Instant now);  // TCP is there, TLS begins
  void opened(std::uint16_t link, Instant now);
  void received(std::uint16_t link, Bytes bytes, Instant now);
  void closed(std::uint16_t link, const std::string& reason, Instant now);

  Link& link(std::uint16_t index) { return places_[index]->link; }
  std::uint16_t links() const { return static_cast<std::uint16_t>(places_.size()); }

  Instant next_deadline() const;
  void expire(Instant now);
  // The process is about to end: what waits gets its error.
  void stop(Instant now);
  // One line for each relay end: up or why not.
  std::string status() const;

 private:
  enum class State : std::uint8_t { Waiting, Connecting, Open };
  struct Place {
    Place(std::uint16_t index, std::uint8_t of, const LinkSettings& settings, LinkOwner& owner,
          Numbers& numbers)
        : link(index, settings, owner, numbers), relay(of) {}
    Link link;
    std::uint8_t relay;
    std::size_t address = 0;  // of the relay end's addresses; of the next attempt
    State state = State::Waiting;
    bool serves = true;  // as the relay end says of its target
    Instant deadline{};  // Waiting: to connect; Connecting: to give up
    Duration back_off = kBackOffMin;
  };
  struct Relay {
    std::string reason = "not yet connected";
    bool was_up = false;
  };
  struct Source {
    SourceName name;
    CookiePrefix prefix{};
    std::uint16_t link = 0xffff;
    // Requests that wait; of kind datagrams: 1 from a message to the next answer.
    std::uint32_t waiting = 0;
    Instant used{};
  };
  struct SourceHash {
    HashKey key;
    std::size_t operator()(const SourceName& name) const { return keyed_hash(key, name.bytes()); }
  };

  void on_greeted(std::uint16_t link) override;
  void on_message(std::uint16_t link, std::uint32_t stream, std::uint32_t message,
                  Bytes bytes) override;
  void on_refused(std::uint16_t link, std::uint32_t stream, std::uint32_t message,
                  Refusal refusal) override;
  void on_target(std::uint16_t link, bool serves) override;
  void on_forget(std::uint16_t, std::uint32_t) override {}

  SlotId source_of(const SourceName& name, Instant now);
  SlotId source_of(std::uint32_t stream) const;
  static std::uint32_t stream_of(SlotId source);
  void forget(SlotId source);
  void forget_idle(Instant now, Duration idle);
  void make_room();
  void request(SlotId id, Source& source, const Message& message);
  bool usable(const Place& place) const { return place.link.up() && place.serves; }
  bool usable(std::uint8_t relay) const;
  // nullptr: none; reason_ says why.
  Place* choose(Source& source, SlotId id);
  void lost(std::uint16_t link, const std::string& reason);
  void expire_places(Instant now);
  void fail(const Pending& pending, std::string_view reason);
  void answer_error(const SourceName& to, std::string_view cookie, Encoding encoding,
                    std::string_view reason);
  void deliver(const Source& source, Pending& pending, const Message& message);
  void count_latency(Duration passed);

  const ControllerSettings settings_;
  ControllerOutside& outside_;
  Numbers& numbers_;
  Random random_;
  const HashKey key_;
  Instant now_{};
  std::vector<std::unique_ptr<Place>> places_;
  std::vector<Relay> relays_;
  std::uint8_t current_ = 0;
  std::string reason_;
  SlotTable<Source> sources_;
  std::uint32_t hand_ = 0;  // where make_room() goes on
  std::unordered_map<SourceName, SlotId, SourceHash> source_index_;
  PendingTable pending_;
  Instant next_sweep_{};
  std::vector<std::uint8_t> scratch_;
};

}  // namespace ringway::tunnel
