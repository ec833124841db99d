#include "gateway/tunnel/admin.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "gateway/transport/sockaddr.h"
#include "gateway/tunnel/operation_tags.h"

namespace ringway::tunnel {
namespace {

constexpr std::size_t kRequestMax = 4096;

Operation operation(OperationKind kind, SlotId id) {
  return {kind, {id.slot | kAdminTag, id.generation}};
}

std::string answer_of(const char* status, const std::string& body) {
  return std::string("HTTP/1.1 ") + status +
         "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace

std::expected<int, std::string> listen_on(const Endpoint& endpoint, const std::string& text) {
  const int fd = socket(socket_family(endpoint.family()), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::unexpected(text + ": no socket: " + std::strerror(errno));
  const int on = 1;
  static_cast<void>(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
  SocketAddress name;
  const socklen_t size = write_socket_address(endpoint, name);
  if (bind(fd, &name.any, size) == 0 && listen(fd, 128) == 0) return fd;
  std::string complaint = text + " cannot be listened on: " + std::strerror(errno);
  if (errno == EADDRINUSE) complaint += "; another program has this port";
  if (errno == EADDRNOTAVAIL) complaint += "; this host has no such address";
  close(fd);
  return std::unexpected(complaint);
}

Admin::Admin(Kernel& kernel, ReceiveBuffers& buffers, int fd, Pages& pages)
    : kernel_(kernel), buffers_(buffers), fd_(fd), pages_(pages), visits_(2 * kConnectionsMax) {
  arm();
}

Admin::~Admin() {
  for (std::uint32_t slot = 0; slot < visits_.used_slots(); ++slot) {
    if (const Visit* visit = visits_.at(slot)) close(visit->fd);
  }
  if (fd_ >= 0) close(fd_);
}

void Admin::arm() {
  if (fd_ >= 0 && !armed_) {
    armed_ = true;
    kernel_.accept_one(fd_, {OperationKind::Accept, {kAdminListener, 1}});
  }
  for (std::uint32_t slot = 0; slot < visits_.used_slots(); ++slot) {
    Visit* visit = visits_.at(slot);
    if (!visit || visit->receiving || visit->over) continue;
    visit->receiving = true;
    kernel_.receive(visit->fd, buffers_.group(), 0,
                    operation(OperationKind::ReceiveStream, visits_.id_at(slot)));
  }
}

void Admin::completed(const Completion& completion) {
  if (completion.operation.kind == OperationKind::Accept) {
    armed_ = false;
    if (completion.result < 0) return;
    if (visits_.size() >= kConnectionsMax) end_oldest();
    const SlotId id = visits_.take();
    if (!id) return kernel_.close(completion.result);
    visits_.find(id)->fd = completion.result;
    visits_.find(id)->number = ++count_;
    return;
  }
  const SlotId id{completion.operation.id.slot & ~kAdminTag, completion.operation.id.generation};
  Visit* visit = visits_.find(id);
  if (completion.has_buffer) buffers_.taken();
  if (visit && completion.operation.kind == OperationKind::SendStream) {
    visit->sending = false;
    end(id, *visit);
  } else if (visit) {
    if (!completion.more) visit->receiving = false;
    if (completion.result > 0 && completion.has_buffer && !visit->over) {
      visit->request +=
          as_text(buffers_.bytes(completion.buffer, static_cast<std::size_t>(completion.result)));
      serve(id, *visit);
    } else if (completion.result <= 0 && completion.result != -ENOBUFS) {
      end(id, *visit);
    }
  }
  if (completion.has_buffer) buffers_.give_back(completion.buffer);
}

void Admin::serve(SlotId id, Visit& visit) {
  if (visit.sending) return;
  if (visit.request.find("\r\n\r\n") == visit.request.npos) {
    if (visit.request.size() > kRequestMax) end(id, visit);
    return;
  }
  // What a "?" adds is not looked at.
  const std::string_view request = visit.request;
  const std::string_view page = request.substr(0, request.find_first_of("?\r", 4));
  const std::string_view what = page.substr(0, page.find(' ', 4));
  if (what == "GET /metrics") {
    visit.answer = answer_of("200 OK", pages_.metrics());
  } else if (what == "GET /status") {
    visit.answer = answer_of("200 OK", pages_.status());
  } else if (what == "GET /healthz") {
    visit.answer = answer_of("200 OK", "ok\n");
  } else {
    visit.answer = answer_of("404 Not Found", "there are /metrics, /status and /healthz\n");
  }
  visit.sending = true;
  kernel_.send(visit.fd, as_bytes(visit.answer), Kernel::Chain::Last,
               operation(OperationKind::SendStream, id));
}

// Some of them may be over already, and the kernel has not let go of them yet.
void Admin::end_oldest() {
  SlotId oldest;
  for (std::uint32_t slot = 0; slot < visits_.used_slots(); ++slot) {
    const Visit* visit = visits_.at(slot);
    if (!visit || visit->over) continue;
    if (!oldest || visit->number < visits_.find(oldest)->number) oldest = visits_.id_at(slot);
  }
  if (oldest) end(oldest, *visits_.find(oldest));
}

void Admin::end(SlotId id, Visit& visit) {
  if (!visit.over) {
    visit.over = true;
    kernel_.shutdown(visit.fd, SHUT_RDWR);
    if (visit.receiving) kernel_.cancel(visit.fd, operation(OperationKind::ReceiveStream, id));
  }
  if (visit.receiving || visit.sending) return;
  kernel_.close(visit.fd);
  visits_.release(id);
}

}  // namespace ringway::tunnel
