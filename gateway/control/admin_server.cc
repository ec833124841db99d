#include "gateway/control/admin_server.h"

#include <errno.h>
#include <libwebsockets.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "gateway/transport/port_owner.h"
#include "gateway/transport/sockaddr.h"
#include "gateway/transport/socket.h"

namespace ringway {
namespace {

constexpr std::size_t kPiece = 32'768;

std::string address_text(const Address& address) {
  std::uint8_t memory[kEndpointTextMax];
  Writer out(memory);
  write_address(address, AddressForm::Bare, out);
  return std::string(out.written_text());
}

// libwebsockets would run without a port that it cannot have. Empty if it can.
std::string complaint(const Endpoint& address) {
  const Socket probe(::socket(socket_family(address.family()), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;  // as libwebsockets does
  setsockopt(probe.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  SocketAddress name;
  const socklen_t size = write_socket_address(address, name);
  if (bind(probe.fd(), &name.any, size) == 0) return {};
  const int error = errno;
  std::uint8_t memory[kEndpointTextMax];
  Writer out(memory);
  write_endpoint(address, out);
  const std::string owner = error == EADDRINUSE ? find_port_owner(address.port, false) : "";
  return "admin address " + std::string(out.written_text()) + " cannot be listened on: " +
         (owner.empty() ? std::strerror(error) : "the port is in use by " + owner) +
         "; choose another with admin.address";
}

}  // namespace

std::expected<std::unique_ptr<AdminServer>, std::string> AdminServer::open(uv_loop_t* loop,
                                                                           const Endpoint& address,
                                                                           Handler handler) {
  if (std::string text = complaint(address); !text.empty()) return std::unexpected(std::move(text));
  std::unique_ptr<AdminServer> server(new AdminServer(loop, std::move(handler)));
  lws_set_log_level(0, nullptr);
  static const lws_protocols kProtocols[] = {
      {"http",
       [](lws* wsi, lws_callback_reasons reason, void* session, void* in, std::size_t size) {
         return callback(wsi, static_cast<int>(reason), session, in, size);
       },
       sizeof(std::uint64_t), 0, 0, nullptr, 0},
      {nullptr, nullptr, 0, 0, 0, nullptr, 0}};
  lws_context_creation_info info{};
  void* loops[] = {loop};
  const std::string interface = address_text(address.address);
  info.port = address.port;
  info.iface = address.address.is_any() ? nullptr : interface.c_str();
  info.protocols = kProtocols;
  info.user = server.get();
  info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND |
                 LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME;
  // With IPv6 on, it takes an IPv4 address for the IPv6 one that stands for all of them.
  if (address.family() == Family::V4) info.options |= LWS_SERVER_OPTION_DISABLE_IPV6;
  info.foreign_loops = loops;
  info.pcontext = &server->context_;  // libwebsockets clears it when the context is gone
  info.fd_limit_per_thread = 64;
  server->context_ = lws_create_context(&info);
  if (!server->context_) {
    return std::unexpected("admin address " + interface + ":" + std::to_string(address.port) +
                           " cannot be listened on; choose another with admin.address");
  }
  return server;
}

AdminServer::~AdminServer() {
  if (!context_) return;
  // On a loop that is not its own libwebsockets ends in two steps: the first call closes its
  // handles, the loop tells it that they are closed, the second call frees the context.
  lws_context_destroy(context_);
  constexpr int kTurnsMax = 100;
  for (int turn = 0; context_ && turn < kTurnsMax; ++turn) uv_run(loop_, UV_RUN_NOWAIT);
  if (context_) lws_context_destroy(context_);
}

int AdminServer::callback(lws* wsi, int reason, void* session, void* in, std::size_t) {
  auto* server = static_cast<AdminServer*>(lws_context_user(lws_get_context(wsi)));
  auto* id = static_cast<std::uint64_t*>(session);
  switch (reason) {
    case LWS_CALLBACK_HTTP:
      return server->serve(wsi, id, static_cast<const char*>(in));
    case LWS_CALLBACK_HTTP_WRITEABLE:
      return server->write_body(wsi, id);
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
      if (id) server->exchanges_.erase(*id);
      return 0;
    default:
      return lws_callback_http_dummy(wsi, static_cast<lws_callback_reasons>(reason), session, in,
                                     0);
  }
}

int AdminServer::serve(lws* wsi, std::uint64_t* session, std::string_view path) {
  *session = next_request_++;
  Exchange& exchange = exchanges_[*session];
  exchange.wsi = wsi;
  exchange.answer = handler_(path, *session);
  if (exchange.answer) lws_callback_on_writable(wsi);
  return 0;
}

void AdminServer::answer(std::uint64_t request, AdminAnswer answer) {
  const auto found = exchanges_.find(request);
  if (found == exchanges_.end()) return;  // the client left
  found->second.answer = std::move(answer);
  lws_callback_on_writable(found->second.wsi);
}

int AdminServer::write_head(lws* wsi, Exchange& exchange) {
  std::array<unsigned char, LWS_PRE + 1024> memory;
  unsigned char* at = memory.data() + LWS_PRE;
  unsigned char* const end = memory.data() + memory.size() - 1;
  const AdminAnswer& answer = *exchange.answer;
  if (lws_add_http_common_headers(wsi, static_cast<unsigned>(answer.status), answer.type.c_str(),
                                  answer.body.size(), &at, end) != 0) {
    return 1;
  }
  exchange.head_sent = true;
  return lws_finalize_write_http_header(wsi, memory.data() + LWS_PRE, &at, end);
}

int AdminServer::write_body(lws* wsi, std::uint64_t* session) {
  const auto found = exchanges_.find(*session);
  if (found == exchanges_.end() || !found->second.answer) return 0;
  Exchange& exchange = found->second;
  if (!exchange.head_sent) {
    if (write_head(wsi, exchange) != 0) return 1;
    lws_callback_on_writable(wsi);
    return 0;
  }
  const std::string& body = exchange.answer->body;
  const std::size_t size = std::min(kPiece, body.size() - exchange.sent);
  const bool last = exchange.sent + size == body.size();
  std::vector<unsigned char> piece(LWS_PRE + size);
  std::copy_n(body.data() + exchange.sent, size, piece.data() + LWS_PRE);
  const int written =
      lws_write(wsi, piece.data() + LWS_PRE, size, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP);
  if (written != static_cast<int>(size)) return 1;
  exchange.sent += size;
  if (!last) {
    lws_callback_on_writable(wsi);
    return 0;
  }
  exchanges_.erase(found);
  return lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

}  // namespace ringway
