#include <utility>
#include <variant>

#include "gateway/shard/shard_thread.h"

namespace ringway {
namespace {

constexpr int kMessagesATurn = 64;  // from one mailbox; more are left for the next turn

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

}  // namespace

bool ShardThread::has_mail() const {
  if (!port_.to_shard_.empty()) return true;
  for (std::size_t shard = 0; shard < posted_.size(); ++shard) {
    const auto from = static_cast<ShardIndex>(shard);
    if (from != setup_.index && !setup_.exchange.box(from, setup_.index).empty()) return true;
  }
  return false;
}

void ShardThread::read_mail() {
  for (int i = 0; i < kMessagesATurn; ++i) {
    ToShard* message = port_.to_shard_.front();
    if (!message) break;
    ToShard taken = std::move(*message);
    port_.to_shard_.pop();
    handle(taken);
  }
  for (std::size_t shard = 0; shard < posted_.size(); ++shard) {
    const auto from = static_cast<ShardIndex>(shard);
    if (from == setup_.index) continue;
    auto& box = setup_.exchange.box(from, setup_.index);
    for (int i = 0; i < kMessagesATurn; ++i) {
      BetweenShards* message = box.front();
      if (!message) break;
      handle(*message);
      box.pop();  // only now: the sender's buffer was lent until here
    }
  }
}

void ShardThread::handle(ToShard& message) {
  ProxyCore& core = parts_->core;
  Outbox& outbox = parts_->outbox;
  std::visit(
      Overloaded{
          [](std::monostate) {},
          [&](PublishNextHops& publish) {
            core.publish_next_hops(std::move(publish.next_hops), now(), outbox);
          },
          [&](PublishFilter& publish) { core.publish_filter(std::move(publish.rules)); },
          [&](PublishTls& publish) { parts_->streams.publish_tls(std::move(publish.tls)); },
          [&](PublishPages& publish) { parts_->streams.publish_pages(std::move(publish.pages)); },
          [&](PublishLogLevel& publish) { parts_->log.set_level(publish.level); },
          [&](Resolved& answer) { core.resolved(answer.ticket, answer.resolution, now(), outbox); },
          [&](ListCalls& request) { list_calls(request); },
          [&](Drain&) { begin_drain(); },
          [&](Stop&) { stopping_ = true; },
      },
      message);
  deliver();
}

void ShardThread::list_calls(const ListCalls& request) {
  CallList list;
  list.request = request.request;
  for (const CallInfo& call : parts_->core.calls(request.max, now())) {
    list.calls.push_back({std::string(call.call_id), std::string(call.from), std::string(call.to),
                          std::string(call.state), call.flow, call.media, call.age});
  }
  tell_control(std::move(list));
}

void ShardThread::handle(BetweenShards& message) {
  ProxyCore& core = parts_->core;
  Outbox& outbox = parts_->outbox;
  std::visit(Overloaded{
                 [](std::monostate) {},
                 [&](HandOver& received) {
                   core.receive_message(received.source, received.bytes, now(), outbox);
                 },
                 [&](SendOnFlow& send) {
                   // The ticket means nothing to our core. A flow that is gone is told to the
                   // shard it came from; one that ends later is announced there by its core.
                   BufferRef copy = parts_->buffers.copy(send.bytes);
                   const bool sent = copy && parts_->streams.is_open(send.flow);
                   if (sent) return parts_->streams.send(send.flow, std::move(copy), 0, now());
                   if (send.ticket == 0) return;
                   post(send.origin, SendFailed{send.ticket, TransportFailure::FlowGone}, {});
                 },
                 [&](CloseRemoteFlow& close) {
                   parts_->streams.close(close.flow, close.websocket_code, now());
                 },
                 [&](SendFailed& failed) {
                   core.send_failed(failed.ticket, failed.failure, now(), outbox);
                 },
                 [&](Output::Announcement& announcement) {
                   core.receive_announcement(announcement, now(), outbox);
                 },
             },
             message);
  deliver();
  pump();
}

}  // namespace ringway
