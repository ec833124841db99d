#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "gateway/media/media_leg.h"
#include "protocol/base/writer.h"

namespace ringway {

enum class RelayCommand : std::uint8_t { Offer, Answer, Delete, Ping, List, Query, PlayDtmf };
std::string_view to_text(RelayCommand command);

// Whose media sessions these are: one shard of one gateway, the same after a restart.
struct RelayOwner {
  std::uint32_t gateway = 0;
  std::uint8_t shard = 0;
};

// One request to rtpengine's ng protocol. Texts are borrowed for the call of write.
struct RelayRequest {
  RelayCommand command = RelayCommand::Ping;
  RelayOwner owner;
  std::string_view call_id;   // of the dialog
  std::uint32_t leg = 0;      // two passes of one Call-ID are two media sessions
  std::string_view media_id;  // as the relay has listed it, in place of the three above
  std::uint32_t limit = 0;    // List: of ids
  // Who made the offer; Delete: the last one, or empty; PlayDtmf: who has pressed the key.
  std::string_view from_tag;
  std::string_view to_tag;    // who answered; Answer only
  std::string_view sdp;
  MediaLeg towards = MediaLeg::Plain;             // who gets the result
  bool zero_address_is_no_hold = false;           // c=0.0.0.0 of a browser means "no candidate yet"
  bool may_play = false;           // Offer, Answer: PlayDtmf may follow, which costs the relay work
  std::uint8_t event = 0;          // PlayDtmf: RFC 4733 3.2, 0 to 15
  std::uint16_t milliseconds = 0;  // the same
  std::string_view interface_from, interface_to;  // rtpengine's logical interfaces; may be empty
};

// The id of one media session at the relay. It begins with its owner, so that each finds its own
// there again, and ends with the leg, because a call that passes the gateway twice has two.
//
//    "rw" gateway (8 hex) shard (2 hex) "-" leg (8 hex) "-" Call-ID
void write_media_id(const RelayOwner& owner, std::string_view call_id, std::uint32_t leg,
                    Writer& out);
struct MediaId {
  RelayOwner owner;
  std::uint32_t leg = 0;
  std::string_view call_id;
};
// nullopt: none of any gateway's.
std::optional<MediaId> parse_media_id(std::string_view text);

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
  std::string_view whole;   // the dictionary
  // Another relay may do what this one does not.
  bool is_refusal() const { return result == Result::LoadLimit || result == Result::NoPorts; }
};
// nullopt: not a reply (an event of the relay's own, or nothing that can be read).
std::optional<RelayReply> parse_relay_reply(std::string_view dictionary);

// What a relay counted of one session, from its answer to Delete or Query.
struct RelayTotals {
  bool known = false;
  // RTP that came from the sides with these two tags.
  std::array<std::uint64_t, 2> packets{}, bytes{};
};
RelayTotals read_totals(const RelayReply& reply, std::array<std::string_view, 2> tags);

}  // namespace ringway
