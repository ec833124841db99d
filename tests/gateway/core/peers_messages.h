#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/outbox.h"

// What the tests of peers say and see.

namespace ringway {

struct Sent {
  // "flow 1", "udp 10.0.0.9:5060", "tcp 20.0.0.8:5060", "relay", "shard 1" or "name b.test".
  std::string to;
  std::string text;
  bool begins(std::string_view start) const { return text.starts_with(start); }
};
using AllSent = std::vector<Sent>;

inline void PrintTo(const Sent& sent, std::ostream* out) {
  *out << "to " << sent.to << ": " << sent.text;
}

// Who sends: a connection, or an address and the listener that it sends to.
struct Speaker {
  Source source;
  std::string user, instance;
  std::string to;  // as Sent has it
  std::string contact() const { return "sip:" + user + "@" + user + ".invalid;transport=ws"; }
  std::string aor() const { return "sip:" + user + "@example.test"; }
};

struct Ask {
  std::string_view method = "INVITE";
  std::string uri = "sip:bob@example.test";
  std::vector<std::string> routes{};
  std::string call_id{}, from{}, to{}, branch{};  // empty: one of its own, the sender, bob, fresh
  unsigned cseq = 1;
  std::string lines{};  // whole ones, besides
  std::string body{};
};

// serial: for whatever ask leaves open.
inline std::string written(const Speaker& from, const Ask& ask, const std::string& serial) {
  std::string made = std::string(ask.method) + " " + ask.uri + " SIP/2.0\r\nVia: SIP/2.0/" +
                     (from.source.transport == Transport::Udp   ? "UDP "
                      : from.source.transport == Transport::Tcp ? "TCP "
                                                                : "WS ") +
                     text_of(from.source.remote) + ";branch=z9hG4bK" +
                     (ask.branch.empty() ? serial : ask.branch) + ";rport\r\n";
  made += "Max-Forwards: 70\r\n";
  for (const std::string& route : ask.routes) made += "Route: " + route + "\r\n";
  made += "From: " + (ask.from.empty() ? "<" + from.aor() + ">;tag=a" : ask.from) + "\r\n";
  made += "To: " + (ask.to.empty() ? "<sip:bob@example.test>" : ask.to) + "\r\n";
  made += "Call-ID: " + (ask.call_id.empty() ? "call-" + serial : ask.call_id) + "\r\n";
  made += "CSeq: " + std::to_string(ask.cseq) + " " + std::string(ask.method) + "\r\n";
  if (ask.lines.find("Contact: ") == std::string::npos) {
    made += "Contact: <" + from.contact() + ">\r\n";
  }
  if (!ask.body.empty()) made += "Content-Type: application/sdp\r\n";
  return made + ask.lines + "Content-Length: " + std::to_string(ask.body.size()) + "\r\n\r\n" +
         ask.body;
}

// Of the header lines of that name, each as it stands.
inline std::vector<std::string> values(std::string_view text, std::string_view name) {
  std::vector<std::string> found;
  const std::string start = "\r\n" + std::string(name) + ": ";
  for (std::size_t at = 0; (at = text.find(start, at)) != text.npos; ++at) {
    const std::size_t from = at + start.size();
    found.emplace_back(text.substr(from, text.find("\r\n", from) - from));
  }
  return found;
}
inline std::string value(std::string_view text, std::string_view name) {
  const auto found = values(text, name);
  return found.empty() ? "" : found[0];
}

// The next hop answers; contact: whole header lines, or nothing.
inline std::string answer(const Sent& request, std::string_view status,
                          std::string_view contact = {}) {
  std::string text = "SIP/2.0 " + std::string(status) + "\r\n";
  for (const std::string_view name :
       {"Via", "Record-Route", "Path", "From", "To", "Call-ID", "CSeq"}) {
    for (const std::string& value : values(request.text, name)) {
      const bool tagged = name != "To" || value.find(";tag=") != value.npos;
      text += std::string(name) + ": " + value + (tagged ? "" : ";tag=b") + "\r\n";
    }
  }
  return text + std::string(contact) + "Content-Length: 0\r\n\r\n";
}

}  // namespace ringway
