#pragma once

#include <uv.h>

#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gateway/base/random.h"
#include "gateway/base/transport.h"
#include "gateway/routing/next_hops.h"
#include "protocol/base/time.h"

struct ares_channeldata;

namespace ringway {

// What a SIP URI says of where it leads (RFC 3263 4).
struct Question {
  std::string host;
  std::uint16_t port = 0;  // 0: none given
  Transport transport = Transport::Udp;
  bool transport_given = false;
  bool secure = false;
  auto operator<=>(const Question&) const = default;
};

// RFC 3263 lookups by c-ares on the control thread: NAPTR, SRV, A and AAAA. Answers are kept for
// their TTL (5 s to 1 h), failures for a few seconds, and when DNS is dead the last good answer is
// used for up to an hour. One lookup in flight for each question.
class Resolver {
 public:
  using Answer = std::function<void(const Resolution&)>;

  // nameservers: addresses, optionally with port; empty: the system's.
  [[nodiscard]] static std::expected<std::unique_ptr<Resolver>, std::string> open(
      uv_loop_t* loop, const std::vector<std::string>& nameservers);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Other name servers from now on; empty: the system's. Errors: one line.
  [[nodiscard]] std::expected<void, std::string> use(const std::vector<std::string>& nameservers);
  // Reads the system's resolv.conf anew if it is another file than before and the system's servers
  // are in use. True if so.
  bool follow_system();

  // answer is called once, now or later.
  void resolve(const Question& question, Answer answer);
  // Stops all lookups and closes its handles; the loop has to run once more.
  void close();

 private:
  struct Lookup;
  struct Poll;
  struct Entry {
    Resolution resolution;
    std::uint64_t fresh_until = 0, stale_until = 0;  // uv_now()
  };
  explicit Resolver(uv_loop_t* loop);
  bool open_channel();

  void ask_naptr(std::shared_ptr<Lookup> lookup);
  void ask_next_srv(std::shared_ptr<Lookup> lookup);
  void ask_next_address(std::shared_ptr<Lookup> lookup);
  void finish(std::shared_ptr<Lookup> lookup);
  const Resolution* stale_answer(const Question& question) const;
  void socket_state(int socket, bool readable, bool writable);
  void arm_timer();

  uv_loop_t* loop_;
  ares_channeldata* channel_ = nullptr;
  bool system_servers_ = true;
  std::int64_t system_file_ = 0;  // when resolv.conf was written, and its size
  uv_timer_t timer_{};
  std::map<int, Poll*> polls_;
  std::map<Question, Entry> cache_;
  std::map<Question, std::vector<Answer>> waiting_;
  Random random_;
};

}  // namespace ringway
