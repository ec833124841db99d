#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "tests/sim/clock.h"
#include "tests/sim/dice.h"

namespace ringway::sim {

// One connection: bytes in order, in pieces that have nothing to do with how they were sent. It can
// break after any byte, with a reset that both ends see, or silently.
class Wire : public std::enable_shared_from_this<Wire> {
 public:
  enum class Side : std::uint8_t { Client, Server };
  enum class Ending : std::uint8_t { Closed, Reset };
  struct End {
    std::function<void(std::string_view)> receive;
    std::function<void(Ending)> ended;  // by the other side or the network, once
  };

  Wire(Clock& clock, Dice& dice, std::uint64_t id, Duration delay_min, Duration delay_max)
      : clock_(clock), dice_(dice), id_(id), delay_min_(delay_min), delay_max_(delay_max) {}

  std::uint64_t id() const { return id_; }  // never twice in a world, never 0

  void open(End client, End server);
  void send(Side from, std::string_view bytes);
  // That side is done: the other one hears of it behind what was sent. Nothing comes back.
  void close(Side from, Ending how = Ending::Closed);
  // The network gives up once so many more bytes were delivered, in the midst of a message or not.
  void cut_after(std::uint64_t bytes, bool silently);
  // Now.
  void cut(bool silently);
  // The world ends: both ends are let go of.
  void forget() { halves_ = {}; }

  bool is_silent() const { return silent_; }

 private:
  struct Half {
    End end;
    bool attached = false;
    Instant last_arrival{};
  };
  Half& half(Side side) { return halves_[static_cast<std::size_t>(side)]; }
  static Side other(Side side) { return side == Side::Client ? Side::Server : Side::Client; }
  Instant arrival(Side to);
  void deliver(Side to, std::string_view bytes);
  void tell_end(Side to, Ending how);

  Clock& clock_;
  Dice& dice_;
  std::uint64_t id_;
  Duration delay_min_, delay_max_;
  std::array<Half, 2> halves_;
  std::uint64_t bytes_until_cut_ = UINT64_MAX;
  bool cut_silently_ = false;
  bool silent_ = false;  // dead, and nobody was told
  bool dead_ = false;
};

}  // namespace ringway::sim
