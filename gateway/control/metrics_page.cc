#include "gateway/control/metrics_page.h"

#include <dirent.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <map>
#include <string_view>

#include "gateway/filter/rules_file.h"
#include "protocol/sip/method.h"
#include "tls/allocator.h"

namespace ringway {
namespace {

class Page {
 public:
  explicit Page(std::span<const Counters* const> shards) : shards_(shards) {}

  void head(std::string_view name, std::string_view type, std::string_view help) {
    text_ += "# HELP ringway_" + std::string(name) + " " + std::string(help) + "\n# TYPE ringway_" +
             std::string(name) + " " + std::string(type) + "\n";
  }
  void line(std::string_view name, std::string_view labels, double value) {
    text_ += "ringway_";
    text_ += name;
    if (!labels.empty()) text_ += "{" + std::string(labels) + "}";
    char number[40];
    std::snprintf(number, sizeof number, " %.17g\n", value);
    text_ += number;
  }
  template <typename Member>
  double sum(Member member) const {
    double total = 0;
    for (const Counters* shard : shards_) {
      // Gauges of single shards may be below zero for a moment when summed; they are signed here.
      total += static_cast<double>(static_cast<std::int64_t>((shard->*member).value()));
    }
    return total;
  }
  template <typename Array>
  double sum(Array array, std::size_t index) const {
    double total = 0;
    for (const Counters* shard : shards_) {
      total += static_cast<double>(static_cast<std::int64_t>((shard->*array)[index].value()));
    }
    return total;
  }
  template <typename Member>
  void one(std::string_view name, std::string_view type, std::string_view help, Member member) {
    head(name, type, help);
    line(name, {}, sum(member));
  }
  template <typename Array>
  void by_transport(std::string_view name, std::string_view type, std::string_view help,
                    Array array) {
    head(name, type, help);
    for (std::size_t i = 0; i < kTransportCount; ++i) {
      line(name, label("transport", to_text(static_cast<Transport>(i))), sum(array, i));
    }
  }
  static std::string label(std::string_view key, std::string_view value) {
    return std::string(key) + "=\"" + std::string(value) + "\"";
  }
  std::string take() { return std::move(text_); }

