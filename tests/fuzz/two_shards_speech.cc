#include "tests/fuzz/two_shards.h"

namespace ringway::fuzz {
namespace {

constexpr std::string_view kMethods[] = {"INVITE", "REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE",
                                         "ACK",    "BYE",      "CANCEL",  "PRACK",   "UPDATE",
                                         "REFER",  "NOTIFY",   "INFO",    "PUBLISH", "FOO"};
constexpr std::string_view kBody =
    "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0\r\n";

// Lines of text that begin with name, with their CRLF.
std::string lines_of(std::string_view text, std::string_view name) {
  std::string found;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find("\r\n", at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (line.empty()) break;
    if (line.starts_with(name)) found += std::string(line) + "\r\n";
    at = end + 2;
  }
  return found;
}
}  // namespace

std::string value_of(std::string_view text, std::string_view name) {
  std::string line = lines_of(text, name);
  line = line.substr(0, line.find("\r\n"));
  return line.size() > name.size() ? line.substr(name.size()) : std::string();
}

// --- What people say ---------------------------------------------------------------------------

void TwoShards::user_sends(std::uint8_t who, std::uint8_t what, std::uint8_t which) {
  const std::size_t index = who % kUsers;
  if (index < kFlows && !open_[index]) return;
  const Source source = user(index);
  const std::string number = std::to_string(which % 8), name = std::to_string(index);
  const std::string method(kMethods[what % std::size(kMethods)]);
  const std::string host = "198.51.100." + std::to_string(10 + index) + ":40000";
  const bool registers = method == "REGISTER";
  const std::string own = "<sip:u" + name + "@example.test>";
  std::string text = method + " " +
                     (registers     ? "sip:example.test"
                      : (which & 8) ? "sip:+88123@example.test"
                                    : "sip:b@example.test") +
                     " SIP/2.0\r\nVia: SIP/2.0/" + (source.flow ? "WS" : "UDP") + " " + host +
                     ";branch=z9hG4bK" + name + "x" + number + ((which & 16) ? "b" : "") + "\r\n" +
                     "Max-Forwards: 70\r\nFrom: " + own + ";tag=" + name +
                     "\r\nTo: " + (registers ? own : "<sip:b@example.test>") +
                     ((which & 64) ? ";tag=b" : "") + "\r\nCall-ID: " + name + "-" + number +
                     "\r\nCSeq: " + ((which & 32) ? "2 " : "1 ") + method + "\r\nContact: <sip:u" +
                     name + "@" + host + (source.flow ? ";transport=ws" : "") + ">" +
                     (registers ? ";+sip.instance=\"<urn:uuid:" + name + ">\";reg-id=1" : "") +
                     "\r\nSupported: path, outbound, 100rel, timer\r\n";
  if (registers) text += (which & 64) ? "Expires: 0\r\n" : "Expires: 300\r\n";
  if (which & 128) text += "Refer-To: <sip:+88999@example.test>\r\nSession-Expires: 90\r\n";
  const bool has_body = method == "INVITE" || method == "UPDATE" || method == "PRACK";
  if (has_body) text += "Content-Type: application/sdp\r\n";
  text += "Content-Length: " + std::to_string(has_body ? kBody.size() : 0) + "\r\n\r\n";
  if (has_body) text += kBody;
  remember(text);
  deliver(source, text);
}

void TwoShards::pbx_sends(std::uint8_t what, std::uint8_t which) {
  if (path_.empty()) return;
  const std::string number = std::to_string(which % 8);
  const std::string method(kMethods[what % std::size(kMethods)]);
  std::string text =
      method + " sip:u" + std::to_string(which % kUsers) + "@198.51.100." +
      std::to_string(10 + which % kUsers) +
      ":40000 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKp" + number +
      ((which & 16) ? "b" : "") + "\r\nRoute: " + path_ +
      "\r\nMax-Forwards: 70\r\nFrom: <sip:c@example.test>;tag=p\r\nTo: <sip:u@example.test>" +
      ((which & 64) ? ";tag=u" : "") + "\r\nCall-ID: p-" + number + "\r\nCSeq: 1 " + method +
      "\r\nContact: <sip:c@10.0.0.9:5060>\r\nContent-Length: 0\r\n\r\n";
  remember(text);
  Source source;
  source.listener = 1;
  source.remote = pbx_address();
  deliver(source, text);
}

std::string TwoShards::answer(const std::string& request, int status, bool from_pbx) const {
  std::string to = lines_of(request, "To: ");
  if (status > 100 && to.find(";tag=") == to.npos && to.size() > 2) {
    to.insert(to.size() - 2, from_pbx ? ";tag=b" : ";tag=u");
  }
  std::string text = "SIP/2.0 " + std::to_string(status) + " X\r\n" + lines_of(request, "Via: ") +
                     lines_of(request, "Record-Route: ") + lines_of(request, "From: ") + to +
                     lines_of(request, "Call-ID: ") + lines_of(request, "CSeq: ");
  const bool registers = request.starts_with("REGISTER");
  if (registers && status == 200)
    text += lines_of(request, "Contact: ") + lines_of(request, "Path: ") + "Expires: 300\r\n";
  if (!registers && status < 300 && status > 100) {
    text += from_pbx ? "Contact: <sip:b@10.0.0.9:5060>\r\n"
                     : "Contact: <sip:u@198.51.100.13:40000>\r\n";
  }
  if (status == 302) text += "Contact: <sip:+88777@example.test>\r\n";
  if (status == 401) text += "WWW-Authenticate: Digest realm=\"x\", nonce=\"y\"\r\n";
  const bool has_body = request.starts_with("INVITE") && status > 180 && status < 300;
  if (has_body) text += "Content-Type: application/sdp\r\n";
  text += "Content-Length: " + std::to_string(has_body ? kBody.size() : 0) + "\r\n\r\n";
  return has_body ? text + std::string(kBody) : text;
}

void TwoShards::pbx_answers(std::uint8_t which, int status) {
  if (at_pbx_.empty()) return;
  const std::string& request = at_pbx_[which % at_pbx_.size()].text;
  if (request.starts_with("SIP/2.0") || request.starts_with("ACK")) return;
  const std::string text = answer(request, status, true);
  remember(text);
  Source source;
  source.listener = 1;
  source.remote = pbx_address();
  deliver(source, text);
}

void TwoShards::user_answers(std::uint8_t which, int status) {
  if (at_users_.empty()) return;
  const Request request = at_users_[which % at_users_.size()];
  if (request.user >= kUsers || request.text.starts_with("SIP/2.0") ||
      request.text.starts_with("ACK"))
    return;
  if (request.user < kFlows && !open_[request.user]) return;
  const std::string text = answer(request.text, status, false);
  remember(text);
  deliver(user(request.user), text);
}

void TwoShards::in_dialog(std::uint8_t which, std::uint8_t what) {
  if (answers_.empty()) return;
  const Request ok = answers_[which % answers_.size()];
  if (ok.user >= kUsers || (ok.user < kFlows && !open_[ok.user])) return;
  const std::string method(kMethods[what % std::size(kMethods)]);
  std::string route = lines_of(ok.text, "Record-Route: ");
  for (std::size_t at = 0; (at = route.find("Record-Route", at)) != route.npos; at += 5)
    route.replace(at, 12, "Route");
  std::string contact = value_of(ok.text, "Contact: ");
  contact = contact.substr(0, contact.find('>'));
  if (contact.empty() || contact[0] != '<') return;
  const std::string text =
      method + " " + contact.substr(1) + " SIP/2.0\r\nVia: SIP/2.0/" +
      (ok.user < kFlows ? "WS" : "UDP") + " 198.51.100." + std::to_string(10 + ok.user) +
      ":40000;branch=z9hG4bKd" + std::to_string(what) + "\r\n" + route + "Max-Forwards: 70\r\n" +
      lines_of(ok.text, "From: ") + lines_of(ok.text, "To: ") + lines_of(ok.text, "Call-ID: ") +
      "CSeq: " + (method == "ACK" ? "1 " : "3 ") + method +
      "\r\nContact: <sip:u@198.51.100.13:40000>\r\nContent-Length: 0\r\n\r\n";
  remember(text);
  deliver(user(ok.user), text);
}

}  // namespace ringway::fuzz
