#pragma once

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/core/proxy_core.h"

namespace ringway::fuzz {

// Where the SIP server is.
const Endpoint& pbx_address();
// What stands behind name ("To: ") on the first line that begins with it; empty: none does.
std::string value_of(std::string_view text, std::string_view name);

// Two cores with what lies between them, users on UDP and WebSocket, and a SIP server. What must
// hold whatever is sent:
//   nothing goes to a private, loopback or link-local address but the SIP server's and the users'
//   nothing goes down a flow that is not open
//   once nobody speaks any more and time has passed, nothing is held
class TwoShards {
 public:
  TwoShards();
  ~TwoShards();

  // who: one of the users; what: the method; which: call, branch and variations.
  void user_sends(std::uint8_t who, std::uint8_t what, std::uint8_t which);
  void pbx_sends(std::uint8_t what, std::uint8_t which);
  // An answer to one of the requests that came lately.
  void pbx_answers(std::uint8_t which, int status);
  void user_answers(std::uint8_t which, int status);
  // ACK, BYE and the like in the dialog that a 2xx to a user has made.
  void in_dialog(std::uint8_t which, std::uint8_t what);
  void advance(Duration time);
  void toggle_flow(std::uint8_t which);
  std::string earlier(std::uint8_t which) const;
  void deliver_from(std::uint8_t from, std::string_view text);
  void switch_state(std::uint8_t which);
  // Everybody leaves; then the last of the promises.
  void end();

 private:
  struct Shard;
  struct Request {
    std::string text;
    std::size_t user = 0;  // whom it went to, or who sent it
  };

  static constexpr std::size_t kUsers = 6;  // the first kFlows on WebSockets, the rest on UDP
  static constexpr std::size_t kFlows = 3;

  Source user(std::size_t index) const;
  void deliver(const Source& source, const std::string& text);
  void pump();
  void perform(std::size_t shard, Output& output);
  void went_to(const Endpoint& remote, std::string text);
  std::size_t user_at(const Endpoint& remote) const;
  std::string answer(const std::string& request, int status, bool from_pbx) const;
  void advance_to(Instant then);
  void remember(const std::string& text);
  bool is_quiet() const;

  Config config_;
  std::array<std::unique_ptr<Shard>, 2> shards_;
  std::array<std::uint32_t, kFlows> generations_{};
  std::array<bool, kFlows> open_{};
  Instant now_ = Instant{} + std::chrono::hours(1);
  std::deque<Request> at_pbx_, at_users_, answers_;
  std::deque<std::string> earlier_;
  std::string path_;  // of the last REGISTER that the SIP server saw
};

}  // namespace ringway::fuzz
