#pragma once

#include <uv.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "protocol/base/bytes.h"
#include "tests/gateway/reactor/peer.h"

namespace ringway::test {

// A DNS server on the test's own loop: answers from a table, remembers what it was asked.
class NameServer {
 public:
  enum Type : std::uint16_t { kA = 1, kAaaa = 28, kSrv = 33, kNaptr = 35 };

  explicit NameServer(uv_loop_t* loop) : socket_(bound_socket(SOCK_DGRAM)) {
    uv_poll_init(loop, &poll_, socket_.fd());
    poll_.data = this;
    uv_poll_start(&poll_, UV_READABLE,
                  [](uv_poll_t* poll, int, int) { static_cast<NameServer*>(poll->data)->serve(); });
  }
  void close() { uv_close(reinterpret_cast<uv_handle_t*>(&poll_), nullptr); }

  std::string address() const { return "127.0.0.1:" + std::to_string(local_of(socket_.fd()).port); }
  void address(const std::string& name, std::string_view ip) {
    const Address parsed = *parse_address(ip);
    add(name, parsed.family == Family::V4 ? kA : kAaaa, std::string(as_text(parsed.octets())));
  }
  void srv(const std::string& name, std::uint16_t priority, std::uint16_t weight,
           std::uint16_t port, const std::string& target) {
    add(name, kSrv, u16(priority) + u16(weight) + u16(port) + wire_name(target));
  }
  void naptr(const std::string& name, std::uint16_t order, std::uint16_t preference,
             const std::string& service, const std::string& replacement) {
    add(name, kNaptr,
        u16(order) + u16(preference) + text("s") + text(service) + text("") +
            wire_name(replacement));
  }

  bool silent = false;  // answers nothing
  int code = 0;         // of every answer, if not 0
  std::uint32_t ttl = 60;
  std::map<std::uint16_t, std::uint32_t> ttl_of;  // by type, instead of ttl
  std::uint16_t dead = 0;                         // a type that is answered SERVFAIL
  std::vector<std::pair<std::string, std::uint16_t>> asked;
  std::size_t count(const std::string& name, std::uint16_t type) const {
    std::size_t number = 0;
    for (const auto& question : asked) number += question == std::pair(name, type) ? 1 : 0;
    return number;
  }

 private:
  static std::string u16(std::uint32_t value) {
    return {static_cast<char>(value >> 8 & 255), static_cast<char>(value & 255)};
  }
  static std::string text(const std::string& value) {
    return static_cast<char>(value.size()) + value;
  }
  static std::string wire_name(const std::string& name) {
    std::string wire;
    for (std::size_t begin = 0; begin < name.size();) {
      const std::size_t end = std::min(name.find('.', begin), name.size());
      if (end != begin) wire += text(name.substr(begin, end - begin));
      begin = end + 1;
    }
    return wire + '\0';
  }
  void add(const std::string& name, std::uint16_t type, std::string data) {
    records_[{name, type}].push_back(std::move(data));
    names_[name] = true;
  }
  void serve() {
    char memory[4'096];
    SocketAddress source{};
    socklen_t size = sizeof source;
    const ssize_t got =
        recvfrom(socket_.fd(), memory, sizeof memory, MSG_DONTWAIT, &source.any, &size);
    if (got < 17) return;
    const std::string question(memory, static_cast<std::size_t>(got));
    std::string name;
    std::size_t at = 12;
    while (question[at] != 0) {
      const auto length = static_cast<std::size_t>(question[at]);
      name += (name.empty() ? "" : ".") + question.substr(at + 1, length);
      at += length + 1;
    }
    const std::uint16_t type = read_u16(as_bytes(question).subspan(at + 1));
    asked.emplace_back(name, type);
    if (silent) return;
    const auto found = records_.find({name, type});
    const auto& data = found == records_.end() || type == dead ? none_ : found->second;
    int answer_code = code != 0 ? code : (names_.contains(name) ? 0 : 3);
    if (type == dead) answer_code = 2;
    const auto own_ttl = ttl_of.find(type);
    const std::uint32_t seconds = own_ttl == ttl_of.end() ? ttl : own_ttl->second;
    std::string answer = question.substr(0, 2) + u16(0x8580u | static_cast<unsigned>(answer_code)) +
                         u16(1) + u16(static_cast<std::uint32_t>(data.size())) + u16(0) + u16(0) +
                         question.substr(12, at + 5 - 12);
    for (const std::string& one : data) {
      answer += u16(0xc00c) + u16(type) + u16(1) + u16(seconds >> 16) + u16(seconds) +
                u16(static_cast<std::uint32_t>(one.size())) + one;
    }
    sendto(socket_.fd(), answer.data(), answer.size(), 0, &source.any, size);
  }

  Socket socket_;
  uv_poll_t poll_{};
  std::map<std::pair<std::string, std::uint16_t>, std::vector<std::string>> records_;
  std::map<std::string, bool> names_;
  const std::vector<std::string> none_;
};

}  // namespace ringway::test
