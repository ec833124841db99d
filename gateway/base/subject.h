#pragma once

#include <cstdint>

#include "gateway/base/slot_table.h"

namespace ringway {

// What a deadline or a failed send was about. The top byte of a timer's payload and of a Ticket.
enum class Subject : std::uint8_t {
  None,
  ServerRetransmit,
  ServerLifetime,
  ClientRetransmit,
  ClientLifetime,  // deadlines of transactions
  ServerHold,      // a response that waits for its time
  ServerSend,
  ClientSend,  // tickets
  Context,     // deadline or lookup of a request being forwarded
  Relay,       // deadline of a relay request
  UserAgent,   // deadline of a binding or a grace
  Call,
  Probe,
  RelayWatch,  // pings to media relays, and the search for orphans
  Fraud,   // deadline of a call that a fraud rule watches
  Tarpit,  // end of a flow that is held without an answer
};
constexpr std::uint64_t subject_value(Subject subject, SlotId id) {
  return (std::uint64_t{static_cast<std::uint8_t>(subject)} << 56) | id.packed();
}
constexpr Subject subject_of(std::uint64_t value) {
  return static_cast<Subject>(value >> 56);
}

}  // namespace ringway
