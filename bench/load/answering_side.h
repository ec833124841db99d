#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "bench/load/channel.h"
#include "bench/load/sip_text.h"
#include "bench/load/stream_channel.h"
#include "bench/load/udp_channel.h"

namespace ringway::load {

// Answers requests where they come in: 180 and 200 with SDP for INVITE, 200 for the rest, nothing
// for ACK. Keeps no state: retransmitted requests get the same answer (the To tag is a hash of the
// Call-ID), and a 2xx that gets lost is sent again when the INVITE comes again.
class AnsweringSide : public ChannelUser {
 public:
  AnsweringSide(Loop& loop, const Options& options);
  ~AnsweringSide() override;

  // Writes the answers to request into channel. local is the Contact's host and port.
  void answer(Channel& channel, const Message& request, const Address* source,
              const std::string& contact);

  std::uint64_t requests() const { return requests_; }

  void channel_opened(Channel&) override {}
  void channel_received(Channel& channel, std::string_view text, const Address* source) override;
  void channel_closed(Channel&) override {}

 private:
  std::unique_ptr<UdpChannel> udp_;
  std::unique_ptr<StreamListener> tcp_;
  std::unique_ptr<StreamListener> tls_;
  SSL_CTX* tls_context_ = nullptr;
  std::string udp_contact_;
  std::string stream_contact_;  // of the TCP or the TLS side, whichever there is
  std::string sdp_;
  std::string response_;
  Message message_;
  std::uint64_t requests_ = 0;
};

}  // namespace ringway::load
