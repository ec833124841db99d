#pragma once

#include <cstdint>

namespace ringway {

using ShardIndex = std::uint8_t;

// Names one stream connection (TCP, TLS, WS, WSS) of this process: shard 8 bits, slot 24,
// generation 32. A slot that is used again has another generation, so an old id never names a
// new connection. Value 0 is "no flow": generations start at 1.
class FlowId {
 public:
  constexpr FlowId() = default;
  constexpr FlowId(ShardIndex shard, std::uint32_t slot, std::uint32_t generation)
      : value_((std::uint64_t{shard} << 56) | (std::uint64_t{slot & 0xff'ffff} << 32) |
               generation) {}
  static constexpr FlowId from_value(std::uint64_t value) {
    FlowId id;
    id.value_ = value;
    return id;
  }

  constexpr ShardIndex shard() const { return static_cast<ShardIndex>(value_ >> 56); }
  constexpr std::uint32_t slot() const {
    return static_cast<std::uint32_t>(value_ >> 32) & 0xff'ffff;
  }
  constexpr std::uint32_t generation() const { return static_cast<std::uint32_t>(value_); }
  constexpr std::uint64_t value() const { return value_; }
  constexpr explicit operator bool() const { return value_ != 0; }
  friend constexpr bool operator==(FlowId, FlowId) = default;

 private:
  std::uint64_t value_ = 0;
};

}  // namespace ringway
