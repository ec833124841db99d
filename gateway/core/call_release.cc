#include "gateway/core/call_release.h"

#include <utility>

#include "gateway/core/kept_request.h"

namespace ringway {

CallRelease::CallRelease(const Parts& parts)
    : core_(parts.core),
      contexts_(parts.contexts),
      cancels_(parts.cancels),
      results_(parts.results),
      responses_(parts.responses),
      steps_(parts.steps),
      sender_(parts.sender) {}

void CallRelease::perform(Calls::Release release, Instant now, Outbox& outbox) {
  if (release.kind == Calls::Release::Kind::Bye) {
    send_bye(std::move(release), now, outbox);
  } else {
    end_invite(release, now, outbox);
  }
}

void CallRelease::end_invite(const Calls::Release& release, Instant now, Outbox& outbox) {
  ResponseContext* context = contexts_.find(release.context);
  if (!context) return;
  context->give_up_targets();
  if (release.kind == Calls::Release::Kind::Cancel) {
    return results_.cancel(release.context, nullptr, now, outbox);
  }
  cancels_.cancel_all(release.context, now, outbox);
  responses_.fail(release.context, 480, {}, now, outbox);
}

void CallRelease::send_bye(Calls::Release release, Instant now, Outbox& outbox) {
  const SlotId id = contexts_.open_own(sip::Method::Bye, std::move(release.message), bye_source());
  if (!id) return core_.drop(DropReason::TableFull);
  ResponseContext& context = *contexts_.find(id);
  context.right = Right::OwnDialog;
  context.target.next_hop = release.target.next_hop;
  context.far_end = std::move(release.far_end);
  sip::Essentials essentials;
  if (!read_kept(context, bye_, essentials)) return responses_.end(id, now, outbox);
  const Incoming in{bye_, essentials};
  if (!release.to_access) return steps_.route(id, in, now, outbox);
  TargetList list;
  list.add(std::move(release.target));
  contexts_.set_targets(context, list);
  sender_.forward(id, in, now, outbox);
}

// A BYE of ours comes from the other side, from a listener for WebSockets where there is one.
Source CallRelease::bye_source() const {
  Source source;
  source.transport = Transport::Wss;
  for (std::size_t i = 0; i < core_.listeners.size(); ++i) {
    const Transport transport = core_.listeners[i].config.transport;
    if (!is_websocket(transport) || core_.listeners[i].config.removed) continue;
    source.listener = static_cast<ListenerIndex>(i);
    source.transport = transport;
  }
  return source;
}

}  // namespace ringway
