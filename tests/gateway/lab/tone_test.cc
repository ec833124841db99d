#include "gateway/lab/tone.h"

#include <array>
#include <cstdlib>
#include <random>

#include <gtest/gtest.h>

#include "gateway/lab/rtp.h"

namespace ringway::lab {
namespace {

// Feeds whole blocks; returns how often add() reported a change.
int feed(ToneDetector& detector, ToneGenerator& generator, int blocks, bool through_pcmu) {
  int changes = 0;
  std::array<std::int16_t, ToneDetector::kBlockSamples> samples{};
  for (int block = 0; block < blocks; ++block) {
    generator.fill(samples);
    for (const std::int16_t sample : samples) {
      const std::int16_t heard = through_pcmu ? decode_pcmu(encode_pcmu(sample)) : sample;
      changes += detector.add(heard) ? 1 : 0;
    }
  }
  return changes;
}

TEST(Tone, EachFrequencyIsFoundWithinOneStepThroughG711) {
  for (int hz = 220; hz <= 3580; hz += 35) {
    ToneDetector detector;
    ToneGenerator generator(hz);
    EXPECT_EQ(feed(detector, generator, 10, true), 1) << hz;
    EXPECT_LE(std::abs(detector.tone_hz() - hz), ToneDetector::kStepHz) << hz;
    EXPECT_EQ(detector.heard_ms(), 500) << hz;
  }
}

TEST(Tone, SilenceAndNoiseAreNoTone) {
  ToneDetector detector;
  ToneGenerator silence(1000, 0);
  EXPECT_EQ(feed(detector, silence, 10, false), 0);
  EXPECT_EQ(detector.tone_hz(), 0);

  const unsigned seed = 7;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 10 * ToneDetector::kBlockSamples; ++i) {
    detector.add(static_cast<std::int16_t>(random() % 20000) - 10000);
  }
  EXPECT_EQ(detector.tone_hz(), 0);
  EXPECT_EQ(detector.heard_hz(), 0);
}

TEST(Tone, TwoBlocksAreNotEnough) {
  ToneDetector detector;
  ToneGenerator generator(440);
  EXPECT_EQ(feed(detector, generator, 2, false), 0);
  EXPECT_EQ(detector.tone_hz(), 0);
  EXPECT_EQ(feed(detector, generator, 1, false), 1);
  EXPECT_EQ(detector.tone_hz(), 440);
}

TEST(Tone, ChangesAreReportedAndTheLastToneIsRemembered) {
  ToneDetector detector;
  ToneGenerator first(440);
  ToneGenerator second(1000);
  ToneGenerator silence(1000, 0);
  EXPECT_EQ(feed(detector, first, 5, true), 1);
  EXPECT_EQ(feed(detector, second, 5, true), 1);
  EXPECT_EQ(detector.tone_hz(), 1000);
  EXPECT_EQ(feed(detector, silence, 5, true), 1);
  EXPECT_EQ(detector.tone_hz(), 0);
  EXPECT_EQ(detector.heard_hz(), 1000);
  EXPECT_EQ(detector.heard_ms(), 250);
}

TEST(Tone, TheGeneratorKeepsItsPhase) {
  ToneGenerator whole(1234);
  ToneGenerator parts(1234);
  std::array<std::int16_t, 320> a{};
  std::array<std::int16_t, 320> b{};
  whole.fill(a);
  parts.fill(std::span(b).first(160));
  parts.fill(std::span(b).last(160));
  EXPECT_EQ(a, b);
}

}  // namespace
}  // namespace ringway::lab
