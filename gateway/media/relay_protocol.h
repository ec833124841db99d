#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "gateway/media/media_leg.h"
#include "protocol/base/writer.h"

namespace ringway {

enum class RelayCommand : std::uint8_t { Offer, Answer, Delete, Ping };
std::string_view to_text(RelayCommand command);

// One request to rtpengine's ng protocol. Texts are borrowed for the call of write.
struct RelayRequest {
  RelayCommand command = RelayCommand::Ping;
  std::string_view call_id;   // of the dialog
  std::uint32_t leg = 0;      // two passes of one Call-ID are two media sessions
  std::string_view from_tag;  // who made the offer
  std::string_view to_tag;    // who answered; Answer only
  std::string_view sdp;
  MediaLeg towards = MediaLeg::Plain;             // who gets the result
  bool zero_address_is_no_hold = false;           // c=0.0.0.0 of a browser means "no candidate yet"
  std::string_view interface_from, interface_to;  // rtpengine's logical interfaces; may be empty
};

// The id of one media session at the relay: the Call-ID and the leg, so that a call which passes
// the gateway twice has two.
void write_media_id(std::string_view call_id, std::uint32_t leg, Writer& out);

// cookie, space, dictionary.
void write_relay_request(std::string_view cookie, const RelayRequest& request, Writer& out);

struct RelayReply {
  enum class Result : std::uint8_t {
    Ok,
    Pong,
    Error,        // of this request: the relay cannot make anything of it
    LoadLimit,    // it takes no new session now, whatever the request
    NoPorts,      // the same: it has no port left
    UnknownCall,  // it has no such session (any more)
  };
  Result result = Result::Error;
  std::string_view sdp;     // Ok of an offer or an answer
  std::string_view reason;  // all but Ok and Pong
  // Another relay may do what this one does not.
  bool is_refusal() const { return result == Result::LoadLimit || result == Result::NoPorts; }
};
// nullopt: not a reply (an event of the relay's own, or nothing that can be read).
std::optional<RelayReply> parse_relay_reply(std::string_view dictionary);

}  // namespace ringway
