#include <sys/stat.h>

#include <ranges>

#include "gateway/config/load.h"
#include "gateway/config/tcp_twins.h"
#include "gateway/control/control.h"
#include "gateway/control/service_manager.h"

// Reload: the whole file is read and judged, what it changes is built, and only if all of that has
// worked it is given to the shards, in one message. Otherwise nothing changes.

namespace ringway {
namespace {

std::int64_t modified(const std::string& path) {
  struct stat facts {};
  if (stat(path.c_str(), &facts) != 0) return 0;
  return std::int64_t{facts.st_mtim.tv_sec} * 1'000'000'000 + facts.st_mtim.tv_nsec;
}

std::string text_of(const std::string& file, const Mistake& mistake) {
  if (mistake.position.line == 0) return file + ": " + mistake.text;
  return file + ":" + std::to_string(mistake.position.line) + ":" +
         std::to_string(mistake.position.column) + ": " + mistake.text;
}

// systemd.service(5), Type=notify-reload: the time of RELOADING=1 on CLOCK_MONOTONIC.
std::string reloading_message() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return "RELOADING=1\nMONOTONIC_USEC=" +
         std::to_string(std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000);
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "; ") + line;
  return text;
}

}  // namespace

Control::Reloaded Control::try_reload() const {
  Reloaded reloaded;
  LoadedConfig loaded = load_config(setup_.file);
  for (const Mistake& mistake : loaded.mistakes) {
    reloaded.mistakes.push_back(text_of(setup_.file, mistake));
  }
  if (!reloaded.mistakes.empty()) return reloaded;
  read_certificate_names(loaded.config);
  add_tcp_twins(loaded.config);
  reloaded.plan = plan_reload(config_, loaded.config);
  return reloaded;
}

Control::Reloaded Control::reload(std::string_view reason) {
  if (setup_.file.empty()) {
    reload_files(reason);
    return {};
  }
  notify_service_manager(reloading_message());
  Reloaded reloaded = try_reload();
  if (reloaded.mistakes.empty()) {
    if (const auto applied = apply(reloaded.plan.next); !applied) {
      reloaded.mistakes.push_back(applied.error());
    }
  }
  if (!reloaded.mistakes.empty()) {
    for (const std::string& mistake : reloaded.mistakes) {
      setup_.log.event(
          LogLevel::Error, "reload_refused",
          {{"reason", mistake}, {"meaning", "nothing was changed"}, {"generation", generation_}});
    }
  } else {
    for (const std::string& line : reloaded.plan.restart) {
      setup_.log.event(LogLevel::Warning, "restart_needed", {{"setting", line}});
    }
    setup_.log.event(LogLevel::Info, "reloaded",
                     {{"reason", reason},
                      {"generation", generation_},
                      {"applied", joined(reloaded.plan.applied)},
                      {"waiting_for_restart", reloaded.plan.restart.size()}});
  }
  notify_service_manager("READY=1");
  return reloaded;
}

// Builds everything first; then nothing can fail any more.
std::expected<void, std::string> Control::apply(const Config& next) {
  auto tls = make_tls_settings(next, setup_.ticket_keys, static_cast<unsigned>(shards_->size()),
                               &setup_.tls_memory);
  if (!tls) return std::unexpected(tls.error());
  const auto filter = make_filter(next);
  if (!filter) return std::unexpected(filter.error());
  auto lists = make_source_lists(next, next.bans.block_files == config_.bans.block_files
                                            ? ListUse::Next
                                            : ListUse::First);
  if (!lists) {
    ++lists_refused_;
    return std::unexpected(lists.error());
  }
  auto fraud = make_fraud_rules(next);
  if (!fraud) return std::unexpected(fraud.error());
  std::shared_ptr<const StaticPages> pages = setup_.pages;
  if (next.page.directory != config_.page.directory) {
    pages = nullptr;
    if (!next.page.directory.empty()) {
      auto loaded = StaticPages::load(next.page.directory);
      if (!loaded) return std::unexpected(loaded.error());
      pages = *loaded;
    }
  }
  auto token = read_admin_token(next);
  if (!token) return std::unexpected(token.error());
  auto listeners = listeners_.open(next);
  if (!listeners) return std::unexpected(listeners.error());
  if (next.nameservers != config_.nameservers) {
    if (const auto used = resolver_->use(next.nameservers); !used) return used;
  }
  config_ = next;
  ++generation_;
  admin_token_ = std::move(*token);
  name_admin();
  setup_.tls = std::move(*tls);
  setup_.filter = *filter;
  setup_.pages = std::move(pages);
  setup_.log.set_level(config_.log_level);
  judge_.set({config_.bans.failures, config_.bans.within});
  listeners_.take_over(config_, *listeners, setup_.log);
  const auto config = std::make_shared<const Config>(config_);
  for (std::size_t i = 0; i < shards_->size(); ++i) {
    send(i, PublishConfig{config, generation_, setup_.tls[i],
                          FilterRules::for_another_shard(setup_.filter), setup_.pages,
                          *lists, *fraud, std::move((*listeners)[i])});
  }
  tell_doubts(**lists);
  next_hops_->set(config_.next_hops);
  for (const NextHopConfig& next_hop : config_.next_hops) {
    if (next_hop.removed) held_.erase("next-hops/" + next_hop.name);
  }
  watch_files();
  judge_certificates();
  judge();
  return {};
}

