#include "gateway/control/resolver.h"

// The calls of 1.18, which Debian 12 has; later versions keep them, marked as old.
#define CARES_NO_DEPRECATED
#include <ares.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <deque>

#include "gateway/control/rfc3263.h"
#include "gateway/transport/sockaddr.h"
#include "protocol/base/ascii.h"
#include "protocol/sip/uri.h"
#include "tls/random.h"

namespace ringway {
namespace {

constexpr std::uint64_t kTtlMin = 5, kTtlMax = 3'600, kNegative = 10, kStale = 3'600;  // seconds
constexpr std::size_t kTargetsMax = 32, kCacheMax = 4'096;
constexpr int kTypeSrv = 33, kTypeNaptr = 35, kClassIn = 1;

Endpoint endpoint_of(const ares_addrinfo_node& node, std::uint16_t port) {
  SocketAddress name{};
  std::memcpy(&name, node.ai_addr, std::min<std::size_t>(node.ai_addrlen, sizeof name));
  Endpoint endpoint = read_socket_address(name);
  endpoint.port = port;
  return endpoint;
}

// Whatever a name server says, nobody answers there, or many do.
bool is_one_host(const Address& address) {
  return !address.is_any() && !address.is_multicast();
}

// When the system's list of name servers was written, with its size; 0: it is not there.
std::int64_t system_file() {
  struct stat facts {};
  if (stat("/etc/resolv.conf", &facts) != 0) return 0;
  return std::int64_t{facts.st_mtim.tv_sec} * 1'000'000'000 + facts.st_mtim.tv_nsec + facts.st_size;
}

// The servers of a channel as ares_set_servers_ports_csv() takes them.
std::string servers_of(ares_channeldata* channel) {
  std::string list;
#if ARES_VERSION >= 0x011800  // 1.24
  if (char* text = ares_get_servers_csv(channel)) {
    list = text;
    ares_free_string(text);
  }
#else
  ares_addr_port_node* servers = nullptr;
  if (ares_get_servers_ports(channel, &servers) != ARES_SUCCESS) return list;
  for (const auto* one = servers; one; one = one->next) {
    Endpoint endpoint;
    if (one->family == AF_INET6) endpoint.address.family = Family::V6;
    const auto size = endpoint.address.octets().size();
    std::memcpy(endpoint.address.bytes.data(), &one->addr, size);
    endpoint.port = one->udp_port != 0 ? static_cast<std::uint16_t>(one->udp_port) : 53;
    list += (list.empty() ? "" : ",") + text_of(endpoint);
  }
  ares_free_data(servers);
#endif
  return list;
}

// No answer, as opposed to one that says that there is nothing.
bool is_dead(int status) {
  return status == ARES_ETIMEOUT || status == ARES_ECONNREFUSED || status == ARES_ESERVFAIL;
}

}  // namespace

struct Resolver::Lookup {
  Resolver* resolver;
  Question question;
  std::deque<std::pair<Transport, std::string>> services;  // SRV names still to ask
  struct Host {
    Transport transport;
    std::string name;
    std::uint16_t port;
    std::uint16_t priority = 0, weight = 0;
  };
  std::deque<Host> hosts;  // addresses still to ask
  Resolution resolution;
  std::uint64_t ttl = kTtlMax;
  bool failed = false;  // DNS itself did not answer
  bool found_srv = false;

