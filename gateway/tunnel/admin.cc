#include "gateway/tunnel/admin.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "gateway/transport/sockaddr.h"
#include "gateway/tunnel/operation_tags.h"
#include "protocol/http/request_head.h"
#include "protocol/http/response.h"
#include "protocol/http/target.h"

namespace ringway::tunnel {
namespace {

Operation operation(OperationKind kind, SlotId id) {
  return {kind, {id.slot | kAdminTag, id.generation}};
}

std::string answer_of(http::Status status, const std::string& body) {
  std::array<std::uint8_t, 1'024> memory;
  Writer out(memory);
  http::ResponseHead head;
  head.status = status;
  head.content_length = body.size();
  http::write_response_head(head, out);
  return std::string(out.written_text()) + body;
}

std::string refusal_of(http::Status status) {
  return answer_of(status, std::string(http::reason_phrase(status)) + "\n");
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

Admin::Admin(Kernel& kernel, ReceiveBuffers& buffers, int fd, const Address& local, OwnHosts hosts,
             Pages& pages)
    : kernel_(kernel),
      buffers_(buffers),
      fd_(fd),
      local_(local),
      hosts_(std::move(hosts)),
      pages_(pages),
      visits_(2 * kConnectionsMax) {
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

// Empty: the head's end has not arrived.
std::string Admin::answer_to(const Visit& visit) {
  http::RequestHeadReader reader;
  const auto head = reader.read(visit.request);
  if (!head) return refusal_of(head.error());
  if (!*head) return {};
  const auto target = http::find_target(**head);
  if (!target) return refusal_of(target.error());
  if (!hosts_.has(target->host, local_)) {
    return answer_of(http::Status::MisdirectedRequest,
                     "this address is not known as \"" + std::string(target->host) +
                         "\": ask by its IP address or as localhost, or list the name in "
                         "admin_names\n");
  }
  const bool is_get = (*head)->method() == "GET";
  if (is_get && target->path == "/metrics") return answer_of(http::Status::Ok, pages_.metrics());
  if (is_get && target->path == "/status") return answer_of(http::Status::Ok, pages_.status());
  if (is_get && target->path == "/healthz") return answer_of(http::Status::Ok, "ok\n");
  return answer_of(http::Status::NotFound, "there are /metrics, /status and /healthz\n");
}

void Admin::serve(SlotId id, Visit& visit) {
  if (visit.sending) return;
  visit.answer = answer_to(visit);
  if (visit.answer.empty()) return;
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