// --- Files that the configuration names
// -----------------------------------------------------------

void Control::watch_files() {
  std::map<std::string, std::int64_t> times;
  for (const std::string& path : watched_files(config_)) times[path] = modified(path);
  file_times_ = std::move(times);
}

void Control::check_files() {
  if (resolver_->follow_system()) {
    setup_.log.event(LogLevel::Info, "name_servers_changed", {{"file", "/etc/resolv.conf"}});
    next_hops_->refresh();
  }
  bool changed = false;
  for (auto& [path, known] : file_times_) {
    const std::int64_t now = modified(path);
    if (now == known || now == 0) continue;
    known = now;
    changed = true;
  }
  if (changed) reload_files("files changed");
  if (!changed && utc_offset_ != utc_offset()) publish_lists();  // summer time begins or ends
}

// Certificates, keys, revocation lists and rules are read again; the configuration file is not.
void Control::reload_files(std::string_view reason) {
  const auto tls = make_tls_settings(config_, setup_.ticket_keys,
                                     static_cast<unsigned>(shards_->size()), &setup_.tls_memory);
  if (tls) {
    setup_.tls = *tls;
    for (std::size_t i = 0; i < shards_->size(); ++i) send(i, PublishTls{setup_.tls[i]});
  } else {
    setup_.log.event(LogLevel::Error, "certificates_kept",
                     {{"reason", tls.error()}, {"meaning", "the old certificates stay in use"}});
  }
  const auto filter = make_filter(config_);
  if (filter) {
    setup_.filter = *filter;
    for (std::size_t i = 0; i < shards_->size(); ++i) {
      send(i, PublishFilter{FilterRules::for_another_shard(*filter)});
    }
  } else {
    setup_.log.event(LogLevel::Error, "filter_kept", {{"reason", filter.error()}});
  }
  const bool lists = publish_lists();
  judge_certificates();
  if (tls && filter && lists) setup_.log.event(LogLevel::Info, "reloaded", {{"reason", reason}});
}

// Block-lists and fraud rules with their files.
bool Control::publish_lists() {
  const auto lists = make_source_lists(config_, ListUse::Next);
  const auto fraud = make_fraud_rules(config_);
  if (lists && fraud) {
    utc_offset_ = utc_offset();
    send_all(PublishLists{*lists, *fraud});
    tell_doubts(**lists);
    return true;
  }
  if (!lists) ++lists_refused_;
  setup_.log.event(LogLevel::Error, "block_lists_kept",
                   {{"reason", lists ? fraud.error() : lists.error()},
                    {"meaning", "the old lists stay in use"}});
  return false;
}

void Control::tell_doubts(const SourceLists& lists) {
  constexpr std::size_t kToldMax = 20;
  for (const std::string& doubt : std::views::take(lists.doubts, kToldMax)) {
    setup_.log.event(LogLevel::Warning, "block_list_doubtful", {{"reason", doubt}});
  }
}

// New keys for the contexts that there are: nothing is read or built.
void Control::rotate_tickets() {
  setup_.ticket_keys = setup_.ticket_keys.rotated();
  for (std::size_t i = 0; i < setup_.tls.size(); ++i) {
    if (!setup_.tls[i]) continue;
    TlsSettings settings = *setup_.tls[i];
    settings.context = settings.context.with_ticket_keys(setup_.ticket_keys);
    setup_.tls[i] = std::make_shared<const TlsSettings>(std::move(settings));
    send(i, PublishTls{setup_.tls[i]});
  }
  setup_.log.event(LogLevel::Info, "ticket_keys_rotated", {});
}

void Control::judge_certificates() {
  certificates_ = certificate_ends(config_);
}

}  // namespace ringway
