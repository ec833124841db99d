#include "gateway/call/dialog_text.h"

#include <array>
#include <span>

#include "protocol/base/writer.h"
#include "protocol/sip/limits.h"
#include "protocol/sip/name_addr.h"

namespace ringway {
namespace {

using sip::HeaderName;

struct Values {
  std::array<std::string_view, sip::kRouteCountMax> items;
  std::size_t count = 0;
  std::size_t bytes = 0;
};

Values values_of(const sip::MessageView& message, HeaderName name) {
  Values values;
  for (const sip::Header* header = message.find(name); header; header = message.next(header)) {
    sip::ListCursor list(message.text(header->value));
    while (const auto value = list.next()) {
      if (values.count == values.items.size()) return values;
      values.items[values.count++] = *value;
      values.bytes += value->size();
    }
  }
  return values;
}

BufferRef write_routes(std::span<const std::string_view> routes, std::size_t bytes, bool reversed,
                       BufferPool& buffers) {
  if (routes.empty()) return {};
  BufferRef buffer = buffers.take(bytes + routes.size() * 9);
  if (!buffer) return {};
  Writer out(buffer.space());
  for (std::size_t i = 0; i < routes.size(); ++i) {
    out.text("Route: ").text(routes[reversed ? routes.size() - 1 - i : i]).text("\r\n");
  }
  if (out.overflowed()) return {};
  buffer.set_size(out.size());
  return buffer;
}

}  // namespace

BufferRef copy_remote_target(const sip::MessageView& message, BufferPool& buffers) {
  const sip::Header* header = message.find(HeaderName::Contact);
  if (!header) return {};
  sip::ListCursor list(message.text(header->value));
  const auto value = list.next();
  const auto contact = value ? sip::parse_name_addr(*value) : std::unexpected(sip::NameAddrError{});
  if (!contact || contact->is_star || contact->uri.text.empty()) return {};
  return buffers.copy(as_bytes(contact->uri.text));
}

BufferRef copy_caller_routes(const sip::MessageView& invite, BufferPool& buffers) {
  const Values values = values_of(invite, HeaderName::RecordRoute);
  return write_routes({values.items.data(), values.count}, values.bytes, false, buffers);
}

BufferRef copy_callee_routes(const sip::MessageView& response, std::size_t beyond,
                             BufferPool& buffers) {
  const Values values = values_of(response, HeaderName::RecordRoute);
  const std::size_t count = std::min(beyond, values.count);
  return write_routes({values.items.data(), count}, values.bytes, true, buffers);
}

BufferRef copy_route_lines(const sip::MessageView& request, std::size_t own, BufferPool& buffers) {
  const Values values = values_of(request, HeaderName::Route);
  if (own >= values.count) return {};
  return write_routes({values.items.data() + own, values.count - own}, values.bytes, false,
                      buffers);
}

}  // namespace ringway
