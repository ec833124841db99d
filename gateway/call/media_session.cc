#include "gateway/call/media_session.h"

#include <utility>

#include "gateway/base/check.h"

namespace ringway {

bool MediaSession::push(Step step) {
  if (count_ == kWaitingMax) return false;
  steps_[count_++] = std::move(step);
  return true;
}

bool MediaSession::offer(Party from, BufferRef description, SlotId owner) {
  if (state_ == State::Ended) return false;
  Step step{MediaCommand::Offer, from, false, false, owner, description};
  if (!push(std::move(step))) return false;
  known_ = true;
  state_ = State::Offered;
  offerer_ = from;
  proposed_ = {};
  proposed_written_ = {};
  proposed_[index_of(from)] = std::move(description);
  return true;
}

bool MediaSession::answer(Party from, BufferRef description, SlotId owner, bool preview) {
  if (state_ == State::Ended) return false;
  Step step{MediaCommand::Answer, from, false, preview, owner, description};
  if (!push(std::move(step))) return false;
  proposed_[index_of(from)] = std::move(description);
  return true;
}

void MediaSession::settle() {
  const Party answerer = other(offerer_);
  if (state_ == State::Offered && proposed_written_[index_of(offerer_)]) agree(answerer);
}

void MediaSession::agree(Party answerer) {
  state_ = State::Agreed;
  agreed_ = true;
  agreed_offerer_ = offerer_;
  agreed_descriptions_[index_of(offerer_)] = proposed_[index_of(offerer_)];
  agreed_descriptions_[index_of(answerer)] = proposed_[index_of(answerer)];
  written_ = proposed_written_;
}

void MediaSession::refused() {
  if (state_ != State::Offered) return;
  if (!agreed_) {
    state_ = State::Idle;
    return;
  }
  state_ = State::Agreed;
  const Party offerer = agreed_offerer_, answerer = other(offerer);
  // Without room the relay stays on the refused offer until the next one.
  if (count_ + 2U > kWaitingMax) return;
  push({MediaCommand::Offer, offerer, true, false, {}, agreed_descriptions_[index_of(offerer)]});
  push({MediaCommand::Answer, answerer, true, false, {}, agreed_descriptions_[index_of(answerer)]});
}

void MediaSession::drop() {
  if (state_ == State::Ended) return;
  end();
  state_ = State::Idle;
}

void MediaSession::end() {
  if (state_ == State::Ended) return;
  state_ = State::Ended;
  for (std::uint8_t i = 0; i < count_; ++i) {
    const SlotId owner = std::exchange(steps_[i].owner, {});
    if (owner && abandoned_count_ < kWaitingMax) abandoned_[abandoned_count_++] = owner;
  }
  const std::uint8_t kept = at_relay_ ? 1 : 0;
  for (std::uint8_t i = kept; i < count_; ++i) steps_[i] = {};
  count_ = kept;
  proposed_ = agreed_descriptions_ = proposed_written_ = written_ = {};
  agreed_ = false;
  if (known_) push({MediaCommand::Delete, offerer_, false, false, {}, {}});
}

std::optional<SlotId> MediaSession::next_abandoned() {
  if (abandoned_count_ == 0) return std::nullopt;
  return abandoned_[--abandoned_count_];
}

const MediaSession::Step* MediaSession::next() const {
  return at_relay_ || count_ == 0 ? nullptr : &steps_[0];
}

MediaSession::Step MediaSession::completed(bool ok, BufferRef written) {
  DCHECK(count_ != 0);
  Step done = std::move(steps_[0]);
  for (std::uint8_t i = 1; i < count_; ++i) steps_[i - 1U] = std::move(steps_[i]);
  steps_[--count_] = {};
  at_relay_ = false;
  if (done.command == MediaCommand::Delete) {
    known_ = count_ != 0;  // after drop() the next offer may wait behind it
    return done;
  }
  if (state_ == State::Ended || done.restores) return done;
  if (!ok) {
    if (done.command == MediaCommand::Offer && done.from == offerer_) refused();
    return done;
  }
  proposed_written_[index_of(other(done.from))] = std::move(written);
  if (done.command == MediaCommand::Answer && state_ == State::Offered && done.from != offerer_) {
    proposed_[index_of(done.from)] = done.description;
    if (!done.preview) agree(done.from);
  } else if (done.command == MediaCommand::Answer && state_ == State::Agreed &&
             done.from != agreed_offerer_) {
    // Another fork's answer to the offer that is agreed: the newest counts.
    agreed_descriptions_[index_of(done.from)] = done.description;
    written_[index_of(other(done.from))] = proposed_written_[index_of(other(done.from))];
  }
  return done;
}

void MediaSession::forget_owner(SlotId owner) {
  for (std::uint8_t i = 0; i < count_; ++i) {
    if (steps_[i].owner == owner) steps_[i].owner = {};
  }
}

}  // namespace ringway
