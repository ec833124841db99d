#include "gateway/control/admin_server.h"

#include <errno.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "gateway/transport/port_owner.h"
#include "gateway/transport/sockaddr.h"
#include "gateway/transport/socket.h"
#include "protocol/base/ascii.h"
#include "protocol/http/response.h"
#include "protocol/http/target.h"

namespace ringway {
namespace {

constexpr int kBacklog = 128;

std::string bind_complaint(const Endpoint& address, int error) {
  const std::string owner = error == UV_EADDRINUSE ? find_port_owner(address.port, false) : "";
  return "admin address " + text_of(address) + " cannot be listened on: " +
         (owner.empty() ? uv_strerror(error) : "the port is in use by " + owner) +
         "; choose another with admin.address";
}

// True if a process answers at the socket; a file that nobody answers at is removed.
std::expected<void, std::string> take_socket_path(const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.size() >= sizeof name.sun_path) {
    return std::unexpected("ctl.socket " + path +
                           " is longer than 107 bytes; choose a shorter path");
  }
  path.copy(name.sun_path, sizeof name.sun_path - 1);
  const Socket probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (connect(probe.fd(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 ||
      errno == EAGAIN) {
    return std::unexpected("ctl.socket " + path +
                           " belongs to a running ringway; stop it, or choose another path");
  }
  struct stat facts {};
  if (lstat(path.c_str(), &facts) != 0) return {};
  if (!S_ISSOCK(facts.st_mode)) {
    return std::unexpected("ctl.socket " + path +
                           " is something else than a socket; choose another path, or delete it");
  }
  unlink(path.c_str());
  return {};
}

std::expected<void, std::string> give_to_group(const std::string& path, const std::string& group) {
  if (group.empty()) return {};
  const struct group* const entry = getgrnam(group.c_str());
  if (!entry) {
    return std::unexpected("ctl.group \"" + group +
                           "\" does not exist; make it with: groupadd -r " + group);
  }
  if (chown(path.c_str(), static_cast<uid_t>(-1), entry->gr_gid) != 0) {
    return std::unexpected("ctl.socket " + path + " cannot be given to group " + group + ": " +
                           std::strerror(errno) + "; run as a member of that group");
  }
  return {};
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = ascii::to_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

AdminAnswer misdirected_answer(std::string_view host) {
  return {static_cast<int>(http::Status::MisdirectedRequest), "text/plain; charset=utf-8",
          "this address is not known as \"" + std::string(host) +
              "\": ask by its IP address or as localhost, or list the name in admin.names\n"};
}

// Browsers say which page a request comes from (RFC 6454 7, Fetch Metadata 2, RFC 9110 10.1.3).
// None: a person typed the address.
bool is_of_a_page(const http::RequestHead& head) {
  if (head.count("Origin") != 0 || head.count("Referer") != 0) return true;
  return head.count("Sec-Fetch-Site") > 1 || head.find("Sec-Fetch-Site").value_or("none") != "none";
}

}  // namespace

std::string query_value(std::string_view query, std::string_view key) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    if (equals == pair.npos || pair.substr(0, equals) != key) continue;
    const std::string_view written = pair.substr(equals + 1);
    std::string value;
    for (std::size_t i = 0; i < written.size(); ++i) {
      const int high = i + 2 < written.size() ? hex_value(written[i + 1]) : -1;
      const int low = i + 2 < written.size() ? hex_value(written[i + 2]) : -1;
      if (written[i] == '%' && high >= 0 && low >= 0) {
        value += static_cast<char>(high * 16 + low);
        i += 2;
      } else {
        value += written[i] == '+' ? ' ' : written[i];
      }
    }
    return value;
  }
  return {};
}

struct AdminServer::Connection {
  AdminServer* server = nullptr;
  std::uint64_t id = 0;
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  };
  uv_timer_t deadline{};
  uv_write_t write{};
  Address source, local;
  http::RequestHeadReader reader;
  std::string received, sent;
  std::array<char, 2'048> memory{};
  bool asked = false, is_head = false, answered = false, closing = false;
  int handles = 2;  // stream and deadline, until the loop has let go of them

  Connection() : handle{} {}
};

AdminServer::AdminServer(uv_loop_t* loop, Handler handler)
    : loop_(loop), handler_(std::move(handler)) {}

