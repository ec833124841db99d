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

struct lws_context;
struct lws;

namespace ringway {

struct AdminAnswer {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};

// The admin port: GETs on the control thread, by libwebsockets nested in its libuv loop. Nothing
// that it serves changes anything.
class AdminServer {
 public:
  // handler: answers at once, or later by answer(request, ...) where it returns nothing.
  // It outlives the server's requests.
  using Handler =
      std::function<std::optional<AdminAnswer>(std::string_view path, std::uint64_t request)>;

  [[nodiscard]] static std::expected<std::unique_ptr<AdminServer>, std::string> open(
      uv_loop_t* loop, const Endpoint& address, Handler handler);
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  void answer(std::uint64_t request, AdminAnswer answer);

 private:
  struct Exchange {
    lws* wsi = nullptr;
    std::optional<AdminAnswer> answer;
    std::size_t sent = 0;
    bool head_sent = false;
  };
  AdminServer(uv_loop_t* loop, Handler handler) : loop_(loop), handler_(std::move(handler)) {}
  static int callback(lws* wsi, int reason, void* session, void* in, std::size_t size);
  int serve(lws* wsi, std::uint64_t* session, std::string_view path);
  int write_head(lws* wsi, Exchange& exchange);
  int write_body(lws* wsi, std::uint64_t* session);

  uv_loop_t* loop_;  // runs a few turns in the destructor, so that libwebsockets can let go
  Handler handler_;
  lws_context* context_ = nullptr;
  std::uint64_t next_request_ = 1;
  std::map<std::uint64_t, Exchange> exchanges_;
};

}  // namespace ringway
