#include "bench/load/websockets_channel.h"

#include <libwebsockets.h>

#include <cstdio>
#include <cstdlib>

namespace ringway::load {
namespace {

int on_protocol(lws* wsi, lws_callback_reasons reason, void* user, void* in, std::size_t size) {
  if (user == nullptr) return 0;
  switch (reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
    case LWS_CALLBACK_CLIENT_RECEIVE:
    case LWS_CALLBACK_CLIENT_WRITEABLE:
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLIENT_CLOSED:
      return static_cast<WebSocketsChannel*>(user)->on_event(wsi, reason, in, size);
    default:
      return 0;
  }
}

const lws_protocols kProtocols[] = {{"sip", on_protocol, 0, 65536, 0, nullptr, 0},
                                    {nullptr, nullptr, 0, 0, 0, nullptr, 0}};

}  // namespace

WebSocketsClient::WebSocketsClient(Loop& loop, const Options& options) : options_(options) {
  lws_set_log_level(LLL_ERR, nullptr);
  lws_context_creation_info info{};
  info.port = CONTEXT_PORT_NO_LISTEN;
  info.protocols = kProtocols;
  info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
  void* loops[] = {loop.get()};
  info.foreign_loops = loops;
  info.gid = -1;
  info.uid = -1;
  info.pt_serv_buf_size = 65536;
  context_ = lws_create_context(&info);
  if (context_ == nullptr) {
    std::fprintf(stderr,
                 "ringway-load: libwebsockets does not start (is its libuv plugin there? "
                 "Debian: libwebsockets-evlib-uv)\n");
    std::exit(1);
  }
}

WebSocketsChannel::WebSocketsChannel(Loop& loop, ChannelUser& user, WebSocketsClient& client)
    : loop_(loop), user_(user) {
  const Options& options = client.options();
  lws_client_connect_info info{};
  info.context = client.context();
  info.address = options.target.text.c_str();
  info.port = options.target.port;
  if (options.from.size != 0) info.iface = options.from.text.c_str();
  info.path = options.path.c_str();
  info.host = options.target_name.c_str();
  info.origin = options.origin.empty() ? nullptr : options.origin.c_str();
  info.protocol = "sip";
  info.local_protocol_name = "sip";
  info.userdata = this;
  info.pwsi = &wsi_;
  if (is_secure(options.transport)) {
    info.ssl_connection = LCCSCF_USE_SSL | LCCSCF_ALLOW_SELFSIGNED | LCCSCF_ALLOW_EXPIRED |
                          LCCSCF_ALLOW_INSECURE | LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK;
  }
  if (lws_client_connect_via_info(&info) == nullptr) closed();
}

int WebSocketsChannel::on_event(lws* wsi, int reason, void* in, std::size_t size) {
  if (dropped_) return reason == LWS_CALLBACK_CLIENT_CLOSED ? 0 : -1;
  switch (reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
      wsi_ = wsi;
      open_ = true;
      user_.channel_opened(*this);
      return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE:
      if (input_.empty() && lws_is_final_fragment(wsi) != 0 &&
          lws_remaining_packet_payload(wsi) == 0) {
        user_.channel_received(*this, {static_cast<const char*>(in), size}, nullptr);
        return 0;
      }
      input_.append(static_cast<const char*>(in), size);
      if (lws_is_final_fragment(wsi) != 0 && lws_remaining_packet_payload(wsi) == 0) {
        user_.channel_received(*this, input_, nullptr);
        input_.clear();
      }
      return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
      return write_queued(wsi);
    default:
      closed();
      return 0;
  }
}

void WebSocketsChannel::closed() {
  if (finished_) return;
  finished_ = true;
  open_ = false;
  wsi_ = nullptr;
  user_.channel_closed(*this);
}

void WebSocketsChannel::send(std::string_view message, const Address*) {
  if (!open_) return;
  if (queued_ == queue_.size()) queue_.emplace_back(LWS_PRE, '\0');
  queue_[queued_].resize(LWS_PRE);
  queue_[queued_].append(message);
  ++queued_;
  loop_.mark(*this);
}

// Writing directly would be legal only in the callback, so the end of the turn asks for one.
void WebSocketsChannel::flush() {
  if (open_ && wsi_ != nullptr) lws_callback_on_writable(wsi_);
}

int WebSocketsChannel::write_queued(lws* wsi) {
  while (written_ < queued_) {
    std::string& message = queue_[written_];
    auto* bytes = reinterpret_cast<unsigned char*>(message.data()) + LWS_PRE;
    if (lws_write(wsi, bytes, message.size() - LWS_PRE, LWS_WRITE_TEXT) < 0) return -1;
    ++written_;
    if (written_ < queued_ && lws_send_pipe_choked(wsi) != 0) {
      lws_callback_on_writable(wsi);
      return 0;
    }
  }
  queued_ = 0;
  written_ = 0;
  return 0;
}

void WebSocketsChannel::drop() {
  dropped_ = true;
  open_ = false;
  if (wsi_ != nullptr) lws_set_timeout(wsi_, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
  wsi_ = nullptr;
}

}  // namespace ringway::load
