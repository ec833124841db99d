#include "gateway/core/response_context.h"

#include <algorithm>

#include "gateway/base/check.h"

namespace ringway {
namespace {

// RFC 3261 16.7 item 6: 6xx first, then the lowest class; within 4xx those that tell the caller
// how to do better.
int rank(sip::Status status) {
  if (status >= 600) return 0;
  const int by_class = status / 100 * 10;
  const bool helpful =
      sip::is_challenge(status) || status == 415 || status == 420 || status == 484;
  return by_class + (helpful ? 0 : 5);
}

// A 408 that somebody sent is an answer; silence is none (RFC 3263 4.3).
bool is_worth_another_target(sip::Status status, bool received) {
  return status == 503 || (status == 408 && !received) || status == 430;
}

}  // namespace

void ResponseContext::park(State waits_for) {
  DCHECK(state_ != State::Answered);
  state_ = waits_for;
}

std::uint8_t ResponseContext::forwarded(SlotId client) {
  DCHECK(may_fork());
  const std::uint8_t index = branch_count_++;
  branches_[index] = {};
  branches_[index].client = client;
  ++open_;
  if (state_ != State::Answered) state_ = State::Proceeding;
  return index;
}

ResponseContext::Decision ResponseContext::provisional(std::uint8_t index) const {
  if (branches_[index].cancelled) return Decision::CancelBranch;
  if (method != sip::Method::Invite || is_answered()) return Decision::Nothing;
  return Decision::Forward;
}

bool ResponseContext::takes_provisional(Instant now) {
  if (provisionals_left_ == kProvisionalsMax) provisionals_since_ = now;
  const auto earned = (now - provisionals_since_) / kProvisionalEvery;
  provisionals_since_ += earned * kProvisionalEvery;
  provisionals_left_ = static_cast<std::uint8_t>(
      std::min<std::int64_t>(kProvisionalsMax, provisionals_left_ + earned));
  if (provisionals_left_ == 0) return false;
  --provisionals_left_;
  return true;
}

ResponseContext::Decision ResponseContext::success(std::uint8_t index, sip::Status status) {
  ClientBranch& branch = branches_[index];
  if (branch.final_status == 0) {
    branch.final_status = status;
    --open_;
  }
  return method == sip::Method::Invite && open_ != 0 ? Decision::CancelBranches : Decision::Forward;
}

ResponseContext::Decision ResponseContext::failed(std::uint8_t index, sip::Status status,
                                                  BufferRef message, bool challenge) {
  ClientBranch& branch = branches_[index];
  const bool received = static_cast<bool>(message);
  if (branch.final_status == 0) --open_;
  branch.final_status = status;
  if (is_answered()) return Decision::Nothing;
  if (best_status_ == 0 || rank(status) < rank(best_status_)) {
    best_status_ = status;
    best_branch_ = index;
    best_ = message;
  }
  if (challenge) branch.challenge = std::move(message);
  if (status >= 600) {
    give_up_targets();
    return open_ != 0 ? Decision::CancelBranches : Decision::SendBest;
  }
  if (is_worth_another_target(status, received) && !cancelled_ && may_fork()) {
    return Decision::TryAnother;
  }
  return open_ == 0 ? Decision::SendBest : Decision::Nothing;
}

void ResponseContext::discount(std::uint8_t index, sip::Status status) {
  --open_;
  branches_[index].final_status = status;
}

void ResponseContext::count_again(std::uint8_t index) {
  ++open_;
  branches_[index].final_status = 0;
}

void ResponseContext::silent(std::uint8_t index) {
  ClientBranch& branch = branches_[index];
  branch.cancelled = true;
  if (branch.final_status == 0) --open_;
  branch.final_status = 408;
}

void ResponseContext::silence_ended(std::uint8_t index) {
  ClientBranch& branch = branches_[index];
  branch.cancelled = false;
  branch.final_status = 0;
  ++open_;
}

ResponseContext::Decision ResponseContext::cancel() {
  if (is_answered() || cancelled_) return Decision::Nothing;
  cancelled_ = true;
  return state_ == State::Proceeding ? Decision::CancelBranches : Decision::FailHere;
}

// A final response takes the place of the last provisional one that the relay has not got.
bool ResponseContext::park_response(ParkedResponse response) {
  if (parked_count == kParkedMax && !sip::is_provisional(response.status)) {
    for (std::size_t i = kParkedMax; i-- > 1;) {
      if (!sip::is_provisional(parked[i].status)) continue;
      std::move(parked.begin() + i + 1, parked.end(), parked.begin() + i);
      parked[--parked_count] = {};
      break;
    }
  }
  if (parked_count == kParkedMax) return false;
  parked[parked_count++] = std::move(response);
  return true;
}

ParkedResponse ResponseContext::take_parked() {
  DCHECK(parked_count != 0);
  ParkedResponse first = std::move(parked[0]);
  for (std::uint8_t i = 1; i < parked_count; ++i) parked[i - 1U] = std::move(parked[i]);
  parked[--parked_count] = {};
  return first;
}

}  // namespace ringway
