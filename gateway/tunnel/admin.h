#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "gateway/base/endpoint.h"
#include "gateway/base/own_hosts.h"
#include "gateway/base/slot_table.h"
#include "gateway/reactor/kernel.h"
#include "gateway/reactor/receive_buffers.h"
#include "gateway/tunnel/numbers.h"

namespace ringway::tunnel {

// A listening TCP socket. The descriptor, or a sentence that says what to do.
[[nodiscard]] std::expected<int, std::string> listen_on(const Endpoint& endpoint,
                                                        const std::string& text);

// The page of counters: Prometheus' text form. end: "controller" or "relay".
std::string metrics_page(const Numbers& numbers, std::string_view end);

// The admin port: GET /metrics, /status and /healthz, one request for each connection. It changes
// nothing. Host has to name us (OwnHosts): 421 otherwise (RFC 9110 15.5.20). Bound:
// kConnectionsMax; a new one ends the oldest.
class Admin {
 public:
  static constexpr std::uint32_t kConnectionsMax = 32;

  // What the pages say.
  class Pages {
   public:
    virtual std::string metrics() = 0;
    virtual std::string status() = 0;

   protected:
    ~Pages() = default;
  };

  // fd: listens, and is owned from now on; -1: no admin port. local: where. buffers: a group for
  // streams.
  Admin(Kernel& kernel, ReceiveBuffers& buffers, int fd, const Address& local, OwnHosts hosts,
        Pages& pages);
  ~Admin();
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  // A completion of kind Accept at kAdminListener, or with kAdminTag.
  void completed(const Completion& completion);
  void arm();

 private:
  struct Visit {
    int fd = -1;
    bool receiving = false, sending = false, over = false;
    std::uint64_t number = 0;  // the how manieth
    std::string request, answer;
  };

  void serve(SlotId id, Visit& visit);
  std::string answer_to(const Visit& visit);
  void end(SlotId id, Visit& visit);
  void end_oldest();

  Kernel& kernel_;
  ReceiveBuffers& buffers_;
  int fd_;
  bool armed_ = false;
  Address local_;
  OwnHosts hosts_;
  Pages& pages_;
  SlotTable<Visit> visits_;
  std::uint64_t count_ = 0;
};

}  // namespace ringway::tunnel
