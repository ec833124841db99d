#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/lab/sofia.h"

namespace ringway::lab {

struct Binding {
  std::string contact;            // URI without angle brackets
  std::string instance;           // +sip.instance without quotes and brackets, may be empty
  std::vector<std::string> path;  // header values, topmost first (RFC 3327)
  std::string call_id;
  std::uint32_t cseq = 0;
  std::chrono::steady_clock::time_point expires;
};

// A registrar for one domain (RFC 3261 10.3) with Path (RFC 3327) and public GRUUs (RFC 5627).
// Users exist by registering: a name is all that it knows of them, in whatever domain they say.
class Registrar {
 public:
  struct Options {
    std::string realm;
    std::string password;  // the same for all users; empty: nobody is asked
    bool gruu = true;
  };

  explicit Registrar(Options options);

  // Takes the message and answers it.
  void handle(nta_agent_t* agent, msg_t* msg, sip_t* sip);

  // The live bindings, newest first. instance: only that of this GRUU if not empty.
  std::vector<Binding> find(std::string_view user, std::string_view instance);
  // True if the user registered at any time since the start.
  bool knows(std::string_view user) const { return users_.find(user) != users_.end(); }
  void remove(std::string_view user, std::string_view contact);

 private:
  enum class Verdict { Accepted, Challenge, StaleNonce, Forbidden };

  Verdict authenticate(const sip_t& sip) const;
  std::string make_challenge(Verdict verdict) const;
  std::string make_nonce(std::int64_t second) const;
  bool nonce_is_ours(std::string_view nonce, bool& fresh) const;
  bool update(const sip_t& sip, std::vector<Binding>& bindings);
  void answer(nta_incoming_t* incoming, const sip_t& sip, const std::vector<Binding>& bindings);

  Options options_;
  std::string secret_;
  std::map<std::string, std::vector<Binding>, std::less<>> users_;
};

}  // namespace ringway::lab
