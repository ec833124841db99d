#pragma once

#include <cstdint>

#include "gateway/base/slot_table.h"

namespace ringway {

// What a completion is about. gateway/shard/dispatch.cc has the one switch over it.
enum class OperationKind : std::uint8_t {
  None,             // a result that nobody waits for
  WakeEvent,        // the eventfd was written by a thread without a kernel of this kind
  WakeShard,        // another shard has mail for this one
  Accept,           // slot: place among the acceptors
  ReceiveDatagram,  // slot: place among the sockets for datagrams
  SendDatagram,     // slot: place in the datagrams' send table
  ReceiveStream,    // slot, generation: stream
  SendStream,
  Connect,
};

// The 64 bits that name an operation to the kernel and come back with its completions: kind 8,
// slot 24, generation 32. What outlived its target is told by the generation.
struct Operation {
  OperationKind kind = OperationKind::None;
  SlotId id;

  std::uint64_t packed() const {
    return (std::uint64_t{static_cast<std::uint8_t>(kind)} << 56) | id.packed();
  }
  static Operation unpack(std::uint64_t value) {
    return {static_cast<OperationKind>(value >> 56), SlotId::unpack(value & 0xff'ffff'ffff'ffff)};
  }
};

// One result from the kernel.
struct Completion {
  Operation operation;
  std::int32_t result = 0;  // bytes or a descriptor; negative: -errno
  std::uint16_t buffer = 0;
  bool has_buffer = false;  // buffer is lent until given back to its ReceiveBuffers
  bool more = false;        // a multishot operation goes on
};

}  // namespace ringway
