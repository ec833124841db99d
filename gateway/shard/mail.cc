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
      if (!message || is_ahead(*message)) break;
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
          [&](PublishConfig& publish) { take_over(publish); },
          [&](PublishService& publish) { core.set_in_service(publish.in_service); },
          [&](PublishNextHops& publish) {
            core.publish_next_hops(std::move(publish.next_hops), now(), outbox);
            tell_control(NextHopsTaken{});
          },
          [&](PublishFilter& publish) { core.publish_filter(std::move(publish.rules)); },
          [&](PublishTls& publish) { parts_->streams.publish_tls(std::move(publish.tls)); },
          [&](PublishPages& publish) { parts_->streams.publish_pages(std::move(publish.pages)); },
          [&](PublishLists& publish) {
            parts_->gate.publish(std::move(publish.lists));
            core.publish_fraud(std::move(publish.fraud));
          },
          [&](PublishLogLevel& publish) { parts_->log.set_level(publish.level); },
          [&](Resolved& answer) {
            parts_->names.answer(answer.ticket, [&](Ticket ticket) {
              core.resolved(ticket, answer.resolution, now(), outbox);
              deliver();
            });
          },
          [&](Query& query) { tell_control(report(query)); },
          [&](AskAlive& ask) { tell_control(Alive{ask.round}); },
          [&](Drain&) { begin_drain(); },
          [&](Stop&) { stopping_ = true; },
      },
      message);
  deliver();
}

// Everything that holds a reference to the configuration sees the new values from here on; what was
// derived from it is told.
void ShardThread::take_over(PublishConfig& publish) {
  config_ = *publish.config;
  take_over_listeners(std::move(publish.listeners));
  parts_->log.set_level(config_.log_level);
  parts_->streams.publish_tls(std::move(publish.tls));
  parts_->streams.publish_pages(std::move(publish.pages));
  parts_->core.publish_filter(std::move(publish.filter));
  parts_->gate.publish(std::move(publish.lists));
  parts_->core.publish_fraud(std::move(publish.fraud));
  parts_->gate.set_enabled(config_.bans.enabled);
  parts_->core.config_changed(now());
  counters_.config_generation.set(publish.generation);
}

void ShardThread::handle(BetweenShards& message) {
  ProxyCore& core = parts_->core;
  Outbox& outbox = parts_->outbox;
  std::visit(Overloaded{
                 [](std::monostate) {},
                 [&](HandOver& received) {
                   core.receive_handed_over(received.source, received.bytes, now(), outbox);
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
