#include <algorithm>
#include <utility>

#include "gateway/shard/shard_thread.h"

namespace ringway {

// Does what the core's last call asked for. Failures known at once are told to the core only after
// the whole outbox is done, since names in it are lent until the core's next call.
void ShardThread::deliver() {
  Outbox& outbox = parts_->outbox;
  for (;;) {
    for (Output& output : outbox.items()) perform(output);
    outbox.clear();
    if (failures_.empty() && unresolved_.empty()) return;
    for (const Ticket ticket : std::exchange(unresolved_, {})) {
      parts_->core.resolved(ticket, Resolution{}, now(), outbox);
    }
    const std::vector<Datagrams::Failure> failures = std::exchange(failures_, {});
    for (const auto& failure : failures) {
      parts_->core.send_failed(failure.ticket, failure.failure, now(), outbox);
    }
  }
}

void ShardThread::perform(Output& output) {
  if (output.kind == Output::Kind::SendDatagram || output.kind == Output::Kind::SendFlow ||
      output.kind == Output::Kind::SendConnect) {
    counters_.messages_out[static_cast<std::size_t>(output.transport)].add();
  }
  switch (output.kind) {
    case Output::Kind::SendDatagram: {
      const auto failure = parts_->datagrams.send(
          output.listener, output.remote, std::move(output.buffer), output.ticket, output.local);
      if (failure) fail(failure->ticket, failure->failure);
      return;
    }
    case Output::Kind::SendFlow: {
      const ShardIndex owner = output.flow.shard();
      if (owner == setup_.index) {
        return parts_->streams.send(output.flow, std::move(output.buffer), output.ticket, now());
      }
      if (owner >= posted_.size()) return fail(output.ticket, TransportFailure::FlowGone);
      const Bytes bytes = output.buffer.bytes();
      if (!post(owner, SendOnFlow{output.flow, output.ticket, setup_.index, bytes},
                std::move(output.buffer))) {
        fail(output.ticket, TransportFailure::QueueFull);
      }
      return;
    }
    case Output::Kind::SendConnect:
      return parts_->streams.send_connect(
          {output.transport, output.listener, output.remote, output.next_hop, output.name},
          std::move(output.buffer), output.ticket, now());
    case Output::Kind::CloseFlow:
      if (output.flow.shard() == setup_.index) {
        parts_->streams.close(output.flow, output.websocket_code, now());
      } else if (output.flow.shard() < posted_.size()) {
        post(output.flow.shard(), CloseRemoteFlow{output.flow, output.websocket_code}, {});
      }
      return;
    case Output::Kind::RelayRequest:
      if (config_.media.relays[output.relay].transport != Transport::Udp) {
        return parts_->streams.send_relay(output.relay, std::move(output.buffer), now());
      }
      parts_->datagrams.send(relay_listener(output.relay),
                             config_.media.relays[output.relay].address, std::move(output.buffer),
                             0);
      return;
    case Output::Kind::HandOver: {
      if (output.shard >= posted_.size() || output.shard == setup_.index) return;
      const Bytes bytes = output.buffer.bytes();
      post(output.shard, HandOver{output.source, bytes}, std::move(output.buffer));
      return;
    }
    case Output::Kind::Announce:
      keep_address_of(output.announcement);
      for (std::size_t shard = 0; shard < posted_.size(); ++shard) {
        if (shard == setup_.index) continue;
        post(static_cast<ShardIndex>(shard), Output::Announcement(output.announcement), {});
      }
      return;
    case Output::Kind::Resolve:
      return resolve(output);
  }
}

// A user agent by UDP that comes is reached from the address of ours that it has spoken to.
void ShardThread::keep_address_of(const Output::Announcement& announcement) {
  const Source& source = announcement.source;
  if (announcement.kind != Output::Announcement::Kind::UserAgentHere || source.local == 0) return;
  setup_.exchange.local_addresses().keep(setup_.listeners.infos[source.listener].local.port,
                                         source.remote, source.local, counters_);
}

// One question for each name, however many requests need it. Who finds no place is told so when the
// outbox is done: names are lent until the core's next call.
void ShardThread::resolve(const Output& output) {
  const NameWaits::Added added = parts_->names.add(output);
  if (added.outcome == NameWaits::Outcome::Joined) return;
  if (added.outcome == NameWaits::Outcome::Full) {
    counters_.names_refused.add();
    unresolved_.push_back(output.ticket);
    return;
  }
  ResolveName request;
  request.ticket = added.question;
  request.transport = output.transport;
  request.transport_given = output.transport_given;
  request.secure = output.secure;
  request.port = output.port;
  const std::size_t size = std::min(output.name.size(), request.name_text.size());
  std::copy_n(output.name.data(), size, request.name_text.data());
  request.name_size = static_cast<std::uint8_t>(size);
  if (tell_control(std::move(request))) return;
  parts_->names.answer(added.question, [this](Ticket ticket) { unresolved_.push_back(ticket); });
}

void ShardThread::fail(Ticket ticket, TransportFailure failure) {
  if (ticket != 0) failures_.push_back({ticket, failure});
}

// buffer: what message points into. False, and counted, if the other shard's mailbox is full.
bool ShardThread::post(ShardIndex shard, BetweenShards&& message, BufferRef buffer) {
  if (!setup_.exchange.box(setup_.index, shard).push(std::move(message), std::move(buffer))) {
    counters_.handed_over_full.add();
    return false;
  }
  counters_.handed_over.add();
  posted_[shard] = true;
  return true;
}

// False, and counted, if the control thread has not read for long.
bool ShardThread::tell_control(FromShard&& message) {
  if (!port_.from_shard_.push(std::move(message))) {
    counters_.handed_over_full.add();
    return false;
  }
  if (setup_.wake_control) setup_.wake_control();
  return true;
}

}  // namespace ringway
