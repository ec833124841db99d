#pragma once

#include <uv.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "gateway/admission/ban_judge.h"
#include "gateway/admission/bans.h"
#include "gateway/config/config.h"
#include "gateway/config/document.h"
#include "gateway/config/reload_plan.h"
#include "gateway/control/admin_server.h"
#include "gateway/control/conditions.h"
#include "gateway/control/listener_book.h"
#include "gateway/control/log_writer.h"
#include "gateway/control/next_hop_lookups.h"
#include "gateway/control/resolver.h"
#include "gateway/control/setup.h"
#include "gateway/control/tls_setup.h"
#include "gateway/shard/shard.h"
#include "tls/context.h"

namespace ringway {

// The control thread (the process's first): logs, DNS, admin pages, reload and signals. It reaches
// shards only by mailbox and waits for nobody: not for a reader of its log, not for a name server,
// not for an HTTP client, not for a shard whose mailbox is full.
//
//   control.cc   start, mail, signals, the end
//   reload.cc    files and configuration
//   pages.cc     what the admin address and the control socket answer
//   tables.cc    the tables among that
//   commands.cc  what they command
//   bans.cc      who is kept out
//   watchdog.cc  the service manager's watchdog
class Control {
 public:
  struct Setup {
    const Config& config;  // as the shards were started with
    LogWriter& log;
    tls::TicketKeys ticket_keys;
    std::shared_ptr<const FilterRules> filter;
    HeldListeners listeners;  // of each shard
    std::string file{};  // that a reload reads; empty: only certificates and rules are read again
    std::vector<std::shared_ptr<const TlsSettings>> tls{};  // by shard
    std::shared_ptr<const StaticPages> pages{};
    Bans* bans = nullptr;    // outlives the control thread; null: nobody is ever banned
    TlsMemory tls_memory{};  // of the call that made tls
  };
  explicit Control(Setup setup);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  // Opens the admin port, the control socket and the resolver. Errors: one clear line.
  [[nodiscard]] std::expected<void, std::string> open();
  // What shards call after they queued a message; any thread.
  std::function<void()> wake();
  // The queue that a shard writes its events to; made when first asked for, before run().
  Log::Queue& log_queue(std::size_t shard);
  // Also follows text lines of a descriptor (a child's output) and logs them at debug level.
  void follow(int descriptor);

  // Where next hops lead, for shards that begin: what is known after patience at the latest. What
  // waits in their sockets (a restart) is then not refused for want of an address.
  std::shared_ptr<const NextHopSnapshot> first_next_hops(Duration patience);

  // Serves until a signal has ended it; the exit code of the process.
  int run(std::vector<std::unique_ptr<Shard>>& shards);

 private:
  // control.cc
  void start_timers();
  void start_signals();
  void drain_logs();
  void read_shards();
  void resolve(std::size_t shard, const ResolveName& ask);
  void send(std::size_t shard, ToShard&& message);
  template <typename Message>
  void send_all(const Message& message) {
    for (std::size_t i = 0; i < shards_->size(); ++i) send(i, ToShard(message));
  }
  void flush_mail();
  void check_ready();
  void begin_drain(int signal);
  void stop();
  void close_all();

  // watchdog.cc
  void start_watchdog();
  void begin_round();
  void alive(std::uint64_t round);

  // reload.cc
  struct Reloaded {
    std::vector<std::string> mistakes;  // not empty: nothing was changed
    ReloadPlan plan;
  };
  Reloaded reload(std::string_view reason);
  Reloaded try_reload() const;  // what reload() would do
  std::expected<void, std::string> apply(const Config& next);
  void reload_files(std::string_view reason);
  void check_files();
  void watch_files();
  bool publish_lists();
  void tell_doubts(const SourceLists& lists);
  void rotate_tickets();
  void judge_certificates();

