#include "gateway/shard/name_waits.h"

#include <algorithm>

#include "protocol/base/ascii.h"

namespace ringway {
namespace {

constexpr std::size_t kNameBytesMax = 255;  // RFC 1035 2.3.4

}  // namespace

NameWaits::NameWaits(std::uint32_t tickets_max) : waiting_(std::size_t{tickets_max} + 1) {}

// Names of hosts ignore case (RFC 4343).
bool NameWaits::is_same(const Question& question, const Output& output) {
  return question.used && question.port == output.port && question.secure == output.secure &&
         question.transport_given == output.transport_given &&
         (!question.transport_given || question.transport == output.transport) &&
         ascii::equal_ignoring_case({question.name.data(), question.name_size}, output.name);
}

NameWaits::Added NameWaits::add(const Output& output) {
  Question* found = nullptr;
  Question* unused = nullptr;
  for (Question& question : questions_) {
    if (is_same(question, output)) found = &question;
    if (!question.used && !unused) unused = &question;
  }
  if (output.name.size() > kNameBytesMax || (!found && !unused)) return {};
  std::uint32_t place = free_;
  if (place != 0) {
    free_ = waiting_[place].next;
  } else if (carved_ + 1 < waiting_.size()) {
    place = ++carved_;
  } else {
    return {};
  }
  waiting_[place] = {output.ticket, 0};
  ++count_;
  Question& question = found ? *found : *unused;
  const auto index = static_cast<std::uint64_t>(&question - questions_.data());
  if (found) {
    waiting_[question.last].next = place;
    question.last = place;
    return {Outcome::Joined, question.generation * kQuestionsMax + index};
  }
  question.used = true;
  question.transport_given = output.transport_given;
  question.secure = output.secure;
  question.transport = output.transport;
  question.port = output.port;
  question.name_size = static_cast<std::uint8_t>(output.name.size());
  std::copy(output.name.begin(), output.name.end(), question.name.begin());
  question.first = question.last = place;
  ++question.generation;
  return {Outcome::Ask, question.generation * kQuestionsMax + index};
}

}  // namespace ringway