  void heard(Bytes answer) {
    ttl = std::min<std::uint64_t>(ttl, smallest_ttl(answer, static_cast<std::uint32_t>(kTtlMax)));
  }
};

struct Resolver::Poll {
  uv_poll_t handle;
  Resolver* resolver;
  int socket;
};

Resolver::Resolver(uv_loop_t* loop) : loop_(loop), random_(read_u64(tls::random_bytes<8>())) {}

std::expected<std::unique_ptr<Resolver>, std::string> Resolver::open(
    uv_loop_t* loop, const std::vector<std::string>& nameservers) {
  std::unique_ptr<Resolver> resolver(new Resolver(loop));
  ares_library_init(ARES_LIB_INIT_ALL);
  if (!resolver->open_channel()) return std::unexpected("the resolver cannot be started");
  if (const auto used = resolver->use(nameservers); !used) return std::unexpected(used.error());
  // Last, since the loop knows it from here until close().
  uv_timer_init(loop, &resolver->timer_);
  resolver->timer_.data = resolver.get();
  return resolver;
}

bool Resolver::open_channel() {
  ares_options options{};
  options.timeout = 1'000;
  options.tries = 2;
  options.sock_state_cb_data = this;
  options.sock_state_cb = [](void* data, ares_socket_t socket, int readable, int writable) {
    static_cast<Resolver*>(data)->socket_state(socket, readable != 0, writable != 0);
  };
  const int flags = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
  system_file_ = system_file();
  return ares_init_options(&channel_, &options, flags) == ARES_SUCCESS;
}

std::expected<void, std::string> Resolver::use(const std::vector<std::string>& nameservers) {
  system_servers_ = nameservers.empty();
  if (nameservers.empty()) {
    if (const auto known = servers_of(channel_); !known.empty() && system_file_ != system_file()) {
      follow_system();
    }
    return {};
  }
  std::string list;
  for (const std::string& server : nameservers) list += (list.empty() ? "" : ",") + server;
  if (ares_set_servers_ports_csv(channel_, list.c_str()) != ARES_SUCCESS) {
    return std::unexpected("nameservers: " + list + " are not addresses");
  }
  return {};
}

// A channel of its own reads the file as c-ares does; lookups under way keep theirs.
bool Resolver::follow_system() {
  const std::int64_t file = system_file();
  if (!channel_ || !system_servers_ || file == system_file_) return false;
  system_file_ = file;
  ares_channeldata* fresh = nullptr;
  if (ares_init(&fresh) != ARES_SUCCESS) return false;
  const std::string list = servers_of(fresh);
  ares_destroy(fresh);
  if (list.empty() || ares_set_servers_ports_csv(channel_, list.c_str()) != ARES_SUCCESS) {
    return false;
  }
  for (auto& [question, entry] : cache_) entry.fresh_until = 0;
  return true;
}

Resolver::~Resolver() {
  if (channel_) ares_destroy(channel_);
}

void Resolver::close() {
  if (channel_) {
    waiting_.clear();
    ares_destroy(channel_);
    channel_ = nullptr;
  }
  uv_timer_stop(&timer_);
  if (!uv_is_closing(reinterpret_cast<uv_handle_t*>(&timer_))) {
    uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
  }
}

void Resolver::socket_state(int socket, bool readable, bool writable) {
  const auto found = polls_.find(socket);
  if (!readable && !writable) {
    if (found == polls_.end()) return;
    Poll* poll = found->second;
    polls_.erase(found);
    uv_poll_stop(&poll->handle);
    uv_close(reinterpret_cast<uv_handle_t*>(&poll->handle),
             [](uv_handle_t* handle) { delete static_cast<Poll*>(handle->data); });
    return;
  }
  Poll* poll = found != polls_.end() ? found->second : nullptr;
  if (!poll) {
    poll = std::make_unique<Poll>().release();  // freed by its close callback
    poll->resolver = this;
    poll->socket = socket;
    uv_poll_init(loop_, &poll->handle, socket);
    poll->handle.data = poll;
    polls_[socket] = poll;
  }
  const int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
  uv_poll_start(&poll->handle, events, [](uv_poll_t* handle, int status, int happened) {
    auto* own = static_cast<Poll*>(handle->data);
    Resolver* resolver = own->resolver;
    const int socket_number = own->socket;
    const bool read = status < 0 || (happened & UV_READABLE);
    const bool write = status < 0 || (happened & UV_WRITABLE);
    ares_process_fd(resolver->channel_, read ? socket_number : ARES_SOCKET_BAD,
                    write ? socket_number : ARES_SOCKET_BAD);
    resolver->arm_timer();
  });
}

void Resolver::arm_timer() {
  timeval wait{};
  if (!channel_ || !ares_timeout(channel_, nullptr, &wait)) {
    uv_timer_stop(&timer_);
    return;
  }
  const auto milliseconds =
      static_cast<std::uint64_t>(wait.tv_sec * 1000 + wait.tv_usec / 1000 + 1);
  uv_timer_start(
      &timer_,
      [](uv_timer_t* timer) {
        auto* resolver = static_cast<Resolver*>(timer->data);
        ares_process_fd(resolver->channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        resolver->arm_timer();
      },
      milliseconds, 0);
}

void Resolver::resolve(const Question& question, Answer answer) {
  if (const auto address = parse_address(question.host)) {
    Resolution resolution;
    resolution.outcome = Resolution::Outcome::Found;
    const Transport transport = question.transport_given
                                    ? question.transport
                                    : (question.secure ? Transport::Tls : Transport::Udp);
    resolution.targets.push_back(
        {transport, {*address, question.port != 0 ? question.port : default_port(transport)}});
    resolution.ttl = std::chrono::hours(1);
    return answer(resolution);
  }
  if (sip::is_invalid_host(question.host)) {  // RFC 2606: never asked for
    Resolution none;
    none.outcome = Resolution::Outcome::NoSuchName;
    return answer(none);
  }
  const auto cached = cache_.find(question);
  if (cached != cache_.end() && uv_now(loop_) < cached->second.fresh_until) {
    return answer(cached->second.resolution);
  }
  auto& waiting = waiting_[question];
  waiting.push_back(std::move(answer));
  if (waiting.size() > 1) return;
  auto lookup = std::make_shared<Lookup>();
  lookup->resolver = this;
  lookup->question = question;
  const Transport transport = question.transport_given
                                  ? question.transport
                                  : (question.secure ? Transport::Tls : Transport::Udp);
  if (question.port != 0) {  // RFC 3263 4.2: a port means addresses only
    lookup->hosts.push_back({transport, question.host, question.port, 0, 0});
    ask_next_address(lookup);
  } else if (question.transport_given) {
    lookup->services.emplace_back(transport, srv_name(transport, question.host));
    ask_next_srv(lookup);
  } else {
    ask_naptr(lookup);
  }
  arm_timer();
}

void Resolver::ask_naptr(std::shared_ptr<Lookup> lookup) {
  auto* held = std::make_unique<std::shared_ptr<Lookup>>(lookup).release();
  ares_query(
      channel_, lookup->question.host.c_str(), kClassIn, kTypeNaptr,
      [](void* data, int status, int, unsigned char* bytes, int size) {
        std::unique_ptr<std::shared_ptr<Lookup>> owner(static_cast<std::shared_ptr<Lookup>*>(data));
        auto found = *owner;
        if (status == ARES_EDESTRUCTION) return;
        std::vector<NaptrRecord> records;
        ares_naptr_reply* reply = nullptr;
        if (status == ARES_SUCCESS && ares_parse_naptr_reply(bytes, size, &reply) == ARES_SUCCESS) {
          for (auto* one = reply; one; one = one->next) {
            records.push_back({one->order, one->preference,
                               reinterpret_cast<const char*>(one->flags),
                               reinterpret_cast<const char*>(one->service), one->replacement});
          }
          ares_free_data(reply);
          found->heard({bytes, static_cast<std::size_t>(size)});
        }
        // Many servers know no NAPTR and say so badly: only silence means that DNS is dead.
        found->failed |= status == ARES_ETIMEOUT || status == ARES_ECONNREFUSED;
        for (const NaptrRecord& record : order_naptr(std::move(records), found->question.secure)) {
          found->services.emplace_back(*transport_of_service(record), record.replacement);
        }
        if (found->services.empty()) {  // RFC 3263 4.1: SRV for each transport we have
          const std::string& host = found->question.host;
          if (!found->question.secure) {
            found->services.emplace_back(Transport::Udp, srv_name(Transport::Udp, host));
            found->services.emplace_back(Transport::Tcp, srv_name(Transport::Tcp, host));
          } else {
            found->services.emplace_back(Transport::Tls, srv_name(Transport::Tls, host));
          }
        }
        found->resolver->ask_next_srv(found);
      },
      held);
}

void Resolver::ask_next_srv(std::shared_ptr<Lookup> lookup) {
  if (lookup->services.empty()) {
    if (lookup->hosts.empty() && !lookup->found_srv) {
      // Not "no SRV", but "no answer": what was known is better than a guess at the default port.
      if (lookup->failed && stale_answer(lookup->question)) return finish(lookup);
      const Question& question = lookup->question;
      const Transport transport = question.transport_given
                                      ? question.transport
                                      : (question.secure ? Transport::Tls : Transport::Udp);
      lookup->hosts.push_back({transport, question.host, default_port(transport), 0, 0});
    }
    return ask_next_address(lookup);
  }
  const std::string name = lookup->services.front().second;
  auto* held = std::make_unique<std::shared_ptr<Lookup>>(lookup).release();
  ares_query(
      channel_, name.c_str(), kClassIn, kTypeSrv,
      [](void* data, int status, int, unsigned char* bytes, int size) {
        std::unique_ptr<std::shared_ptr<Lookup>> owner(static_cast<std::shared_ptr<Lookup>*>(data));
        auto found = *owner;
        if (status == ARES_EDESTRUCTION) return;
        const Transport transport = found->services.front().first;
        found->services.pop_front();
        ares_srv_reply* reply = nullptr;
        if (status == ARES_SUCCESS && ares_parse_srv_reply(bytes, size, &reply) == ARES_SUCCESS) {
          std::vector<SrvRecord> records;
          for (auto* one = reply; one; one = one->next) {
            records.push_back({one->priority, one->weight, one->port, one->host});
          }
          ares_free_data(reply);
          found->heard({bytes, static_cast<std::size_t>(size)});
          found->found_srv = true;
          for (SrvRecord& record : order_srv(std::move(records), found->resolver->random_)) {
            if (record.target.empty() || record.target == ".") continue;  // "not here"
            if (record.port == 0) continue;  // no port that anybody listens on
            if (found->hosts.size() < kTargetsMax) {
              found->hosts.push_back({transport, std::move(record.target), record.port,
                                      record.priority, record.weight});
            }
          }
        }
        found->failed |= is_dead(status);
        found->resolver->ask_next_srv(found);
      },
      held);
}

void Resolver::ask_next_address(std::shared_ptr<Lookup> lookup) {
  if (lookup->hosts.empty() || lookup->resolution.targets.size() >= kTargetsMax) {
    return finish(lookup);
  }
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_flags = ARES_AI_NOSORT;
  auto* held = std::make_unique<std::shared_ptr<Lookup>>(lookup).release();
  ares_getaddrinfo(
      channel_, lookup->hosts.front().name.c_str(), nullptr, &hints,
      [](void* data, int status, int, ares_addrinfo* result) {
        std::unique_ptr<std::shared_ptr<Lookup>> owner(static_cast<std::shared_ptr<Lookup>*>(data));
        auto found = *owner;
        if (status == ARES_EDESTRUCTION) {
          if (result) ares_freeaddrinfo(result);
          return;
        }
        const Lookup::Host host = found->hosts.front();
        found->hosts.pop_front();
        if (status == ARES_SUCCESS && result) {
          for (auto* node = result->nodes; node; node = node->ai_next) {
            if (node->ai_family != AF_INET && node->ai_family != AF_INET6) continue;
            found->ttl =
                std::min(found->ttl, static_cast<std::uint64_t>(std::max(node->ai_ttl, 0)));
            const Endpoint endpoint = endpoint_of(*node, host.port);
            if (found->resolution.targets.size() < kTargetsMax && is_one_host(endpoint.address)) {
              found->resolution.targets.push_back(
                  {host.transport, endpoint, host.priority, host.weight});
            }
          }
        } else if (status != ARES_ENOTFOUND && status != ARES_ENODATA) {
          found->failed = true;
        }
        if (result) ares_freeaddrinfo(result);
        found->resolver->ask_next_address(found);
      },
      held);
}

// The last good answer, while it may still be used, or nullptr.
const Resolution* Resolver::stale_answer(const Question& question) const {
  const auto cached = cache_.find(question);
  const bool usable = cached != cache_.end() && uv_now(loop_) < cached->second.stale_until &&
                      cached->second.resolution.outcome == Resolution::Outcome::Found;
  return usable ? &cached->second.resolution : nullptr;
}

void Resolver::finish(std::shared_ptr<Lookup> lookup) {
  Resolution& resolution = lookup->resolution;
  const Question& question = lookup->question;
  const std::uint64_t now = uv_now(loop_);
  const Resolution* stale = stale_answer(question);
  std::uint64_t seconds = kNegative;
  if (!resolution.targets.empty()) {
    resolution.outcome = Resolution::Outcome::Found;
    seconds = lookup->failed ? kTtlMin : std::clamp(lookup->ttl, kTtlMin, kTtlMax);
  } else if (lookup->failed && stale) {
    resolution = *stale;  // DNS is dead: the last good answer serves on
    seconds = kTtlMin;
  } else {
    resolution.outcome =
        lookup->failed ? Resolution::Outcome::Failed : Resolution::Outcome::NoSuchName;
  }
  resolution.ttl = std::chrono::seconds(seconds);
  if (cache_.size() >= kCacheMax) cache_.erase(cache_.begin());
  Entry& entry = cache_[question];
  const bool good = resolution.outcome == Resolution::Outcome::Found && !lookup->failed;
  entry.resolution = resolution;
  entry.fresh_until = now + seconds * 1'000;
  if (good) entry.stale_until = entry.fresh_until + kStale * 1'000;
  const auto waiting = waiting_.find(question);
  if (waiting == waiting_.end()) return;
  const std::vector<Answer> answers = std::move(waiting->second);
  waiting_.erase(waiting);
  for (const Answer& answer : answers) answer(resolution);
}

}  // namespace ringway