 private:
  std::span<const Counters* const> shards_;
  std::string text_;
};

void write_messages(Page& page) {
  page.head("messages_total", "counter", "SIP messages.");
  for (std::size_t i = 0; i < kTransportCount; ++i) {
    const std::string transport = Page::label("transport", to_text(static_cast<Transport>(i)));
    page.line("messages_total", "direction=\"in\"," + transport,
              page.sum(&Counters::messages_in, i));
    page.line("messages_total", "direction=\"out\"," + transport,
              page.sum(&Counters::messages_out, i));
  }
  page.head("requests_total", "counter", "Requests received.");
  for (std::size_t i = 0; i <= static_cast<std::size_t>(sip::Method::Other); ++i) {
    page.line("requests_total", Page::label("method", sip::to_text(static_cast<sip::Method>(i))),
              page.sum(&Counters::requests_by_method, i));
  }
  page.head("responses_total", "counter", "Responses sent towards requesters.");
  for (std::size_t i = 1; i < 7; ++i) {
    page.line("responses_total", Page::label("class", std::to_string(i) + "xx"),
              page.sum(&Counters::responses_by_class, i));
  }
  page.one("parse_errors_total", "counter", "Messages that could not be read.",
           &Counters::parse_errors);
  page.one("bad_requests_total", "counter", "Requests refused as invalid.",
           &Counters::bad_requests);
  page.one("bad_responses_total", "counter", "Invalid responses dropped.",
           &Counters::bad_responses);
  page.one("stray_responses_total", "counter", "Responses of no transaction, dropped.",
           &Counters::stray_responses);
  static constexpr std::array<std::string_view, 14> kReasons{
      "unparsable", "unanswerable", "filter",         "bad_response", "stray_response", "no_buffer",
      "ack",        "table_full",   "dead_requester", "stranger",     "wrong_source",
      "banned",       "budget",      "amplifying"};
  page.head("drops_total", "counter", "Messages dropped without an answer.");
  for (std::size_t i = 0; i < kReasons.size(); ++i) {
    page.line("drops_total", Page::label("reason", kReasons[i]), page.sum(&Counters::drops, i));
  }
}

void write_admission(Page& page, const ProcessFacts& facts) {
  struct Kept {
    std::string_view what, by;
    Counter Counters::*counter;
  };
  static constexpr std::array<Kept, 6> kKept{{
      {"datagram", "ban", &Counters::banned_datagrams},
      {"connection", "ban", &Counters::banned_connections},
      {"message", "ban", &Counters::banned_messages},
      {"datagram", "block_list", &Counters::blocked_datagrams},
      {"connection", "block_list", &Counters::blocked_connections},
      {"message", "block_list", &Counters::blocked_messages},
  }};
  page.head("kept_out_total", "counter", "What came from sources that are kept out.");
  for (const Kept& kept : kKept) {
    page.line("kept_out_total", Page::label("what", kept.what) + "," + Page::label("by", kept.by),
              page.sum(kept.counter));
  }
  page.head("bans_remembered", "gauge", "Bans in force, and ended ones that are remembered.");
  page.line("bans_remembered", {}, static_cast<double>(facts.bans_remembered));
  page.head("bans_cut_short_total", "counter", "Bans that made room for others in a full table.");
  page.line("bans_cut_short_total", {}, static_cast<double>(facts.bans_cut_short));
  page.head("evidence_overlooked_total", "counter", "Evidence of sources beyond what is watched.");
  page.line("evidence_overlooked_total", {}, static_cast<double>(facts.evidence_overlooked));
  page.head("source_lists_refused_total", "counter",
            "Times that a broken block list was not taken, and the old ones stayed in use.");
  page.line("source_lists_refused_total", {}, static_cast<double>(facts.lists_refused));
  page.one("evidence_total", "counter", "Successes and failures told to the judge of bans.",
           &Counters::evidence_reported);
  page.one("evidence_lost_total", "counter", "Those that it could not take in.",
           &Counters::evidence_lost);
  page.head("over_budget_total", "counter", "Requests beyond the budget of their sender.");
  page.line("over_budget_total", "verdict=\"wait\"", page.sum(&Counters::budget_waits));
  page.line("over_budget_total", "verdict=\"cut_off\"", page.sum(&Counters::budget_cut_off));
  page.one("fraud_refused_total", "counter", "Calls, REFER and 302 that a fraud rule refused.",
           &Counters::fraud_refused);
  page.one("fraud_ended_total", "counter", "Calls that a fraud rule ended.",
           &Counters::fraud_ended);
  page.one("overload_refused_total", "counter", "503: a shard had more to do than it can.",
           &Counters::overload_refused);
  page.one("answers_made_alike_total", "counter",
           "Refusals of a next hop that went on as 403 ([answers] alike).",
           &Counters::answers_made_alike);
  page.one("tarpitted_total", "counter", "Connections held without an answer.",
           &Counters::tarpitted);
}

void write_transactions(Page& page) {
  struct Kind {
    std::string_view kind;
    CounterArray<6> Counters::*counters;
    std::array<std::string_view, 5> states;
  };
  static const std::array<Kind, 4> kKinds{{
      {"invite_server",
       &Counters::invite_server_states,
       {"proceeding", "completed", "confirmed", "accepted", ""}},
      {"invite_client",
       &Counters::invite_client_states,
       {"calling", "proceeding", "completed", "accepted", ""}},
      {"server", &Counters::server_states, {"trying", "proceeding", "completed", "", ""}},
      {"client", &Counters::client_states, {"trying", "proceeding", "completed", "", ""}},
  }};
  page.head("transactions", "gauge", "Live transactions, finished ones that absorb included.");
  for (const Kind& kind : kKinds) {
    for (std::size_t i = 0; i < kind.states.size(); ++i) {
      if (kind.states[i].empty()) continue;
      page.line("transactions",
                Page::label("kind", kind.kind) + "," + Page::label("state", kind.states[i]),
                page.sum(kind.counters, i));
    }
  }
  page.one("retransmissions_absorbed_total", "counter", "Repeated requests absorbed.",
           &Counters::retransmissions_absorbed);
  page.one("retransmissions_sent_total", "counter", "Messages sent again.",
           &Counters::retransmissions_sent);
  page.one("transactions_refused_total", "counter", "Requests refused for lack of room.",
           &Counters::transactions_refused);
  page.one("transactions_cut_short_total", "counter", "Finished transactions forgotten early.",
           &Counters::transactions_cut_short);
  page.one("client_timeouts_total", "counter", "Timers B and F.", &Counters::timeouts_client);
  page.one("timer_c_total", "counter", "Timer C.", &Counters::timer_c_fired);
  page.one("transport_errors_total", "counter", "Requests that could not be sent.",
           &Counters::transport_errors);
}

void write_routing(Page& page) {
  page.one("tokens_refused_total", "counter", "Forged or changed routing tokens.",
           &Counters::tokens_refused);
  page.one("strangers_dropped_total", "counter",
           "Requests to the network side from who is no next hop and not trusted.",
           &Counters::strangers_dropped);
  page.one("requests_forbidden_total", "counter", "403: their sender may not ask for that.",
           &Counters::requests_forbidden);
  page.one("targets_forbidden_total", "counter",
           "403: nobody may be reached at the address that they name.",
           &Counters::targets_forbidden);
  page.one("response_wrong_source_total", "counter",
           "Responses from elsewhere than where their request went, dropped.",
           &Counters::response_wrong_source);
  page.one("cancel_wrong_source_total", "counter",
           "481: CANCEL from elsewhere than its INVITE came from.", &Counters::cancel_wrong_source);
  page.one("dead_flows_total", "counter", "Requests to a flow that is gone.",
           &Counters::flows_dead_430);
  page.one("waits_started_total", "counter", "Requests that waited for a user agent's return.",
           &Counters::waits_started);
  page.one("waits_delivered_total", "counter", "Waiting requests delivered.",
           &Counters::waits_delivered);
  page.one("waits_expired_total", "counter", "Waiting requests refused at the end of the grace.",
           &Counters::waits_expired);
  page.one("released_calls_total", "counter", "Far ends released after a browser was gone.",
           &Counters::released_calls);
  page.one("user_agents", "gauge", "Registered user agents, as each shard knows them.",
           &Counters::user_agents);
  page.one("calls", "gauge", "Calls that the gateway watches over.", &Counters::dialogs);
  page.one("calls_refused_total", "counter", "Calls refused because limits.dialogs was reached.",
           &Counters::calls_refused);
  page.one("dialogs_refused_total", "counter", "Forks of a call beyond what is remembered of one.",
           &Counters::dialogs_refused);
  page.one("call_tombstones_cut_short_total", "counter",
           "Ended calls forgotten early to make room for new ones.",
           &Counters::call_tombstones_cut_short);
  page.one("requests_sent_again_total", "counter",
           "Requests sent down the newer connection of a user agent.", &Counters::sent_again);
  page.one("slimmed_total", "counter", "Descriptions slimmed for plain phones.",
           &Counters::slimmed_messages);
  page.one("switched_to_tcp_total", "counter", "Requests sent by TCP for their size.",
           &Counters::switched_to_tcp);
  page.one("back_to_udp_total", "counter", "Those that came back to UDP.", &Counters::back_to_udp);
  page.one("names_refused_total", "counter", "Requests for which no name could be looked up.",
           &Counters::names_refused);
  page.one("failovers_total", "counter", "Requests that went to another next hop.",
           &Counters::failovers);
  page.one("next_hops_down", "gauge", "Addresses of next hops set aside.",
           &Counters::next_hop_down);
  page.one("loops_total", "counter", "Requests refused with 482.", &Counters::loops_482);
  page.one("max_forwards_exhausted_total", "counter", "Requests refused with 483.",
           &Counters::max_forwards_483);
}

void write_media(Page& page) {
  static constexpr std::array<std::string_view, 7> kCommands{"offer", "answer", "delete",   "ping",
                                                             "list",  "query",  "play DTMF"};
  page.head("ng_requests_total", "counter", "Requests to media relays.");
  for (std::size_t i = 0; i < kCommands.size(); ++i) {
    page.line("ng_requests_total", Page::label("command", kCommands[i]),
              page.sum(&Counters::ng_requests, i));
  }
  page.head("ng_errors_total", "counter", "Requests that a media relay refused.");
  for (std::size_t i = 0; i < kCommands.size(); ++i) {
    page.line("ng_errors_total", Page::label("command", kCommands[i]),
              page.sum(&Counters::ng_errors, i));
  }
  page.one("dtmf_played_total", "counter", "Digits by INFO that a media relay has played.",
           &Counters::dtmf_played);
  page.one("dtmf_passed_on_total", "counter", "Digits by INFO that no media relay would play.",
           &Counters::dtmf_passed_on);
  page.one("dtmf_refused_total", "counter", "Digits by INFO refused: malformed, or too many.",
           &Counters::dtmf_refused);
  page.one("ng_refusals_total", "counter", "Offers for which a media relay had no room.",
           &Counters::ng_refusals);
  page.one("media_moves_total", "counter", "Offers that went on to another media relay.",
           &Counters::media_moves);
  page.one("media_orphans_total", "counter", "Media sessions deleted that no call was for.",
           &Counters::media_orphans);
  page.one("ng_timeouts_total", "counter", "Requests without an answer.", &Counters::ng_timeouts);
  page.one("ng_resends_total", "counter", "Requests sent again after a lost connection.",
           &Counters::ng_resends);
  page.one("ng_connections_total", "counter", "Connections made to media relays.",
           &Counters::ng_reconnects);
  page.one("ng_pending", "gauge", "Requests that wait for an answer.", &Counters::ng_pending);
  page.one("media_sessions", "gauge", "Calls with a session at a media relay.",
           &Counters::media_sessions);
  page.head("ng_latency_seconds", "histogram", "Time to a media relay's answer.");
  double cumulative = 0;
  constexpr std::size_t kBuckets = std::tuple_size_v<decltype(Counters::ng_latency)>;
  for (std::size_t i = 0; i + 1 < kBuckets; ++i) {
    cumulative += page.sum(&Counters::ng_latency, i);
    char label[48];
    std::snprintf(label, sizeof label, "le=\"%g\"", static_cast<double>(16ull << i) / 1e6);
    page.line("ng_latency_seconds_bucket", label, cumulative);
  }
  cumulative += page.sum(&Counters::ng_latency, kBuckets - 1);
  page.line("ng_latency_seconds_bucket", "le=\"+Inf\"", cumulative);
  page.line("ng_latency_seconds_sum", {}, page.sum(&Counters::ng_latency_microseconds) / 1e6);
  page.line("ng_latency_seconds_count", {}, cumulative);
}

void write_datagrams(Page& page) {
  page.one("datagrams_truncated_total", "counter", "Datagrams too large.",
           &Counters::datagrams_truncated);
  page.one("datagrams_empty_total", "counter", "Datagrams without content.",
           &Counters::datagrams_empty);
  page.one("datagrams_to_removed_total", "counter",
           "Datagrams dropped because a reload has removed their listener.",
           &Counters::datagrams_to_removed);
  page.one("datagram_peers_forgotten_total", "counter",
           "Peers of listeners on all addresses whose last address was forgotten for others.",
           &Counters::datagram_peers_forgotten);
  page.one("local_addresses_refused_total", "counter",
           "Datagrams to an address of this host that found no place among those remembered.",
           &Counters::local_addresses_refused);
  page.one("local_addresses_lost_total", "counter",
           "Addresses that answers were to leave from and that this host has no more.",
           &Counters::local_addresses_lost);
  page.one("datagram_trains_total", "counter", "Sends of several datagrams to one peer.",
           &Counters::datagram_trains);
  page.one("datagrams_in_trains_total", "counter", "Datagrams that left in such sends.",
           &Counters::datagrams_in_trains);
  page.one("datagram_trains_split_total", "counter",
           "Sends of several that were refused, and made one by one.",
           &Counters::datagram_trains_split);
}

void write_transport(Page& page) {
  page.by_transport("flows", "gauge", "Open connections.", &Counters::flows);
  page.by_transport("flows_opened_total", "counter", "Connections opened.",
                    &Counters::flows_opened);
  page.by_transport("flows_refused_total", "counter", "Connections refused.",
                    &Counters::flows_refused);
  page.by_transport("bytes_in_total", "counter", "Bytes received.", &Counters::bytes_in);
  page.by_transport("bytes_out_total", "counter", "Bytes sent.", &Counters::bytes_out);
  page.head("handshakes_total", "counter", "TLS handshakes.");
  page.line("handshakes_total", "result=\"started\"", page.sum(&Counters::handshakes_started));
  page.line("handshakes_total", "result=\"done\"", page.sum(&Counters::handshakes_done));
  page.line("handshakes_total", "result=\"resumed\"", page.sum(&Counters::handshakes_resumed));
  page.line("handshakes_total", "result=\"failed\"", page.sum(&Counters::handshakes_failed));
  page.one("handshakes_waiting", "gauge", "TLS handshakes in progress.",
           &Counters::handshakes_waiting);
  page.one("websocket_upgrades_total", "counter", "WebSocket upgrades.",
           &Counters::websocket_upgrades);
  page.one("websocket_refused_total", "counter", "Upgrades refused.", &Counters::websocket_refused);
  page.one("websocket_violations_total", "counter", "WebSockets closed for a violation.",
           &Counters::websocket_violations);
  page.one("pages_total", "counter", "Pages served.", &Counters::http_pages);
  page.one("pings_total", "counter", "WebSocket pings sent.", &Counters::pings_sent);
  page.one("flows_timed_out_total", "counter", "Connections closed by a deadline.",
           &Counters::flows_timed_out);
  page.one("send_queue_overflows_total", "counter", "Connections closed for not reading.",
           &Counters::send_queue_overflows);
  page.one("hoarders_closed_total", "counter",
           "Connections closed because they held most of full send queues.",
           &Counters::hoarders_closed);
  page.one("silent_connections_dropped_total", "counter",
           "Connections dropped before their handshake was done, where too many waited.",
           &Counters::silent_dropped);
  page.one("accepts_paused_total", "counter", "Times that no descriptor was left to accept.",
           &Counters::accepts_paused);
  page.one("spare_descriptors_used_total", "counter",
           "Connections to next hops and relays that took a descriptor kept for them.",
           &Counters::spare_descriptors_used);
  page.one("requests_forgotten_total", "counter",
           "Requests whose connection may end without their being sent again.",
           &Counters::requests_forgotten);
  page.one("tls_sessions_failed_total", "counter", "TLS connections that broke once open.",
           &Counters::tls_sessions_failed);
  page.one("keepalives_total", "counter", "CRLF keepalives answered.",
           &Counters::keepalives_answered);
  page.one("stun_total", "counter", "STUN requests answered.", &Counters::stun_answered);
  page.one("framing_lost_total", "counter", "Streams that lost their framing.",
           &Counters::framing_lost);
  page.one("proxy_headers_total", "counter", "PROXY headers accepted.", &Counters::proxy_headers);
}

void write_reactor(Page& page) {
  page.one("ring_enters_total", "counter", "System calls of the rings.", &Counters::ring_enters);
  page.one("ring_completions_total", "counter", "Completions reaped.", &Counters::ring_completions);
  page.one("ring_submissions_total", "counter", "Operations submitted.",
           &Counters::ring_submissions);
  page.one("ring_overflows_total", "counter", "Completion queue overflows.",
           &Counters::ring_overflows);
  page.one("receive_rearms_total", "counter", "Multishot receives armed again.",
           &Counters::receive_rearms);
  page.one("receive_no_buffers_total", "counter", "Receives that found no buffer.",
           &Counters::receive_no_buffers);
  page.one("sends_failed_total", "counter", "Sends that failed.", &Counters::sends_failed);
  page.one("turns_total", "counter", "Turns of the shards.", &Counters::turns);
  page.one("missed_deadlines_total", "counter",
           "Deadlines served more than 100 ms late because the shard was busy.",
           &Counters::missed_deadlines);
  page.one("late_wakes_total", "counter",
           "Deadlines served more than 100 ms late because the machine woke the shard late.",
           &Counters::late_wakes);
  page.one("guest_media_refused_total", "counter",
           "Calls without a media session: their caller has not registered and has too many.",
           &Counters::guest_media_refused);
  page.one("handed_over_total", "counter", "Messages handed to another shard.",
           &Counters::handed_over);
  page.one("handed_over_full_total", "counter", "Hand-overs lost to a full mailbox.",
           &Counters::handed_over_full);
  page.one("buffers_in_use", "gauge", "Pooled buffers in use.", &Counters::buffers_in_use);
  page.one("buffer_bytes_in_use", "gauge", "Bytes of them.", &Counters::buffer_bytes_in_use);
  page.one("log_dropped_total", "counter", "Log records dropped.", &Counters::log_dropped);
}

double open_descriptors() {
  double count = 0;
  if (DIR* directory = opendir("/proc/self/fd")) {
    while (readdir(directory)) ++count;
    closedir(directory);
  }
  return count - 3;  // the two dots and the directory itself
}

double resident_bytes() {
  double pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    unsigned long size = 0, resident = 0;
    if (std::fscanf(file, "%lu %lu", &size, &resident) == 2) pages = static_cast<double>(resident);
    std::fclose(file);
  }
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// The same conditions as /healthz and `ringway ctl status`: 0 ok, 1 degraded, 2 failed.
void write_process(Page& page, const ProcessFacts& facts) {
  page.head("config_generation", "gauge", "The configuration in force, counted by reloads.");
  page.line("config_generation", {}, static_cast<double>(facts.generation));
  page.head("ready", "gauge", "1 if calls can succeed.");
  page.line("ready", {}, facts.ready ? 1 : 0);
  page.head("log_lines_dropped_total", "counter",
            "Log lines that nobody read in time, or that could not be written.");
  page.line("log_lines_dropped_total", {}, static_cast<double>(facts.log_lines_dropped));
  page.head("admin_misdirected_total", "counter",
            "Requests to the admin address by a name that is not in admin.names.");
  page.line("admin_misdirected_total", {}, static_cast<double>(facts.admin_misdirected));
  page.head("condition", "gauge", "0: ok, 1: degraded, 2: failed.");
  for (const Condition& condition : facts.conditions) {
    page.line("condition", Page::label("condition", condition.name),
              static_cast<double>(condition.state));
  }
  page.head("certificate_end_seconds", "gauge", "When a certificate in use ends, since 1970.");
  const auto write_ends = [&](std::string_view name, bool lists) {
    for (const CertificateEnd& end : facts.certificates) {
      if (end.is_list != lists) continue;
      page.line(name, Page::label("file", end.file) + "," + Page::label("used_by", end.used_by),
                static_cast<double>(end.not_after));
    }
  };
  write_ends("certificate_end_seconds", false);
  page.head("revocation_list_end_seconds", "gauge",
            "When a revocation list in use wants to be replaced, since 1970.");
  write_ends("revocation_list_end_seconds", true);
}

// Rules of one name and action, as where a file repeats the shipped ones, are one series: a name
// that stands there twice would cost the whole page (exposition format).
void write_rules(Page& page, const FilterRules* rules) {
  page.head("filter_drops_total", "counter", "Requests that match a scanner rule, by action.");
  std::map<std::string, double> hits;  // by labels
  for (std::size_t i = 0; rules && i < rules->rules().size(); ++i) {
    const FilterRules::Rule& rule = rules->rules()[i];
    std::string name;
    for (const char c : rule.name) {
      if (c == '"' || c == '\\' || c == '\n') name += '\\';
      name += c == '\n' ? 'n' : c;
    }
    hits[Page::label("rule", name) + "," + Page::label("action", text_of(rule.action))] +=
        page.sum(&Counters::filter_rule_hits, i);
  }
  for (const auto& [labels, count] : hits) page.line("filter_drops_total", labels, count);
}

}  // namespace

std::string metrics_page(std::span<const Counters* const> shards, const FilterRules* rules,
                         double start_seconds, const ProcessFacts& facts) {
  Page page(shards);
  page.head("build_info", "gauge", "The running version.");
  page.line("build_info", "version=\"" RINGWAY_VERSION "\"", 1);
  page.head("start_time_seconds", "gauge", "When the process started, since 1970.");
  page.line("start_time_seconds", {}, start_seconds);
  page.head("shards", "gauge", "Shards.");
  page.line("shards", {}, static_cast<double>(shards.size()));
  page.head("process_open_fds", "gauge", "Open descriptors.");
  page.line("process_open_fds", {}, open_descriptors());
  page.head("process_resident_memory_bytes", "gauge", "Resident memory.");
  page.line("process_resident_memory_bytes", {}, resident_bytes());
  const tls::AllocatorStatistics openssl = tls::allocator_statistics();
  page.head("openssl_memory_bytes", "gauge", "What OpenSSL holds, and keeps for its next use.");
  page.line("openssl_memory_bytes", "kind=\"live\"", static_cast<double>(openssl.live_bytes));
  page.line("openssl_memory_bytes", "kind=\"cached\"", static_cast<double>(openssl.cached_bytes));
  page.head("openssl_memory_blocks", "gauge", "Blocks that OpenSSL holds.");
  page.line("openssl_memory_blocks", {}, static_cast<double>(openssl.live_blocks));
  write_messages(page);
  write_transactions(page);
  write_routing(page);
  write_media(page);
  write_rules(page, rules);
  write_admission(page, facts);
  write_transport(page);
  write_datagrams(page);
  write_reactor(page);
  write_process(page, facts);
  return page.take();
}

}  // namespace ringway
