#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/world.h"

namespace ringway::sim {

// Somebody who registers, calls and answers like anybody, and who besides sends what he has seen to
// where it does not belong: he replays, splices, redirects, forges and answers for others.
//
// Each of his messages says in X-May-Reach who may get it: "nobody", "next-hop", or a further next
// hop by its name. Everybody else who gets it has been reached past the rules.
class Attacker {
 public:
  // device: his own, which gets connected and registered. guest: a second one that never registers.
  Attacker(World& world, Device& device, Device& guest);

  // One attack, drawn from the world's dice; its name, for the trace.
  std::string act();
  std::size_t kinds() const;
  std::string act(std::size_t kind);

  // Everything that anybody gets is shown to this. who: "u0", "next-hop" ... True: it answers an
  // attack, and the user agent that he plays besides knows nothing of it.
  bool saw(std::string_view who, std::string_view text);

 private:
  static constexpr std::string_view kMark = "X-May-Reach";
  static constexpr std::string_view kAttack = "SIP;cause=200;text=\"attack\"";
  static constexpr std::string_view kTrunk = "10.0.0.12:5060";  // closed to the access side
  static constexpr std::string_view kEvil = "10.0.0.13:5060";   // the next hop of his own domain

  // What he may say where: the values of ours that he has seen.
  struct Loot {
    std::vector<std::string> paths, record_routes, contacts, vias;
  };
  // A dialog that he has seen a message of.
  struct Dialog {
    std::string call_id, to_tag;
    std::vector<std::string> routes;  // the values of ours in Record-Route, in their order
  };

  // Over the connection of his own device, or of his guest.
  void send(Device& device, Message message);
  // From a socket on the internet that nobody knows.
  void send_datagram(std::string_view to, Message message);
  Message request(std::string_view method, std::string_view uri, std::string_view may_reach);
  Message forged_response(const Message& seen, int status);
  std::string trap();
  std::string drawn(const std::vector<std::string>& values);
  std::string_view name_of_next_hop(std::size_t index);
  void judge(std::string_view who, const Message& message, std::string_view text);
  void take(const Message& message);

  void path_to_elsewhere();
  void path_with_any_method();
  void record_route_without_dialog();
  void dialog_redirected();
  void stranger_on_the_network_side();
  void stranger_names_a_contact();
  void stranger_with_next_hop_address();
  void alias_from_the_access_side();
  void two_routes();
  void maddr();
  void identity();
  void forged_answer();
  void answer_of_another_branch();
  void foreign_cancel();
  void registers_for_another();
  void guest_calls();
  void forged_token();
  void contact_is_loopback();
  void spliced_routes();
  void closed_next_hop();
  void registers_elsewhere();
  void replay();

  World& world_;
  Device& device_;
  Device& guest_;
  Loot loot_;
  std::vector<Message> invites_;  // that he got
  std::vector<Dialog> dialogs_;
  std::uint64_t serial_ = 0;
  Endpoint socket_, access_twin_;
};

}  // namespace ringway::sim
