#pragma once

#include <expected>
#include <string>
#include <vector>

#include "gateway/tunnel/end_shell.h"
#include "gateway/tunnel/relay_end.h"
#include "gateway/tunnel/targets.h"

namespace ringway::tunnel {

// The relay end with its sockets.
class RelayShell final : public EndShell, private RelayOutside {
 public:
  // listen_fd: listens for controller ends; owned from now on.
  RelayShell(const Process& process, int listen_fd);
  ~RelayShell();

  // admin_fd: as EndShell::open() takes it.
  [[nodiscard]] std::expected<void, std::string> start(int admin_fd);

 private:
  Instant next_deadline() const override;
  void expire() override { end_.expire(now()); }
  void stop() override {}
  void arm() override;
  void completed(const Completion& completion) override;
  std::uint16_t links() const override { return end_.links(); }
  std::string status() override { return end_.status(); }

  void accept(int fd);
  void on_connected(std::uint16_t) override {}
  void on_opened(std::uint16_t place) override { end_.opened(place, now()); }
  void on_received(std::uint16_t place, Bytes bytes) override;
  void on_closed(std::uint16_t place, const std::string& reason) override;
  Link& link_at(std::uint16_t place) override { return end_.link(place); }

  bool open_target(SlotId socket) override { return targets_.open(socket); }
  Sent send_target(SlotId socket, Bytes message) override { return targets_.send(socket, message); }
  void close_target(SlotId socket) override { targets_.close(socket); }
  void close(std::uint16_t link) override { connections_->close(link); }
  void say(const std::string& text) override { say_line(text); }
  void complain(std::uint16_t link, const std::string& reason) override;

  int listen_fd_;
  bool accepting_ = false;
  Instant accept_at_{};        // not before, after accepting failed
  std::vector<Address> from_;  // whose connection; by place
  Targets targets_;
  RelayEnd end_;
};

}  // namespace ringway::tunnel
