#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "gateway/reactor/reactor.h"
#include "gateway/reactor/receive_buffers.h"
#include "gateway/tunnel/admin.h"
#include "gateway/tunnel/connections.h"
#include "gateway/tunnel/numbers.h"
#include "gateway/tunnel/settings.h"
#include "gateway/tunnel/voice.h"
#include "tls/context.h"

namespace ringway::tunnel {

// What a process lends to its end; all of it outlives the end.
struct Process {
  const Settings& settings;
  const tls::TlsContext* tls;        // nullptr: plain TCP
  HashKey cookie_key;                // of the controller end
  int wake_fd;                       // an eventfd that a signal writes to
  const std::atomic<bool>& stopped;  // set before wake_fd is written to
};

// What both ends have: the reactor with its loop, the connections between them and the admin port.
// An end adds its sockets of datagrams and its sans-IO machine.
class EndShell : public ConnectionOwner, public Admin::Pages {
 public:
  explicit EndShell(const Process& process);
  EndShell(const EndShell&) = delete;
  EndShell& operator=(const EndShell&) = delete;

  // Serves until the process is stopped. Errors: the kernel failed; a sentence.
  [[nodiscard]] std::expected<void, std::string> loop();

 protected:
  ~EndShell();

  // places: of connections. admin_fd listens, or is -1; it is owned from now on.
  [[nodiscard]] std::expected<void, std::string> open(std::uint16_t places, int admin_fd);

  virtual Instant next_deadline() const = 0;
  virtual void expire() = 0;
  // The loop is over.
  virtual void stop() = 0;
  // Once a turn, after all completions.
  virtual void arm() = 0;
  // What is neither of a connection nor of the admin port.
  virtual void completed(const Completion& completion) = 0;
  virtual std::uint16_t links() const = 0;

  Kernel& kernel() { return reactor_.kernel(); }
  Instant now() const { return reactor_.now(); }
  void say_line(const std::string& text) { voice_.say(text, now()); }
  void say_now_and_then(const std::string& text) { voice_.say_now_and_then(text, now()); }

  const Settings& settings_;
  const tls::TlsContext* tls_;
  Numbers numbers_;
  // A derived end calls reactor_.end() before its sockets go: the kernel still has their buffers.
  Counters counters_;
  Waker waker_;
  Reactor reactor_;
  std::unique_ptr<Connections> connections_;

 private:
  void dispatch(const Completion& completion);
  std::string metrics() override;

  const std::atomic<bool>& stopped_;
  Voice voice_;
  ReceiveBuffers buffers_;
  std::unique_ptr<Admin> admin_;
};

}  // namespace ringway::tunnel