std::expected<std::unique_ptr<AdminServer>, std::string> AdminServer::open(uv_loop_t* loop,
                                                                           const Endpoint& address,
                                                                           Handler handler) {
  std::unique_ptr<AdminServer> server(new AdminServer(loop, std::move(handler)));
  uv_tcp_init(loop, &server->listener_.tcp);
  server->is_open_ = true;
  server->handles_ = 1;
  server->listener_.handle.data = server.get();
  SocketAddress name;
  write_socket_address(address, name);
  int error = uv_tcp_bind(&server->listener_.tcp, &name.any, 0);
  if (error == 0) {
    error = uv_listen(&server->listener_.stream, kBacklog, [](uv_stream_t* stream, int status) {
      if (status == 0) static_cast<AdminServer*>(stream->data)->accept();
    });
  }
  if (error != 0) return std::unexpected(bind_complaint(address, error));
  return server;
}

std::expected<std::unique_ptr<AdminServer>, std::string> AdminServer::open_socket(
    uv_loop_t* loop, const std::string& path, const std::string& group, Handler handler) {
  if (auto taken = take_socket_path(path); !taken) return std::unexpected(taken.error());
  std::unique_ptr<AdminServer> server(new AdminServer(loop, std::move(handler)));
  uv_pipe_init(loop, &server->listener_.pipe, 0);
  server->is_open_ = true;
  server->is_socket_ = true;
  server->handles_ = 1;
  server->listener_.handle.data = server.get();
  const mode_t before = umask(0117);  // 0660 from the first moment
  const int error = uv_pipe_bind(&server->listener_.pipe, path.c_str());
  umask(before);
  if (error != 0) {
    return std::unexpected("ctl.socket " + path + " cannot be made: " + uv_strerror(error) +
                           "; make its folder writable for the user that ringway runs as");
  }
  server->path_ = path;
  if (auto given = give_to_group(path, group); !given) return std::unexpected(given.error());
  uv_listen(&server->listener_.stream, kBacklog, [](uv_stream_t* stream, int status) {
    if (status == 0) static_cast<AdminServer*>(stream->data)->accept();
  });
  return server;
}

void AdminServer::close() {
  if (!is_open_) return;
  is_open_ = false;
  if (!path_.empty()) unlink(path_.c_str());
  uv_close(&listener_.handle,
           [](uv_handle_t* handle) { --static_cast<AdminServer*>(handle->data)->handles_; });
  for (auto& [id, connection] : connections_) close(*connection);
}

AdminServer::~AdminServer() {
  close();
  constexpr int kTurnsMax = 1'000;
  for (int turn = 0; handles_ != 0 && turn < kTurnsMax; ++turn) uv_run(loop_, UV_RUN_NOWAIT);
}

// The oldest connection without a head goes first, of the same source if that one is at its limit.
bool AdminServer::make_room(const Address& source) {
  std::size_t open = 0, of_source = 0;
  Connection *oldest = nullptr, *oldest_of_source = nullptr;
  for (auto& [id, connection] : connections_) {
    if (connection->closing) continue;
    ++open;
    const bool same = connection->source == source;
    of_source += same ? 1 : 0;
    if (connection->asked) continue;
    if (!oldest) oldest = connection.get();
    if (same && !oldest_of_source) oldest_of_source = connection.get();
  }
  Connection* giving_way = nullptr;
  if (of_source >= kPerSourceMax) {
    giving_way = oldest_of_source;
  } else if (open >= kConnectionsMax) {
    giving_way = oldest;
  } else {
    return true;
  }
  ++refused_;
  if (giving_way) close(*giving_way);
  return giving_way != nullptr;
}

void AdminServer::accept() {
  auto connection = std::make_unique<Connection>();
  connection->server = this;
  connection->id = next_request_++;
  if (is_socket_) {
    uv_pipe_init(loop_, &connection->pipe, 0);
  } else {
    uv_tcp_init(loop_, &connection->tcp);
  }
  uv_timer_init(loop_, &connection->deadline);
  connection->handle.data = connection->deadline.data = connection->write.data = connection.get();
  handles_ += 2;
  Connection& added = *connection;
  const bool taken = uv_accept(&listener_.stream, &added.stream) == 0;
  if (taken && !is_socket_) {
    SocketAddress name;
    int size = sizeof name;
    if (uv_tcp_getpeername(&added.tcp, &name.any, &size) == 0) {
      added.source = read_socket_address(name).address;
    }
    size = sizeof name;
    if (uv_tcp_getsockname(&added.tcp, &name.any, &size) == 0) {
      added.local = read_socket_address(name).address;
    }
  }
  const bool has_room = make_room(added.source);
  connections_[added.id] = std::move(connection);
  if (!taken || !has_room) return close(added);
  uv_timer_start(
      &added.deadline,
      [](uv_timer_t* timer) {
        auto* late = static_cast<Connection*>(timer->data);
        late->server->close(*late);
      },
      kHeadMs, 0);
  uv_read_start(
      &added.stream,
      [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
        auto* own = static_cast<Connection*>(handle->data);
        *buffer = uv_buf_init(own->memory.data(), static_cast<unsigned>(own->memory.size()));
      },
      [](uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
        auto* own = static_cast<Connection*>(stream->data);
        // Who has asked may end his side and still wait for the answer.
        if (size == UV_EOF && own->asked) return;
        if (size < 0) return own->server->close(*own);
        if (own->asked || size == 0) return;  // what comes behind the head is not read
        own->received.append(buffer->base, static_cast<std::size_t>(size));
        own->server->read(*own);
      });
}

