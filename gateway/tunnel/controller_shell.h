#pragma once

#include <expected>
#include <string>

#include "gateway/tunnel/controller_end.h"
#include "gateway/tunnel/end_shell.h"
#include "gateway/tunnel/listeners.h"

namespace ringway::tunnel {

// The controller end with its sockets.
class ControllerShell final : public EndShell, private ControllerOutside {
 public:
  // listeners: open, and outlives this object.
  ControllerShell(const Process& process, Listeners& listeners);
  ~ControllerShell();

  // admin_fd: as EndShell::open() takes it.
  [[nodiscard]] std::expected<void, std::string> start(int admin_fd);

 private:
  Instant next_deadline() const override;
  void expire() override;
  void stop() override { end_.stop(now()); }
  void arm() override { listeners_.arm(); }
  void completed(const Completion& completion) override;
  std::uint16_t links() const override { return end_.links(); }
  std::string status() override { return end_.status(); }

  void on_connected(std::uint16_t place) override { end_.connected(place, now()); }
  void on_opened(std::uint16_t place) override { end_.opened(place, now()); }
  void on_received(std::uint16_t place, Bytes bytes) override;
  void on_closed(std::uint16_t place, const std::string& reason) override;
  Link& link_at(std::uint16_t place) override { return end_.link(place); }

  Sent send_datagram(const SourceName& to, Bytes bytes) override;
  void connect(std::uint16_t link, const Endpoint& to) override { connections_->connect(link, to); }
  void close(std::uint16_t link) override { connections_->close(link); }
  void say(const std::string& text) override { say_line(text); }

  Listeners& listeners_;
  ControllerEnd end_;
};

}  // namespace ringway::tunnel
