#pragma once

#include <uv.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/control/admin_server.h"
#include "gateway/control/log_writer.h"
#include "gateway/control/resolver.h"
#include "gateway/shard/shard.h"
#include "tls/context.h"

namespace ringway {

// The control thread (the process's first): logs, DNS, admin pages, reload and signals. It reaches
// shards only by mailbox and may wait for anything.
class Control {
 public:
  struct Setup {
    const Config& config;
    LogWriter& log;
    tls::TicketKeys ticket_keys;
    std::shared_ptr<const FilterRules> filter;
    std::vector<ListenerInfo> listeners;  // for the ready event
  };
  explicit Control(Setup setup);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  // Opens the admin port and the resolver. Errors: one clear line.
  [[nodiscard]] std::expected<void, std::string> open();
  // What shards call after they queued a message; any thread.
  std::function<void()> wake();
  // The queue that a shard writes its events to; made when first asked for, before run().
  Log::Queue& log_queue(std::size_t shard);
  // Also follows text lines of a descriptor (a child's output) and logs them at debug level.
  void follow(int descriptor);

  // Serves until a signal has ended it; the exit code of the process.
  int run(std::vector<std::unique_ptr<Shard>>& shards);

 private:
  void drain_logs();
  void read_shards();
  void resolve_next_hops();
  void publish_next_hops();
  void reload(std::string_view reason);
  void check_files();
  void begin_drain(int signal);
  void stop();
  std::optional<AdminAnswer> serve(std::string_view path, std::uint64_t request);
  void answer_calls(std::uint64_t request);
  template <typename Message>
  void send_all(const Message& message);
  void close_all();

  Setup setup_;
  uv_loop_t loop_{};
  uv_async_t async_{};
  uv_timer_t log_timer_{}, dns_timer_{}, file_timer_{}, drain_timer_{}, ticket_timer_{};
  uv_signal_t signals_[3]{};
  uv_poll_t follow_{};
  int follow_descriptor_ = -1;
  std::vector<std::unique_ptr<Log::Queue>> queues_;
  std::vector<std::unique_ptr<Shard>>* shards_ = nullptr;
  std::unique_ptr<Resolver> resolver_;
  std::unique_ptr<AdminServer> admin_;
  NextHopSnapshot snapshot_;
  std::size_t snapshot_pending_ = 0;
  std::map<std::string, std::int64_t> file_times_;
  struct PendingCalls {
    std::size_t shards_left = 0;
    std::vector<CallLine> calls;
  };
  std::map<std::uint64_t, PendingCalls> pending_calls_;
  double start_seconds_;
  bool draining_ = false;
  bool stopped_ = false;
  std::size_t drained_ = 0;
  int exit_code_ = 0;
};

// sd_notify by hand: one datagram to the service manager, if there is one.
void notify_service_manager(std::string_view state);

}  // namespace ringway