bool AdminServer::is_for_us(std::string_view host, const Connection& connection) const {
  if (is_socket_ || hosts_.has(host, connection.local)) return true;
  const auto address = parse_address(host);  // another one of this machine will do
  return address && !address->is_any() && host_has(*address);
}

void AdminServer::read(Connection& connection) {
  const auto head = connection.reader.read(connection.received);
  if (head && !*head) return;  // its end has not arrived
  connection.asked = true;
  uv_timer_start(&connection.deadline, connection.deadline.timer_cb, kAnswerMs, 0);
  const auto refused = [&](http::Status status) {
    write(connection, {static_cast<int>(status), "text/plain; charset=utf-8",
                       std::string(http::reason_phrase(status)) + "\n"});
  };
  if (!head) return refused(head.error());
  const http::RequestHead& found = **head;
  connection.is_head = found.method() == "HEAD";
  const auto target = http::find_target(found);
  if (!target) return refused(target.error());
  if (!is_for_us(target->host, connection)) {
    ++misdirected_;
    misdirected_host_ = target->host;
    return write(connection, misdirected_answer(target->host));
  }
  AdminRequest request;
  request.id = connection.id;
  request.method = connection.is_head ? "GET" : found.method();
  request.path = target->path;
  const std::size_t mark = found.target().find('?');
  if (mark != std::string_view::npos) request.query = found.target().substr(mark + 1);
  if (const auto authorization = found.find("Authorization")) {
    constexpr std::string_view kBearer = "Bearer ";
    if (ascii::equal_ignoring_case(authorization->substr(0, kBearer.size()), kBearer)) {
      request.token = ascii::trim(authorization->substr(kBearer.size()));
    }
  }
  request.by_socket = is_socket_;
  request.from_browser = is_of_a_page(found);
  const auto answer = handler_(request);
  if (answer) write(connection, *answer);
}

void AdminServer::answer(std::uint64_t request, const AdminAnswer& answer) {
  const auto found = connections_.find(request);
  if (found == connections_.end()) return;  // the client left
  write(*found->second, answer);
}

void AdminServer::write(Connection& connection, const AdminAnswer& answer) {
  if (connection.closing || connection.answered) return;
  connection.answered = true;
  std::array<std::uint8_t, 1'024> memory;
  Writer out(memory);
  http::ResponseHead head;
  head.status = static_cast<http::Status>(answer.status);
  head.content_type = answer.type;
  head.content_length = answer.body.size();
  std::string extra;
  if (!answer.allow.empty()) extra += "Allow: " + answer.allow + "\r\n";
  if (answer.status == 401) extra += "WWW-Authenticate: Bearer\r\n";  // RFC 6750 3
  head.extra_headers = extra;
  http::write_response_head(head, out);
  connection.sent = std::string(out.written_text());
  if (!connection.is_head) connection.sent += answer.body;
  const uv_buf_t buffer =
      uv_buf_init(connection.sent.data(), static_cast<unsigned>(connection.sent.size()));
  const int error =
      uv_write(&connection.write, &connection.stream, &buffer, 1, [](uv_write_t* write, int) {
        auto* own = static_cast<Connection*>(write->data);
        own->server->close(*own);
      });
  if (error != 0) close(connection);
}

void AdminServer::close(Connection& connection) {
  if (connection.closing) return;
  connection.closing = true;
  const uv_close_cb closed = [](uv_handle_t* handle) {
    auto* own = static_cast<Connection*>(handle->data);
    AdminServer* server = own->server;
    --server->handles_;
    if (--own->handles == 0) server->connections_.erase(own->id);
  };
  uv_close(reinterpret_cast<uv_handle_t*>(&connection.deadline), closed);
  uv_close(&connection.handle, closed);
}

}  // namespace ringway
