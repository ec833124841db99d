#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/control/log_writer.h"
#include "gateway/control/resolver.h"
#include "gateway/routing/next_hops.h"

namespace ringway {

// Keeps the addresses of the configured next hops. Each is looked up, published and refreshed by
// itself: one whose name server is silent holds up no other, and a numeric one is there at once.
//
//   asked --answer--> known until its TTL ends --asked again--> ...
//
// All on the control thread.
class NextHopLookups {
 public:
  using Publish = std::function<void(std::shared_ptr<const NextHopSnapshot>)>;

  // resolver and log outlive this. publish is called whenever something has changed.
  NextHopLookups(uv_loop_t* loop, Resolver& resolver, LogWriter& log, Publish publish);
  // Closes its timer; the loop has to run once more.
  void close();

  // What to look up from now on, by place. Entries that lead where they led keep their addresses.
  void set(const std::vector<NextHopConfig>& next_hops);
  // Asks again for all names, whatever their TTL.
  void refresh();

  // True once every entry was answered, or given up by the resolver, at least once.
  bool all_tried() const;
  const std::vector<Resolution>& resolutions() const { return snapshot_.next_hops; }

 private:
  // One name to look up: a next hop's own, or that of one of its members.
  struct Entry {
    Question question;
    std::size_t next_hop = 0;
    bool is_member = false;
    bool asking = false, tried = false;
    std::uint64_t due = 0;  // uv_now() of its next lookup
    Resolution resolution;
  };
  void ask(const Question& question);
  void answered(const Question& question, const Resolution& resolution);
  void complain(const Question& question, const Resolution& resolution);
  void publish();
  void arm();

  uv_loop_t* loop_;
  Resolver& resolver_;
  LogWriter& log_;
  Publish publish_;
  std::unique_ptr<uv_timer_t> timer_;
  std::vector<Entry> entries_;
  std::vector<std::string> names_;  // of the next hops, by place, for the log
  NextHopSnapshot snapshot_;
  bool setting_ = false;  // one publication for all that is known at once
};

}  // namespace ringway
