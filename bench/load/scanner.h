#pragma once

#include <array>
#include <memory>
#include <string>

#include "bench/load/channel.h"
#include "bench/load/udp_channel.h"

namespace ringway::load {

// The requests that SIP scanners send: OPTIONS and REGISTER guesses, INVITEs to foreign numbers,
// and noise that is no SIP. Does not wait for answers.
class Scanner : public ChannelUser {
 public:
  Scanner(Loop& loop, const Options& options);

  void send();
  std::uint64_t sent() const { return sent_; }
  std::uint64_t answers() const { return answers_; }

  void channel_opened(Channel&) override {}
  void channel_received(Channel&, std::string_view, const Address*) override { ++answers_; }
  void channel_closed(Channel&) override {}

 private:
  const Options& options_;
  std::unique_ptr<UdpChannel> udp_;
  std::uint64_t sent_ = 0;
  std::uint64_t answers_ = 0;
};

}  // namespace ringway::load
