#include "gateway/shard/name_waits.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ringway {
namespace {

Output question(std::string_view name, Ticket ticket, std::uint16_t port = 0) {
  Output output;
  output.kind = Output::Kind::Resolve;
  output.name = name;
  output.ticket = ticket;
  output.port = port;
  return output;
}

std::vector<Ticket> answered(NameWaits& waits, std::uint64_t id) {
  std::vector<Ticket> tickets;
  waits.answer(id, [&](Ticket ticket) { tickets.push_back(ticket); });
  return tickets;
}

TEST(NameWaits, FourThousandWaitForOneAnswer) {
  NameWaits waits(10'000);
  const auto first = waits.add(question("slow.test", 1));
  EXPECT_EQ(first.outcome, NameWaits::Outcome::Ask);
  for (Ticket ticket = 2; ticket <= 4'000; ++ticket) {
    const auto added = waits.add(question("SLOW.test", ticket));
    ASSERT_EQ(added.outcome, NameWaits::Outcome::Joined);
    ASSERT_EQ(added.question, first.question);
  }
  EXPECT_EQ(waits.waiting(), 4'000u);
  const auto tickets = answered(waits, first.question);
  ASSERT_EQ(tickets.size(), 4'000u);
  for (Ticket ticket = 1; ticket <= 4'000; ++ticket) EXPECT_EQ(tickets[ticket - 1], ticket);
  EXPECT_EQ(waits.waiting(), 0u);
  EXPECT_TRUE(answered(waits, first.question).empty()) << "an answer counts once";
}

TEST(NameWaits, WhatDiffersIsAskedForItself) {
  NameWaits waits(10);
  EXPECT_EQ(waits.add(question("a.test", 1)).outcome, NameWaits::Outcome::Ask);
  EXPECT_EQ(waits.add(question("b.test", 2)).outcome, NameWaits::Outcome::Ask);
  EXPECT_EQ(waits.add(question("a.test", 3, 5061)).outcome, NameWaits::Outcome::Ask);
  Output secure = question("a.test", 4);
  secure.secure = true;
  EXPECT_EQ(waits.add(secure).outcome, NameWaits::Outcome::Ask);
}

TEST(NameWaits, AFullTableRefusesAndHasRoomAgainAfterAnAnswer) {
  NameWaits waits(3);
  const auto asked = waits.add(question("a.test", 1));
  EXPECT_EQ(waits.add(question("a.test", 2)).outcome, NameWaits::Outcome::Joined);
  EXPECT_EQ(waits.add(question("b.test", 3)).outcome, NameWaits::Outcome::Ask);
  EXPECT_EQ(waits.add(question("a.test", 4)).outcome, NameWaits::Outcome::Full);
  EXPECT_EQ(answered(waits, asked.question).size(), 2u);
  EXPECT_EQ(waits.add(question("c.test", 5)).outcome, NameWaits::Outcome::Ask);
  EXPECT_EQ(waits.waiting(), 2u);
}

TEST(NameWaits, QuestionsHaveABoundToo) {
  NameWaits waits(10'000);
  for (std::size_t i = 0; i < NameWaits::kQuestionsMax; ++i) {
    ASSERT_EQ(waits.add(question(std::to_string(i) + ".test", i + 1)).outcome,
              NameWaits::Outcome::Ask);
  }
  EXPECT_EQ(waits.add(question("more.test", 999)).outcome, NameWaits::Outcome::Full);
  EXPECT_EQ(waits.add(question("7.test", 1'000)).outcome, NameWaits::Outcome::Joined);
}

// The core may ask for another name while it is given an answer.
TEST(NameWaits, TakesQuestionsWhileItAnswers) {
  NameWaits waits(4);
  const auto first = waits.add(question("a.test", 1));
  waits.add(question("a.test", 2));
  std::vector<Ticket> tickets;
  waits.answer(first.question, [&](Ticket ticket) {
    tickets.push_back(ticket);
    waits.add(question("a.test", ticket + 10));
  });
  EXPECT_EQ(tickets, (std::vector<Ticket>{1, 2}));
  EXPECT_EQ(waits.waiting(), 2u);
}

}  // namespace
}  // namespace ringway
