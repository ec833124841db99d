#include "tests/sim/media_relay.h"

#include <vector>

#include "protocol/base/writer.h"

namespace ringway::sim {
namespace {

std::string encode(std::initializer_list<std::pair<std::string_view, std::string_view>> pairs) {
  std::vector<std::uint8_t> memory(4'096);
  Writer out(memory);
  bencode::Encoder encoder(out);
  encoder.begin_dictionary();
  for (const auto& [key, value] : pairs) encoder.pair(key, value);
  encoder.end();
  return std::string(out.written_text());
}

std::string description(std::string_view session, bool webrtc) {
  std::string text = "v=0\r\no=- 7 7 IN IP4 10.0.0.7\r\ns=" + std::string(session) +
                     "\r\nt=0 0\r\nc=IN IP4 10.0.0.7\r\n";
  return text +
         (webrtc ? "m=audio 30000 UDP/TLS/RTP/SAVPF 0\r\na=ice-ufrag:relay\r\n"
                 : "m=audio 30002 RTP/AVP 0\r\n") +
         "a=sendrecv\r\n";
}

}  // namespace

MediaRelay::MediaRelay(Gateway::Tools tools) : tools_(tools) {
  serve(true);
}

void MediaRelay::serve(bool serve) {
  tools_.trace.line("relay", serve ? "serves" : "is gone");
  if (!serve) {
    forgot = true;
    sessions.clear();
    tools_.network.stop_listening(endpoint(kRelay));
    for (const auto& line : lines_) {
      if (line->wire) line->wire->close(Wire::Side::Server, Wire::Ending::Reset);
      line->wire.reset();
    }
    lines_.clear();
    return;
  }
  tools_.network.listen(endpoint(kRelay), [this](const Endpoint&, std::shared_ptr<Wire> wire) {
    auto line = std::make_shared<Line>();
    line->wire = std::move(wire);
    lines_.push_back(line);
    return std::optional(Wire::End{[this, line](std::string_view bytes) { receive(line, bytes); },
                                   [line](Wire::Ending) { line->wire.reset(); }});
  });
}

void MediaRelay::receive(const std::shared_ptr<Line>& line, std::string_view bytes) {
  line->pending.append(bytes);
  for (;;) {
    const auto frame = line->framer.next(as_bytes(line->pending));
    if (frame.state == bencode::Scanner::State::Malformed) {
      return tools_.checks.fail("the media relay cannot read its connection", line->pending);
    }
    if (frame.state != bencode::Scanner::State::Complete) return;
    const std::string reply = std::string(frame.cookie) + " " + reply_to(frame.dictionary);
    line->pending.erase(0, frame.size);
    const bool slow = tools_.dice.chance(late);
    if (slow) forgot = true;
    const Duration delay = slow ? tools_.dice.between(900ms, 3s) : tools_.dice.between(100us, 5ms);
    tools_.clock.after(delay, [line, reply] {
      if (line->wire) line->wire->send(Wire::Side::Server, reply);
    });
  }
}

std::string MediaRelay::list() const {
  std::string text = "d5:callsl";
  for (const auto& [id, count] : sessions) text += std::to_string(id.size()) + ":" + id;
  return text + "e6:result2:oke";
}

std::string MediaRelay::reply_to(std::string_view text) {
  const auto request = bencode::Dictionary::parse(text);
  const auto command = request ? request->find_string("command") : std::nullopt;
  if (!command) {
    tools_.checks.fail("the media relay gets no command", text);
    return "de";
  }
  if (*command == "ping") return encode({{"result", "pong"}});
  if (*command == "list") return list();
  const std::string id(request->find_string("call-id").value_or(""));
  if (id.empty()) tools_.checks.fail("a media session without a name", text);
  if (*command == "delete") {
    ++deletes;
    ended.insert(id);
    const bool known = sessions.erase(id) != 0;
    return known ? encode({{"result", "ok"}})
                 : encode({{"error-reason", "Unknown call-id"}, {"result", "error"}});
  }
  if (*command == "query") {
    return sessions.contains(id)
               ? "d6:result2:ok6:totalsd3:RTPd7:packetsi0eeee"
               : encode({{"error-reason", "Unknown call-id"}, {"result", "error"}});
  }
  const bool answer = *command == "answer";
  if ((answer && !sessions.contains(id) && !ended.contains(id)) || tools_.dice.chance(error)) {
    return encode({{"error-reason", "Unknown call-id"}, {"result", "error"}});
  }
  ++(answer ? answers : offers);
  if (!ended.contains(id)) ++sessions[id];
  const bool webrtc = request->find_string("ICE").value_or("") == "force";
  return encode({{"result", "ok"}, {"sdp", description(id, webrtc)}});
}

}  // namespace ringway::sim
