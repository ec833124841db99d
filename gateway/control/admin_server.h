#pragma once

#include <uv.h>

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/base/endpoint.h"
#include "gateway/base/own_hosts.h"

namespace ringway {

// One request to the admin address or to the control socket. Views are lent for the call.
struct AdminRequest {
  std::uint64_t id = 0;       // names it for answer()
  std::string_view method;    // "GET" for HEAD too
  std::string_view path;      // without the query
  std::string_view query;     // behind the question mark, as it came
  std::string_view token;     // of "Authorization: Bearer"
  bool by_socket = false;     // came by the control socket, whose mode says who may
  bool from_browser = false;  // a page of somebody else may have sent it
};

struct AdminAnswer {
  int status = 200;  // one of http::Status
  std::string type = "text/plain; charset=utf-8";
  std::string body;
  std::string allow{};  // methods for 405, "GET, HEAD"
};

// The value of a key in a query, percent-decoded (RFC 3986 2.1); empty if it is not there.
std::string query_value(std::string_view query, std::string_view key);

// HTTP/1.1 on the control thread, one request a connection (RFC 9110, RFC 9112), at an address or
// at a Unix socket.
//
//   accepted --head within 2 s--> asked --answer--> answering --written within 10 s--> closed
//
// Nobody can keep others out: a source has at most kPerSourceMax connections, all together
// kConnectionsMax. One more takes the place of the oldest that has not sent its head, first of the
// same source, then of all; only if there is none it is closed itself. Each is counted in
// refused().
//
// At an address, Host has to name us (OwnHosts): 421 otherwise (RFC 9110 15.5.20). Nobody can make
// a browser open a Unix socket.
class AdminServer {
 public:
  static constexpr std::size_t kConnectionsMax = 64, kPerSourceMax = 8;
  static constexpr std::uint64_t kHeadMs = 2'000, kAnswerMs = 10'000;

  // handler: answers at once, or later by answer(request.id, ...) where it returns nothing.
  // It outlives the server's requests.
  using Handler = std::function<std::optional<AdminAnswer>(const AdminRequest& request)>;

  [[nodiscard]] static std::expected<std::unique_ptr<AdminServer>, std::string> open(
      uv_loop_t* loop, const Endpoint& address, Handler handler);
  // path: made with mode 0660 and, if group is not empty, given to that group. A socket that a dead
  // process left is replaced; one that answers is an error.
  [[nodiscard]] static std::expected<std::unique_ptr<AdminServer>, std::string> open_socket(
      uv_loop_t* loop, const std::string& path, const std::string& group, Handler handler);
  // Closes what is not closed yet, and runs the loop for that: not from within one of its
  // callbacks.
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  void set_hosts(OwnHosts hosts) { hosts_ = std::move(hosts); }

  // Begins to close everything; the loop has to run on until it is done.
  void close();

  void answer(std::uint64_t request, const AdminAnswer& answer);
  // Connections that gave way to others, or were closed unheard.
  std::uint64_t refused() const { return refused_; }
  // Requests for other hosts, and the last of those.
  std::uint64_t misdirected() const { return misdirected_; }
  const std::string& misdirected_host() const { return misdirected_host_; }

 private:
  struct Connection;
  AdminServer(uv_loop_t* loop, Handler handler);
  void accept();
  bool make_room(const Address& source);
  void read(Connection& connection);
  bool is_for_us(std::string_view host, const Connection& connection) const;
  void write(Connection& connection, const AdminAnswer& answer);
  void close(Connection& connection);

  uv_loop_t* loop_;  // runs a few turns in the destructor, until all handles are closed
  Handler handler_;
  union Listener {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } listener_{};
  bool is_socket_ = false, is_open_ = false;
  std::string path_;  // of the socket, removed at the end
  std::map<std::uint64_t, std::unique_ptr<Connection>> connections_;  // by request, oldest first
  std::size_t handles_ = 0;                                           // that the loop still knows
  std::uint64_t next_request_ = 1, refused_ = 0, misdirected_ = 0;
  std::string misdirected_host_;
  OwnHosts hosts_;
};

}  // namespace ringway
