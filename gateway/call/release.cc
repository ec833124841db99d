#include "gateway/call/release.h"

#include "protocol/base/writer.h"

namespace ringway {

BufferRef write_bye(const Call& call, Dialog& dialog, Party towards, sip::Status cause,
                    std::string_view text, BufferPool& buffers) {
  const BufferRef& target = dialog.remote_target[index_of(towards)];
  const BufferRef& routes = dialog.route_set[index_of(towards)];
  if (!target) return {};
  const std::string_view caller = call.from(), callee = dialog.callee_value();
  BufferRef buffer = buffers.take(target.size() + routes.size() + caller.size() + callee.size() +
                                  call.call_id_size + text.size() + 256);
  if (!buffer) return {};
  const bool to_callee = towards == Party::Callee;
  Writer out(buffer.space());
  out.text("BYE ").bytes(target.bytes()).text(" SIP/2.0\r\n");
  if (routes) out.bytes(routes.bytes());
  out.text("From: ").text(to_callee ? caller : callee).text("\r\n");
  out.text("To: ").text(to_callee ? callee : caller).text("\r\n");
  out.text("Call-ID: ").text(call.call_id()).text("\r\n");
  out.text("CSeq: ").number(dialog.next_cseq(other(towards))).text(" BYE\r\n");
  out.text("Max-Forwards: 70\r\n");
  out.text("Reason: SIP;cause=").number(cause).text(";text=\"").text(text).text("\"\r\n");
  out.text("Content-Length: 0\r\n\r\n");
  if (out.overflowed()) return {};
  buffer.set_size(out.size());
  return buffer;
}

}  // namespace ringway
