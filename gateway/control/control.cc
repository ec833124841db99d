#include "gateway/control/control.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "gateway/control/service_manager.h"

namespace ringway {
namespace {

constexpr std::uint64_t kLogInterval = 50, kFileInterval = 1'000, kHealthInterval = 500;  // ms
constexpr std::uint64_t kTicketInterval = 12ull * 3'600 * 1'000;
constexpr std::size_t kUnsentMax = 4'096;  // messages for one shard

void close_handle(void* handle) {
  auto* one = static_cast<uv_handle_t*>(handle);
  if (one->loop && !uv_is_closing(one)) uv_close(one, nullptr);
}

std::uint64_t milliseconds(Duration duration) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(duration / 1ms, 1));
}

// The folder that systemd made for the service (RuntimeDirectory=), if the config names no socket.
std::string socket_path(const CtlConfig& ctl) {
  if (!ctl.socket.empty()) return ctl.socket;
  const char* const folder = std::getenv("RUNTIME_DIRECTORY");
  return folder && folder[0] == '/' ? std::string(folder) + "/control.sock" : "";
}

}  // namespace

Control::Control(Setup setup)
    : setup_(std::move(setup)),
      config_(setup_.config),
      listeners_(std::move(setup_.listeners)),
      judge_({config_.bans.failures, config_.bans.within}),
      start_seconds_(
          std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
              .count()) {
  uv_loop_init(&loop_);
  loop_.data = this;
  uv_async_init(&loop_, &async_,
                [](uv_async_t* async) { static_cast<Control*>(async->data)->read_shards(); });
  async_.data = this;
  for (uv_timer_t* timer :
       {&log_timer_, &file_timer_, &drain_timer_, &ticket_timer_, &health_timer_,
        &watchdog_timer_}) {
    uv_timer_init(&loop_, timer);
    timer->data = this;
  }
  for (uv_signal_t& signal : signals_) {
    uv_signal_init(&loop_, &signal);
    signal.data = this;
  }
}

Control::~Control() {
  close_all();
  uv_run(&loop_, UV_RUN_DEFAULT);
  uv_loop_close(&loop_);
}

Log::Queue& Control::log_queue(std::size_t shard) {
  constexpr std::size_t kRecordsMax = 1024;
  while (queues_.size() <= shard) queues_.push_back(std::make_unique<Log::Queue>(kRecordsMax));
  return *queues_[shard];
}

std::function<void()> Control::wake() {
  return [this] { uv_async_send(&async_); };
}

std::expected<void, std::string> Control::open() {
  auto resolver = Resolver::open(&loop_, config_.nameservers);
  if (!resolver) return std::unexpected(resolver.error());
  resolver_ = std::move(*resolver);
  next_hops_ = std::make_unique<NextHopLookups>(
      &loop_, *resolver_, setup_.log, [this](std::shared_ptr<const NextHopSnapshot> snapshot) {
        if (!shards_) {
          first_next_hops_ = std::move(snapshot);
          return;
        }
        send_all(PublishNextHops{std::move(snapshot)});
        next_hops_sent_ += shards_->size();
      });
  if (config_.admin.enabled) {
    auto token = read_admin_token(config_);
    if (!token) return std::unexpected(token.error());
    admin_token_ = std::move(*token);
    auto admin =
        AdminServer::open(&loop_, config_.admin.address, [this](const AdminRequest& request) {
          serving_ = admin_.get();
          return serve(request);
        });
    if (!admin) return std::unexpected(admin.error());
    admin_ = std::move(*admin);
    name_admin();
  }
  if (const std::string path = socket_path(config_.ctl); !path.empty()) {
    auto socket = AdminServer::open_socket(&loop_, path, config_.ctl.group,
                                           [this](const AdminRequest& request) {
                                             serving_ = socket_.get();
                                             return serve(request);
                                           });
    if (!socket) return std::unexpected(socket.error());
    socket_ = std::move(*socket);
  }
  return {};
}