  // pages.cc
  void judge();
  void remind_of_ends();
  void look_for_addresses();
  void complain_of_hosts();
  void name_admin();
  std::vector<const Counters*> counters() const;
  std::optional<AdminAnswer> serve(const AdminRequest& request);
  std::optional<AdminAnswer> serve_table(const AdminRequest& request);
  AdminAnswer health_page(bool readiness) const;
  nlohmann::ordered_json status() const;
  AdminAnswer certificates_page() const;
  nlohmann::ordered_json next_hop_rows(const std::vector<ReportRow>& reported) const;
  std::string held(std::string_view what, const std::string& name) const;
  AdminAnswer relays_page() const;
  bool may(const AdminRequest& request) const;
  void collect(Report& report);
  void answer_report(std::uint64_t request, bool complete);

  // commands.cc
  std::optional<AdminAnswer> command(const AdminRequest& request);
  AdminAnswer reload_command(bool dry_run);
  void remember_held(const Query& query);
  AdminAnswer service_command(bool in_service);
  AdminAnswer log_level_command(std::string_view query);

  // bans.cc
  void read_evidence();
  BanTable::Ban ban(SourceKey source, BanScope scope, BanCause cause, Duration lasting);
  AdminAnswer bans_page(const std::string& name) const;
  AdminAnswer bans_part(const std::string& from) const;
  AdminAnswer ban_command(const AdminRequest& request);

  // A question to all shards on its way back to who asked.
  struct Pending {
    AdminServer* server = nullptr;
    std::uint64_t request = 0;  // the server's
    std::string_view list;      // key of the rows, "calls"; empty: a command
    std::string name;           // what the command is about
    std::size_t shards_left = 0;
    std::vector<ReportRow> rows;
    std::uint32_t done = 0;
    bool known = true;
    std::uint64_t until = 0;  // uv_now(): answered with what there is by then
  };
  void ask(const AdminRequest& request, Query query, std::string_view list);

  Setup setup_;
  Config config_;  // in force
  ListenerBook listeners_;
  std::uint64_t generation_ = 1;
  uv_loop_t loop_{};
  uv_async_t async_{};
  uv_timer_t log_timer_{}, file_timer_{}, drain_timer_{}, ticket_timer_{}, health_timer_{},
      watchdog_timer_{};
  uv_signal_t signals_[3]{};
  uv_poll_t follow_{};
  int follow_descriptor_ = -1;
  std::vector<std::unique_ptr<Log::Queue>> queues_;
  std::vector<std::unique_ptr<Shard>>* shards_ = nullptr;
  std::vector<std::deque<ToShard>> unsent_;  // by shard: what its mailbox had no place for
  std::unique_ptr<Resolver> resolver_;
  std::unique_ptr<NextHopLookups> next_hops_;
  std::shared_ptr<const NextHopSnapshot> first_next_hops_;  // until run()
  std::unique_ptr<AdminServer> admin_, socket_;
  std::string admin_token_;
  std::uint64_t misdirected_told_ = 0, misdirected_at_ = 0;  // in the log, and when
  std::uint64_t lists_refused_ = 0;
  std::map<std::string, std::int64_t> file_times_;
  std::vector<CertificateEnd> certificates_;
  std::string absent_address_;  // as conditions are judged by
  EndReminders reminders_;
  Readiness readiness_;
  // What a person holds: "next-hops/NAME" or "relays/ADDRESS", and the word for it.
  std::map<std::string, std::string> held_;
  BanJudge judge_;
  Duration utc_offset_ = utc_offset();  // that the shards' fraud rules go by
  std::map<std::uint64_t, Pending> pending_;
  std::uint64_t next_query_ = 1;
  AdminServer* serving_ = nullptr;  // whose request is being served
  double start_seconds_;
  bool ready_ = false;  // all configured next hops were tried, and all shards know them
  std::size_t next_hops_sent_ = 0, next_hops_taken_ = 0;  // snapshots, over all shards
  bool draining_ = false, stopped_ = false, out_of_service_ = false;
  std::size_t drained_ = 0;
  std::uint64_t round_ = 0;      // of the watchdog: what every shard was asked last
  std::size_t still_asked_ = 0;  // shards that have not answered it
  int exit_code_ = 0;
};

}  // namespace ringway
