#include "gateway/control/control.h"

#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>

#include "gateway/base/prefix.h"
#include "gateway/control/metrics_page.h"
#include "gateway/control/setup.h"

namespace ringway {
namespace {

constexpr std::uint64_t kLogInterval = 50, kFileInterval = 1'000;  // milliseconds
constexpr std::uint64_t kTicketInterval = 12ull * 3'600 * 1'000;
constexpr std::size_t kCallsMax = 1'000;

void close_handle(void* handle) {
  auto* one = static_cast<uv_handle_t*>(handle);
  if (one->loop && !uv_is_closing(one)) uv_close(one, nullptr);
}

std::int64_t modified(const std::string& path) {
  struct stat facts {};
  if (stat(path.c_str(), &facts) != 0) return 0;
  return std::int64_t{facts.st_mtim.tv_sec} * 1'000'000'000 + facts.st_mtim.tv_nsec;
}

std::uint64_t milliseconds(Duration duration) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(duration / 1ms, 1));
}

}  // namespace

Control::Control(Setup setup)
    : setup_(std::move(setup)),
      start_seconds_(
          std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
              .count()) {
  uv_loop_init(&loop_);
  loop_.data = this;
  uv_async_init(&loop_, &async_,
                [](uv_async_t* async) { static_cast<Control*>(async->data)->read_shards(); });
  async_.data = this;
  for (uv_timer_t* timer :
       {&log_timer_, &dns_timer_, &file_timer_, &drain_timer_, &ticket_timer_}) {
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
  auto resolver = Resolver::open(&loop_, setup_.config.nameservers);
  if (!resolver) return std::unexpected(resolver.error());
  resolver_ = std::move(*resolver);
  if (setup_.config.admin.enabled) {
    auto admin = AdminServer::open(
        &loop_, setup_.config.admin.address,
        [this](std::string_view path, std::uint64_t request) { return serve(path, request); });
    if (!admin) return std::unexpected(admin.error());
    admin_ = std::move(*admin);
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

int Control::run(std::vector<std::unique_ptr<Shard>>& shards) {
  shards_ = &shards;
  uv_timer_start(
      &log_timer_, [](uv_timer_t* timer) { static_cast<Control*>(timer->data)->drain_logs(); },
      kLogInterval, kLogInterval);
  for (const std::string& path : watched_files(setup_.config)) file_times_[path] = modified(path);
  if (!file_times_.empty()) {
    uv_timer_start(
        &file_timer_, [](uv_timer_t* timer) { static_cast<Control*>(timer->data)->check_files(); },
        kFileInterval, kFileInterval);
  }
  uv_timer_start(
      &ticket_timer_,
      [](uv_timer_t* timer) {
        auto* control = static_cast<Control*>(timer->data);
        control->setup_.ticket_keys = control->setup_.ticket_keys.rotated();
        control->reload("ticket keys");
      },
      kTicketInterval, kTicketInterval);
  const auto on_signal = [](uv_signal_t* handle, int number) {
    auto* control = static_cast<Control*>(handle->data);
    if (number == SIGHUP) return control->reload("SIGHUP");
    control->begin_drain(number);
  };
  uv_signal_start(&signals_[0], on_signal, SIGTERM);
  uv_signal_start(&signals_[1], on_signal, SIGINT);
  uv_signal_start(&signals_[2], on_signal, SIGHUP);

  nlohmann::json list = nlohmann::json::array();
  std::string text;
  for (const ListenerInfo& listener : setup_.listeners) {
    std::uint8_t memory[kEndpointTextMax];
    Writer out(memory);
    write_endpoint(listener.local, out);
    list.push_back({{"name", listener.config.name},
                    {"transport", to_text(listener.config.transport)},
                    {"address", out.written_text()}});
    text += (text.empty() ? "" : " ") + std::string(to_text(listener.config.transport)) + ":" +
            std::string(out.written_text());
  }
  resolve_next_hops();
  setup_.log.event_with_json(LogLevel::Info, "ready", "listeners", list.dump(), text);
  notify_service_manager("READY=1");
  uv_run(&loop_, UV_RUN_DEFAULT);
  drain_logs();
  return exit_code_;
}

void Control::drain_logs() {
  for (const auto& queue : queues_) {
    while (LogRecord* record = queue->front()) {
      setup_.log.write(*record);
      queue->pop();
    }
  }
}

template <typename Message>
void Control::send_all(const Message& message) {
  for (const auto& shard : *shards_) {
    if (!shard->control().send(ToShard(message))) {
      setup_.log.event(LogLevel::Error, "shard_mailbox_full", {});
    }
  }
}

void Control::read_shards() {
  if (!shards_) return;
  for (const auto& shard : *shards_) {
    ControlPort& port = shard->control();
    while (FromShard* message = port.front()) {
      if (auto* ask = std::get_if<ResolveName>(message)) {
        Question question;
        question.host = std::string(ask->name());
        question.port = ask->port;
        question.transport = ask->transport;
        question.transport_given = ask->transport_given;
        question.secure = ask->secure;
        Shard* asker = shard.get();
        resolver_->resolve(question, [asker, ticket = ask->ticket](const Resolution& resolution) {
          asker->control().send(Resolved{ticket, resolution});
        });
      } else if (auto* calls = std::get_if<CallList>(message)) {
        const auto pending = pending_calls_.find(calls->request);
        if (pending != pending_calls_.end()) {
          for (CallLine& line : calls->calls) pending->second.calls.push_back(std::move(line));
          if (--pending->second.shards_left == 0) answer_calls(calls->request);
        }
      } else if (std::holds_alternative<Drained>(*message)) {
        if (++drained_ == shards_->size()) {
          port.pop();
          return stop();
        }
      } else if (auto* failed = std::get_if<ShardFailed>(message)) {
        setup_.log.event(LogLevel::Error, "shard_failed", {{"reason", failed->text}});
        exit_code_ = 1;
        port.pop();
        return stop();
      }
      port.pop();
    }
  }
}

// --- Next hops ---------------------------------------------------------------------------------

namespace {

// A member's addresses: a port means that nothing but these is asked for (RFC 3263 4.2).
Question members_question(const std::string& host) {
  Question question;
  question.host = host;
  question.port = 5060;
  return question;
}

}  // namespace

void Control::resolve_next_hops() {
  const auto& next_hops = setup_.config.next_hops;
  snapshot_.next_hops.resize(next_hops.size());
  if (next_hops.empty() || snapshot_pending_ != 0) return;
  snapshot_pending_ = next_hops.size() + 1;
  snapshot_.members.assign(next_hops.size(), {});
  for (std::size_t i = 0; i < next_hops.size(); ++i) {
    for (const std::string& member : next_hops[i].members) {
      if (parse_prefix(member)) continue;
      ++snapshot_pending_;
      resolver_->resolve(members_question(member), [this, i](const Resolution& resolution) {
        for (const ResolvedTarget& target : resolution.targets) {
          snapshot_.members[i].push_back(target.endpoint.address);
        }
        if (--snapshot_pending_ == 0) publish_next_hops();
      });
    }
  }
  for (std::size_t i = 0; i < next_hops.size(); ++i) {
    Question question;
    question.host = next_hops[i].host;
    question.port = next_hops[i].port;
    question.transport_given = next_hops[i].transport.has_value();
    question.transport = next_hops[i].transport.value_or(Transport::Udp);
    resolver_->resolve(question, [this, i](const Resolution& resolution) {
      if (resolution.outcome != Resolution::Outcome::Found) {
        setup_.log.event(LogLevel::Warning, "next_hop_not_resolved",
                         {{"next_hop", setup_.config.next_hops[i].name},
                          {"host", setup_.config.next_hops[i].host},
                          {"meaning", resolution.outcome == Resolution::Outcome::NoSuchName
                                          ? "no such name"
                                          : "DNS did not answer"}});
      }
      snapshot_.next_hops[i] = resolution;
      if (--snapshot_pending_ == 0) publish_next_hops();
    });
  }
  if (--snapshot_pending_ == 0) publish_next_hops();
}

void Control::publish_next_hops() {
  ++snapshot_.generation;
  send_all(PublishNextHops{std::make_shared<const NextHopSnapshot>(snapshot_)});
  Duration ttl = std::chrono::hours(1);
  bool numeric = true;
  for (std::size_t i = 0; i < snapshot_.next_hops.size(); ++i) {
    ttl = std::min(ttl, snapshot_.next_hops[i].ttl);
    numeric &= parse_address(setup_.config.next_hops[i].host).has_value();
    for (const std::string& member : setup_.config.next_hops[i].members) {
      numeric &= parse_prefix(member).has_value();
    }
  }
  if (!numeric) ttl = std::min<Duration>(ttl, 300s);  // members may move sooner
  if (numeric) return;
  uv_timer_start(
      &dns_timer_,
      [](uv_timer_t* timer) { static_cast<Control*>(timer->data)->resolve_next_hops(); },
      milliseconds(std::max<Duration>(ttl, 5s)) + 10, 0);
}

// --- Reload ------------------------------------------------------------------------------------

void Control::check_files() {
  bool changed = false;
  for (auto& [path, known] : file_times_) {
    const std::int64_t now = modified(path);
    if (now == known || now == 0) continue;
    known = now;
    changed = true;
  }
  if (changed) reload("files changed");
}

void Control::reload(std::string_view reason) {
  const auto settings =
      make_tls_settings(setup_.config, setup_.ticket_keys, static_cast<unsigned>(shards_->size()));
  if (settings) {
    for (std::size_t i = 0; i < shards_->size(); ++i) {
      (*shards_)[i]->control().send(PublishTls{(*settings)[i]});
    }
  } else {
    setup_.log.event(
        LogLevel::Error, "certificates_kept",
        {{"reason", settings.error()}, {"meaning", "the old certificates stay in use"}});
  }
  const auto filter = make_filter(setup_.config);
  if (filter) {
    setup_.filter = *filter;
    for (const auto& shard : *shards_) {
      shard->control().send(PublishFilter{FilterRules::for_another_shard(*filter)});
    }
  } else {
    setup_.log.event(LogLevel::Error, "filter_kept", {{"reason", filter.error()}});
  }
  if (settings && filter) {
    setup_.log.event(LogLevel::Info, "reloaded", {{"reason", reason}});
  }
}

// --- The end -----------------------------------------------------------------------------------

void Control::begin_drain(int number) {
  if (draining_) return stop();  // the second signal means now
  draining_ = true;
  notify_service_manager("STOPPING=1");
  setup_.log.event(LogLevel::Info, "draining",
                   {{"signal", number == SIGINT ? "SIGINT" : "SIGTERM"},
                    {"seconds_at_most", setup_.config.timers.drain / 1s}});
  send_all(Drain{});
  // The shards end by themselves: at that time they release what calls are left and close what is
  // open. This is for one that does not.
  constexpr Duration kReleaseAndClose = 6s;
  uv_timer_start(
      &drain_timer_, [](uv_timer_t* timer) { static_cast<Control*>(timer->data)->stop(); },
      milliseconds(setup_.config.timers.drain + kReleaseAndClose), 0);
}

void Control::stop() {
  if (stopped_) return;
  stopped_ = true;
  send_all(Stop{});
  for (const auto& shard : *shards_) shard->join();
  drain_logs();
  setup_.log.event(LogLevel::Info, "stopped", {});
  close_all();
}

void Control::close_all() {
  if (admin_) admin_.reset();
  if (resolver_) resolver_->close();
  close_handle(&async_);
  for (uv_timer_t* timer :
       {&log_timer_, &dns_timer_, &file_timer_, &drain_timer_, &ticket_timer_}) {
    close_handle(timer);
  }
  for (uv_signal_t& signal : signals_) close_handle(&signal);
  if (follow_descriptor_ >= 0) close_handle(&follow_);
}

// --- Admin pages -------------------------------------------------------------------------------

std::optional<AdminAnswer> Control::serve(std::string_view path, std::uint64_t request) {
  if (!shards_) return AdminAnswer{503, "application/json", "{\"status\":\"starting\"}\n"};
  if (path == "/healthz") {
    return AdminAnswer{draining_ ? 503 : 200, "application/json",
                       draining_ ? "{\"status\":\"draining\"}\n" : "{\"status\":\"ok\"}\n"};
  }
  if (path == "/metrics") {
    std::vector<const Counters*> counters;
    for (const auto& shard : *shards_) counters.push_back(&shard->counters());
    return AdminAnswer{200, "text/plain; version=0.0.4; charset=utf-8",
                       metrics_page(counters, setup_.filter.get(), start_seconds_)};
  }
  if (path == "/version") {
    return AdminAnswer{200, "application/json", "{\"version\":\"" RINGWAY_VERSION "\"}\n"};
  }
  if (path == "/calls") {
    pending_calls_[request].shards_left = shards_->size();
    send_all(ListCalls{request, kCallsMax});
    return std::nullopt;
  }
  if (path == "/") {
    return AdminAnswer{200, "text/plain; charset=utf-8",
                       "ringway " RINGWAY_VERSION "\n/healthz\n/metrics\n/calls\n/version\n"};
  }
  return AdminAnswer{404, "text/plain; charset=utf-8", "not found\n"};
}

void Control::answer_calls(std::uint64_t request) {
  const PendingCalls pending = std::move(pending_calls_[request]);
  pending_calls_.erase(request);
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const CallLine& call : pending.calls) {
    list.push_back({{"call_id", call.call_id},
                    {"from", call.from},
                    {"to", call.to},
                    {"state", call.state},
                    {"media", call.media},
                    {"flow", call.flow.value()},
                    {"age_seconds", static_cast<double>(call.age / 1ms) / 1e3}});
  }
  if (admin_) {
    admin_->answer(request, {200, "application/json",
                             nlohmann::ordered_json{{"calls", list}}.dump(
                                 -1, ' ', false, nlohmann::json::error_handler_t::replace) +
                                 "\n"});
  }
}

}  // namespace ringway
