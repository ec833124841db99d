#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/bencode/bencode.h"
#include "tests/sim/gateway.h"

namespace ringway::sim {

// What rtpengine does, as far as the gateway can see: answers ng requests, keeps sessions.
class MediaRelay {
 public:
  explicit MediaRelay(Gateway::Tools tools);
  MediaRelay(const MediaRelay&) = delete;
  MediaRelay& operator=(const MediaRelay&) = delete;

  // Takes connections, or is gone: those that were there are reset.
  void serve(bool serve);

  double error = 0;     // chance that an offer or answer is refused
  double late = 0;      // chance that a reply takes more than the gateway's patience
  bool forgot = false;  // it was gone or did not answer: sessions may be left over
  std::map<std::string, int> sessions;  // by id: offers and answers
  // Offered again after their end, by a re-INVITE that crossed the BYE: the relay itself finds out
  // that nothing flows there.
  std::set<std::string> ended;
  int offers = 0, answers = 0, deletes = 0;

 private:
  struct Line {
    std::shared_ptr<Wire> wire;
    std::string pending;
    bencode::MessageFramer framer;
  };
  void receive(const std::shared_ptr<Line>& line, std::string_view bytes);
  std::string list() const;
  std::string reply_to(std::string_view dictionary);

  Gateway::Tools tools_;
  std::vector<std::shared_ptr<Line>> lines_;
};

}  // namespace ringway::sim