void Control::follow(int descriptor) {
  follow_descriptor_ = descriptor;
  uv_poll_init(&loop_, &follow_, descriptor);
  follow_.data = this;
  uv_poll_start(&follow_, UV_READABLE, [](uv_poll_t* poll, int, int) {
    auto* control = static_cast<Control*>(poll->data);
    char text[4096];
    const ssize_t size = read(control->follow_descriptor_, text, sizeof text);
    if (size <= 0) {
      uv_poll_stop(poll);
      control->setup_.log.event(LogLevel::Warning, "lab_ended", {});
      return;
    }
    control->setup_.log.event(LogLevel::Debug, "lab",
                              {{"output", std::string_view(text, static_cast<std::size_t>(size))}});
  });
}

std::shared_ptr<const NextHopSnapshot> Control::first_next_hops(Duration patience) {
  next_hops_->set(config_.next_hops);
  bool over = false;
  log_timer_.data = &over;
  uv_timer_start(
      &log_timer_, [](uv_timer_t* timer) { *static_cast<bool*>(timer->data) = true; },
      milliseconds(patience), 0);
  while (!over && !next_hops_->all_tried()) uv_run(&loop_, UV_RUN_ONCE);
  uv_timer_stop(&log_timer_);
  log_timer_.data = this;
  return std::move(first_next_hops_);
}

int Control::run(std::vector<std::unique_ptr<Shard>>& shards) {
  shards_ = &shards;
  unsent_.resize(shards.size());
  start_timers();
  start_signals();
  start_watchdog();
  watch_files();
  judge_certificates();
  next_hops_->set(config_.next_hops);
  judge();
  check_ready();
  uv_run(&loop_, UV_RUN_DEFAULT);
  drain_logs();
  return exit_code_;
}

void Control::start_timers() {
  uv_timer_start(
      &log_timer_,
      [](uv_timer_t* timer) {
        auto* control = static_cast<Control*>(timer->data);
        control->drain_logs();
        control->flush_mail();
        control->read_evidence();
      },
      kLogInterval, kLogInterval);
  uv_timer_start(
      &file_timer_, [](uv_timer_t* timer) { static_cast<Control*>(timer->data)->check_files(); },
      kFileInterval, kFileInterval);
  uv_timer_start(
      &ticket_timer_,
      [](uv_timer_t* timer) { static_cast<Control*>(timer->data)->rotate_tickets(); },
      kTicketInterval, kTicketInterval);
  uv_timer_start(
      &health_timer_, [](uv_timer_t* timer) { static_cast<Control*>(timer->data)->judge(); },
      kHealthInterval, kHealthInterval);
}

void Control::start_signals() {
  const auto on_signal = [](uv_signal_t* handle, int number) {
    auto* control = static_cast<Control*>(handle->data);
    if (number == SIGHUP) {
      control->reload("SIGHUP");
    } else {
      control->begin_drain(number);
    }
  };
  uv_signal_start(&signals_[0], on_signal, SIGTERM);
  uv_signal_start(&signals_[1], on_signal, SIGINT);
  uv_signal_start(&signals_[2], on_signal, SIGHUP);
}

// Ready means that each configured next hop was tried and that every shard knows what came of it: a
// call that comes now finds either its addresses or that there are none.
void Control::check_ready() {
  if (ready_ || !shards_ || !next_hops_->all_tried()) return;
  if (next_hops_taken_ < next_hops_sent_) return;
  ready_ = true;
  nlohmann::json list = nlohmann::json::array();
  std::string text;
  for (const ListenerInfo& listener : listeners_.infos()) {
    if (listener.config.removed) continue;
    const std::string address = text_of(listener.local);
    list.push_back({{"name", listener.config.name},
                    {"transport", to_text(listener.config.transport)},
                    {"address", address}});
    text +=
        (text.empty() ? "" : " ") + std::string(to_text(listener.config.transport)) + ":" + address;
  }
  setup_.log.event_with_json(LogLevel::Info, "ready", "listeners", list.dump(), text);
  notify_service_manager("READY=1");
}

void Control::drain_logs() {
  for (const auto& queue : queues_) {
    while (LogRecord* record = queue->front()) {
      setup_.log.write(*record);
      queue->pop();
    }
  }
}

// --- Mail --------------------------------------------------------------------------------------

