#include "gateway/control/next_hop_lookups.h"

#include <algorithm>

#include "gateway/base/prefix.h"

namespace ringway {
namespace {

constexpr std::uint64_t kRefreshMsMin = 5'000;
constexpr std::uint64_t kMemberRefreshMs = 300'000;  // members may move sooner than they say

Question question_of(const NextHopConfig& next_hop) {
  Question question;
  question.host = next_hop.host;
  question.port = next_hop.port;
  question.transport_given = next_hop.transport.has_value();
  question.transport = next_hop.transport.value_or(Transport::Udp);
  return question;
}

// A member's addresses: a port means that nothing but these is asked for (RFC 3263 4.2).
Question member_question(const std::string& host) {
  Question question;
  question.host = host;
  question.port = 5060;
  return question;
}

}  // namespace

NextHopLookups::NextHopLookups(uv_loop_t* loop, Resolver& resolver, LogWriter& log, Publish publish)
    : loop_(loop),
      resolver_(resolver),
      log_(log),
      publish_(std::move(publish)),
      timer_(std::make_unique<uv_timer_t>()) {
  uv_timer_init(loop, timer_.get());
  timer_->data = this;
}

void NextHopLookups::close() {
  if (!timer_) return;
  uv_close(reinterpret_cast<uv_handle_t*>(timer_.release()), [](uv_handle_t* handle) {
    const std::unique_ptr<uv_timer_t> freed(reinterpret_cast<uv_timer_t*>(handle));
  });
}

void NextHopLookups::set(const std::vector<NextHopConfig>& next_hops) {
  std::vector<Entry> before = std::move(entries_);
  entries_.clear();
  names_.clear();
  const auto add = [&](Question question, std::size_t next_hop, bool is_member) {
    const auto known = std::find_if(before.begin(), before.end(),
                                    [&](const Entry& entry) { return entry.question == question; });
    Entry entry;
    if (known != before.end()) entry = *known;
    entry.question = std::move(question);
    entry.next_hop = next_hop;
    entry.is_member = is_member;
    entries_.push_back(std::move(entry));
  };
  for (std::size_t i = 0; i < next_hops.size(); ++i) {
    names_.push_back(next_hops[i].name);
    if (next_hops[i].removed) continue;
    add(question_of(next_hops[i]), i, false);
    for (const std::string& member : next_hops[i].members) {
      if (!parse_prefix(member)) add(member_question(member), i, true);
    }
  }
  setting_ = true;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    if (!entry.asking && !entry.tried) ask(Question(entry.question));
  }
  setting_ = false;
  publish();
  arm();
}

void NextHopLookups::refresh() {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (!entries_[i].asking) ask(Question(entries_[i].question));
  }
}

bool NextHopLookups::all_tried() const {
  return std::all_of(entries_.begin(), entries_.end(),
                     [](const Entry& entry) { return entry.tried; });
}

// Once for all entries with that question.
void NextHopLookups::ask(const Question& question) {
  for (Entry& entry : entries_) {
    if (entry.question == question) entry.asking = true;
  }
  resolver_.resolve(
      question, [this, question](const Resolution& resolution) { answered(question, resolution); });
}

void NextHopLookups::answered(const Question& question, const Resolution& resolution) {
  const auto ttl = static_cast<std::uint64_t>(std::max<std::int64_t>(resolution.ttl / 1ms, 0));
  for (Entry& entry : entries_) {
    if (entry.question != question) continue;
    entry.asking = false;
    entry.tried = true;
    entry.due = uv_now(loop_) + std::max(ttl, kRefreshMsMin) + 10;
    if (entry.is_member) entry.due = std::min(entry.due, uv_now(loop_) + kMemberRefreshMs);
    entry.resolution = resolution;
  }
  if (resolution.outcome != Resolution::Outcome::Found) complain(question, resolution);
  publish();
  arm();
}

void NextHopLookups::complain(const Question& question, const Resolution& resolution) {
  for (const Entry& entry : entries_) {
    if (entry.question != question) continue;
    log_.event(LogLevel::Warning, "next_hop_not_resolved",
               {{"next_hop", names_[entry.next_hop]},
                {"host", question.host},
                {"meaning", resolution.outcome == Resolution::Outcome::NoSuchName
                                ? "no such name"
                                : "DNS did not answer"}});
  }
}

void NextHopLookups::publish() {
  if (setting_) return;
  ++snapshot_.generation;
  snapshot_.next_hops.assign(names_.size(), {});
  snapshot_.members.assign(names_.size(), {});
  for (const Entry& entry : entries_) {
    if (!entry.is_member) {
      snapshot_.next_hops[entry.next_hop] = entry.resolution;
      continue;
    }
    for (const ResolvedTarget& target : entry.resolution.targets) {
      snapshot_.members[entry.next_hop].push_back(target.endpoint.address);
    }
  }
  publish_(std::make_shared<const NextHopSnapshot>(snapshot_));
}

void NextHopLookups::arm() {
  if (!timer_ || setting_) return;
  std::uint64_t due = UINT64_MAX;
  for (const Entry& entry : entries_) {
    if (!entry.asking && !parse_address(entry.question.host)) due = std::min(due, entry.due);
  }
  if (due == UINT64_MAX) return;
  const std::uint64_t now = uv_now(loop_);
  uv_timer_start(
      timer_.get(),
      [](uv_timer_t* timer) {
        auto* lookups = static_cast<NextHopLookups*>(timer->data);
        const std::uint64_t moment = uv_now(lookups->loop_);
        for (std::size_t i = 0; i < lookups->entries_.size(); ++i) {
          const Entry& entry = lookups->entries_[i];
          if (!entry.asking && entry.due <= moment && !parse_address(entry.question.host)) {
            lookups->ask(Question(entry.question));
          }
        }
        lookups->arm();
      },
      due > now ? due - now : 1, 0);
}

}  // namespace ringway
