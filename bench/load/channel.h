#pragma once

#include <string>
#include <string_view>

#include "bench/load/loop.h"
#include "bench/load/options.h"

// A flow as the user agents see it: whole SIP messages in and out, whatever carries them.

namespace ringway::load {

class Channel;

class ChannelUser {
 public:
  virtual ~ChannelUser() = default;
  virtual void channel_opened(Channel& channel) = 0;
  // text is valid during the call. source is null except for datagrams.
  virtual void channel_received(Channel& channel, std::string_view text, const Address* source) = 0;
  // Once, also for a connection that never opened. The channel is of no more use; do not destroy it
  // inside the call.
  virtual void channel_closed(Channel& channel) = 0;
};

class Channel : public Flushable {
 public:
  // Queues one message; it leaves at the end of the turn. destination matters for datagrams only,
  // null means the target.
  virtual void send(std::string_view message, const Address* destination) = 0;
  virtual bool is_open() const = 0;
  // Abruptly, as a browser that loses its network; channel_closed() is not called.
  virtual void drop() = 0;

  bool resumed() const { return resumed_; }  // TLS session
  const Address& local() const { return local_; }
  std::size_t index = 0;  // the user's

 protected:
  Address local_;
  bool resumed_ = false;
};

// Fills text and port from storage.
void fill_numeric(Address& address);
// "ADDRESS:PORT" as it stands in a URI.
std::string host_port(const Address& address);

}  // namespace ringway::load
