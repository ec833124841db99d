#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/load/channel.h"

struct lws;
struct lws_context;

namespace ringway::load {

// libwebsockets' client nested in our loop; one for the program.
class WebSocketsClient {
 public:
  WebSocketsClient(Loop& loop, const Options& options);
  WebSocketsClient(const WebSocketsClient&) = delete;
  WebSocketsClient& operator=(const WebSocketsClient&) = delete;

  lws_context* context() { return context_; }
  const Options& options() const { return options_; }

 private:
  const Options& options_;
  lws_context* context_ = nullptr;
};

// One WebSocket with the "sip" subprotocol. Lives until the program ends: libwebsockets may still
// call for it.
class WebSocketsChannel : public Channel {
 public:
  WebSocketsChannel(Loop& loop, ChannelUser& user, WebSocketsClient& client);

  void send(std::string_view message, const Address* destination) override;
  bool is_open() const override { return open_; }
  void drop() override;
  void flush() override;

  // Called by libwebsockets' protocol callback; returns what that returns.
  int on_event(lws* wsi, int reason, void* in, std::size_t size);

 private:
  int write_queued(lws* wsi);
  void closed();

  Loop& loop_;
  ChannelUser& user_;
  lws* wsi_ = nullptr;
  bool open_ = false;
  bool finished_ = false;
  bool dropped_ = false;
  std::string input_;               // fragments of a message
  std::vector<std::string> queue_;  // the first queued_, each after LWS_PRE bytes of room
  std::size_t queued_ = 0;
  std::size_t written_ = 0;  // of the queued_
};

}  // namespace ringway::load