// A full mailbox is tried again every kLogInterval; order is kept.
void Control::send(std::size_t shard, ToShard&& message) {
  std::deque<ToShard>& unsent = unsent_[shard];
  if (unsent.empty() && (*shards_)[shard]->control().send(std::move(message))) return;
  if (unsent.size() >= kUnsentMax) {
    setup_.log.event(LogLevel::Error, "shard_mailbox_full", {{"shard", shard}});
    return;
  }
  unsent.push_back(std::move(message));
}

void Control::flush_mail() {
  for (std::size_t i = 0; i < unsent_.size(); ++i) {
    while (!unsent_[i].empty() && (*shards_)[i]->control().send(std::move(unsent_[i].front()))) {
      unsent_[i].pop_front();
    }
  }
}

void Control::resolve(std::size_t shard, const ResolveName& ask) {
  Question question;
  question.host = std::string(ask.name());
  question.port = ask.port;
  question.transport = ask.transport;
  question.transport_given = ask.transport_given;
  question.secure = ask.secure;
  resolver_->resolve(question, [this, shard, ticket = ask.ticket](const Resolution& resolution) {
    send(shard, Resolved{ticket, resolution});
  });
}

void Control::read_shards() {
  if (!shards_) return;
  for (std::size_t i = 0; i < shards_->size(); ++i) {
    ControlPort& port = (*shards_)[i]->control();
    while (FromShard* front = port.front()) {
      FromShard message = std::move(*front);
      port.pop();
      if (auto* ask = std::get_if<ResolveName>(&message)) {
        resolve(i, *ask);
      } else if (auto* report = std::get_if<Report>(&message)) {
        collect(*report);
      } else if (std::holds_alternative<NextHopsTaken>(message)) {
        ++next_hops_taken_;
        check_ready();
      } else if (const auto* answer = std::get_if<Alive>(&message)) {
        alive(answer->round);
      } else if (std::holds_alternative<Drained>(message)) {
        if (++drained_ == shards_->size()) return stop();
      } else if (auto* failed = std::get_if<ShardFailed>(&message)) {
        setup_.log.event(LogLevel::Error, "shard_failed", {{"reason", failed->text}});
        exit_code_ = 1;
        return stop();
      }
    }
  }
}

// --- The end -----------------------------------------------------------------------------------

void Control::begin_drain(int number) {
  if (draining_) return stop();  // the second signal means now
  draining_ = true;
  notify_service_manager("STOPPING=1");
  setup_.log.event(LogLevel::Info, "draining",
                   {{"signal", number == SIGINT ? "SIGINT" : "SIGTERM"},
                    {"seconds_at_most", config_.timers.drain / 1s}});
  send_all(Drain{});
  // The shards end by themselves: at that time they release what calls are left and close what is
  // open. This is for one that does not.
  constexpr Duration kReleaseAndClose = 6s;
  uv_timer_start(
      &drain_timer_, [](uv_timer_t* timer) { static_cast<Control*>(timer->data)->stop(); },
      milliseconds(config_.timers.drain + kReleaseAndClose), 0);
}

void Control::stop() {
  if (stopped_) return;
  stopped_ = true;
  for (std::deque<ToShard>& unsent : unsent_) unsent.clear();
  for (std::size_t i = 0; i < shards_->size(); ++i) {
    // A shard that has failed reads no more; it has ended by itself.
    for (int n = 0; n < 1'000 && !(*shards_)[i]->control().send(Stop{}); ++n) uv_sleep(1);
  }
  for (const auto& shard : *shards_) shard->join();
  drain_logs();
  setup_.log.event(LogLevel::Info, "stopped", {});
  close_all();
}

void Control::close_all() {
  if (admin_) admin_->close();
  if (socket_) socket_->close();
  if (next_hops_) next_hops_->close();
  if (resolver_) resolver_->close();
  close_handle(&async_);
  for (uv_timer_t* timer :
       {&log_timer_, &file_timer_, &drain_timer_, &ticket_timer_, &health_timer_,
        &watchdog_timer_}) {
    close_handle(timer);
  }
  for (uv_signal_t& signal : signals_) close_handle(&signal);
  if (follow_descriptor_ >= 0) close_handle(&follow_);
}

}  // namespace ringway
