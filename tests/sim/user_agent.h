#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/checks.h"
#include "tests/sim/clock.h"
#include "tests/sim/dice.h"
#include "tests/sim/message.h"
#include "tests/sim/trace.h"

namespace ringway::sim {

// Who a user agent is and how it speaks.
struct Profile {
  std::string user;
  std::string contact;         // its URI
  std::string contact_params;  // of REGISTER: instance, reg-id
  std::string via;             // "SIP/2.0/WSS abc.invalid"
  bool reliable = false;       // its transport neither loses nor repeats
  bool browser = false;        // speaks WebRTC
  bool media_relayed = false;  // what it gets must be of its own kind: a relay stands between
};

// What a called one does. status 0: it only rings, if that.
struct Answer {
  int status = 200;
  bool rings = true;
  Duration after = 300ms;
  bool trying = true;  // 100 at once
};

// A scripted SIP user agent: transactions, dialogs, nothing else. Follows RFC 3261 where that
// matters to the one between: retransmits over UDP, ACKs, cancels only what has answered.
class UserAgent {
 public:
  struct Tools {
    Clock& clock;
    Dice& dice;
    Trace& trace;
    Checks& checks;
  };
  using Send = std::function<void(const Message&)>;
  using Done = std::function<void(int status)>;  // of the final response; 0: none came

  // send takes a message to wherever its Route set and the nature of the user agent say.
  UserAgent(Tools tools, Profile profile, Send send);
  UserAgent(const UserAgent&) = delete;
  UserAgent& operator=(const UserAgent&) = delete;

  struct Call {
    enum class State : std::uint8_t { Calling, Ringing, Up, Over };
    State state = State::Calling;
    bool caller = false;
    bool cancelled = false;
    int status = 0;  // of the INVITE
    std::string call_id, local_tag, remote_tag, local, remote, remote_target;
    std::vector<std::string> routes;
    unsigned cseq = 1;
    std::string invite_branch;
    std::string last_sdp;  // what came from the other side
  };

  void receive(const Message& message);

  // seconds 0: takes the binding back.
  void register_for(int seconds, Done done = {});
  // The number of the new call. late_offer: no description in the INVITE.
  int call(std::string_view target, Done done = {}, bool late_offer = false);
  void cancel(int call);
  // The caller may before it is answered (RFC 3261 15).
  void hang_up(int call, Done done = {});
  // INVITE, UPDATE, INFO or any other method within the dialog.
  void request_within(int call, std::string_view method, Done done = {});
  void request(std::string_view method, std::string_view target, Done done = {});

  const Call& at(int call) const { return calls_.at(call); }
  const std::map<int, Call>& calls() const { return calls_; }
  std::vector<int> calls_in(Call::State state) const;
  const Profile& profile() const { return profile_; }
  std::string aor() const { return "sip:" + profile_.user + "@example.org"; }
  // What it offers and answers.
  std::string description() const;

  // What it does with the next INVITE, and the status for any other request (0: silence).
  std::function<Answer(const Message&)> answers = [](const Message&) { return Answer{}; };
  std::function<int(const Message&)> answers_others = [](const Message&) { return 200; };
  // Counts of what came.
  std::map<std::string, int> received;  // requests by method, without repetitions

 private:
  struct Client {
    Message request;
    int status = 0;
    bool provisional = false;
    bool cancel_wanted = false;
    std::function<void(const Message*)> on_response;  // nullptr: timed out
  };
  struct Server {
    Message request;
    std::optional<Message> response;
    bool acked = false;
    int call = -1;
  };

  // client side
  Message build(std::string_view method, std::string_view uri, std::string_view from,
                std::string_view to, std::string_view call_id, unsigned cseq);
  Message build_within(Call& call, std::string_view method, unsigned cseq);
  std::string start(Message request, std::function<void(const Message*)> on_response);
  void retransmit(const std::string& key, Duration interval);
  void send_cancel(const std::string& key);
  void take_response(const Message& response);
  void ack_refusal(const Client& client, const Message& response);
  void send_register(int seconds, bool authorized, Done done);
  void send_invite(int number, std::string_view target, Done done, bool late_offer,
                   bool authorized);
  void take_invite_response(int number, const Message& response, const Done& done,
                            std::string_view target, bool late_offer, bool authorized);
  static void learn_dialog(Call& call, const Message& response);
  void invite_succeeded(int number, const Message& response, bool late_offer);
  // server side
  void take_request(const Message& request);
  void take_invite(const std::string& key, const Message& request);
  void take_reinvite(const std::string& key, const Message& request, int call);
  void take_cancel(const Message& request);
  void take_ack(const Message& request);
  void respond(const std::string& key, int status);
  void repeat_until_acked(const std::string& key, Duration interval, Instant end);
  int find_call(const Message& request) const;
  int open_call(const Message& request);

  void check_description(const Message& message);
  std::string fresh(std::string_view prefix);

  Tools tools_;
  Profile profile_;
  Send send_;
  std::map<int, Call> calls_;
  std::map<std::string, Client> clients_;  // by branch and method
  std::map<std::string, Server> servers_;  // by branch and method
  int next_call_ = 0;
  unsigned register_cseq_ = 0;
  std::string register_call_id_;
  unsigned serial_ = 0;
};

}  // namespace ringway::sim
