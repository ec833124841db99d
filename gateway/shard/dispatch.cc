#include "gateway/shard/shard_thread.h"

namespace ringway {

// The entire asynchronous surface: what the kernel can tell a shard.
void ShardThread::dispatch(const Completion& completion) {
  switch (completion.operation.kind) {
    case OperationKind::None:
    case OperationKind::WakeShard:
      return;
    case OperationKind::WakeEvent:
      return parts_->reactor.arm_wake_event();
    case OperationKind::ReceiveDatagram:
      return receive_datagram(completion);
    case OperationKind::SendDatagram:
      if (const auto failure = parts_->datagrams.sent(completion)) {
        fail(failure->ticket, failure->failure);
        deliver();
      }
      return;
    case OperationKind::Accept:
      parts_->streams.accepted(completion, now());
      return pump();
    case OperationKind::ReceiveStream:
      parts_->streams.received(completion, now());
      return pump();
    case OperationKind::SendStream:
      parts_->streams.sent(completion, now());
      return pump();
    case OperationKind::Connect:
      parts_->streams.connected(completion, now());
      return pump();
  }
}

void ShardThread::receive_datagram(const Completion& completion) {
  if (const auto received = parts_->datagrams.receive(completion)) {
    if (received->source.listener < kListenerPlacesMax) {
      if (!is_heard(received->source.listener, received->bytes)) return parts_->datagrams.finish();
      parts_->core.receive_message(received->source, received->bytes, now(), parts_->outbox);
    } else {
      const auto relay = static_cast<std::uint8_t>(received->source.listener - kListenerPlacesMax);
      parts_->core.receive_relay(relay, received->bytes, now(), parts_->outbox);
    }
    deliver();
  }
  parts_->datagrams.finish();
}

// Gives the core everything that the streams have to report.
void ShardThread::pump() {
  for (;;) {
    const StreamEvent event = parts_->streams.next_event(now());
    if (event.kind == StreamEvent::Kind::None) return;
    handle(event);
    deliver();
  }
}

void ShardThread::handle(const StreamEvent& event) {
  ProxyCore& core = parts_->core;
  Outbox& outbox = parts_->outbox;
  switch (event.kind) {
    case StreamEvent::Kind::None:
      return;
    case StreamEvent::Kind::Message:
      return core.receive_message(event.source, event.bytes, now(), outbox);
    case StreamEvent::Kind::FlowOpened:
      return core.flow_opened(event.flow, now(), outbox);
    case StreamEvent::Kind::FlowClosed:
      return core.flow_closed(event.flow.flow, event.end, now(), outbox);
    case StreamEvent::Kind::SendFailed:
      return core.send_failed(event.ticket, event.failure, now(), outbox);
    case StreamEvent::Kind::RelayConnected:
      return core.relay_connected(event.relay, now(), outbox);
    case StreamEvent::Kind::RelayLost:
      return core.relay_lost(event.relay, now(), outbox);
    case StreamEvent::Kind::RelayMessage:
      return core.receive_relay(event.relay, event.bytes, now(), outbox);
  }
}

}  // namespace ringway
