#pragma once

#include <array>
#include <string>
#include <vector>

#include "bench/load/channel.h"

namespace ringway::load {

// A UDP socket: recvmmsg and sendmmsg, a batch each turn. Messages of one length to one peer leave
// as one (UDP_SEGMENT), which the kernel cuts apart before anybody sees them: it spares the
// generator's core, not the server's.
class UdpChannel : public Channel {
 public:
  // Binds to local, or to a free port of the address that reaches target. Exits with a word if it
  // cannot.
  UdpChannel(Loop& loop, ChannelUser& user, const Address& target, const Address* local);
  ~UdpChannel() override;

  void send(std::string_view message, const Address* destination) override;
  bool is_open() const override { return true; }
  void drop() override {}
  void flush() override;

  std::uint64_t send_failures() const { return send_failures_; }

 private:
  static constexpr std::size_t kBatch = 64;
  static constexpr std::size_t kTrainMax = 32;
  static constexpr std::size_t kTrainPieceMax = 1'452;  // bytes that need no fragments

  void receive();
  // How many messages from queue_[begin] on may leave as one.
  std::size_t train_from(std::size_t begin) const;

  Loop& loop_;
  ChannelUser& user_;
  Address target_;
  int fd_ = -1;
  uv_poll_t* poll_ = nullptr;       // closed by libuv after the channel has gone
  std::vector<std::string> queue_;  // the first queued_ are waiting; the rest keep their memory
  std::vector<Address> destinations_;
  std::size_t queued_ = 0;
  bool trains_ = true;  // until the kernel refuses one
  std::uint64_t send_failures_ = 0;
  std::vector<std::array<char, 65536>> buffers_;
};

}  // namespace ringway::load
