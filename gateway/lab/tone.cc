#include "gateway/lab/tone.h"

#include <cmath>
#include <numbers>

namespace ringway::lab {
namespace {

constexpr int kBinCount =
    (ToneDetector::kHighestHz - ToneDetector::kLowestHz) / ToneDetector::kStepHz + 1;
constexpr double kQuietPower = 100.0 * 100.0;  // mean square below which a block is silence
constexpr double kPureShare = 0.7;
constexpr int kBlocksToBelieve = 3;

// Power of one frequency in units of the block's mean square: a sine on the bin gives all of it.
double goertzel(std::span<const std::int16_t, ToneDetector::kBlockSamples> block, int hz) {
  const double coefficient = 2 * std::cos(2 * std::numbers::pi * hz / kSampleRate);
  double previous = 0;
  double before = 0;
  for (const std::int16_t sample : block) {
    const double next = sample + coefficient * previous - before;
    before = previous;
    previous = next;
  }
  const double power = previous * previous + before * before - coefficient * previous * before;
  constexpr double kCount = ToneDetector::kBlockSamples;
  return 2 * power / (kCount * kCount);
}

}  // namespace

void ToneGenerator::fill(std::span<std::int16_t> samples) {
  for (std::int16_t& sample : samples) {
    const double turns = static_cast<double>(hz_) * position_ / kSampleRate;
    sample = static_cast<std::int16_t>(amplitude_ * std::sin(2 * std::numbers::pi * turns));
    position_ = (position_ + 1) % kSampleRate;  // a whole number of turns in each second
  }
}

int dominant_tone_hz(std::span<const std::int16_t, ToneDetector::kBlockSamples> block) {
  double mean_square = 0;
  for (const std::int16_t sample : block) mean_square += double{1} * sample * sample;
  mean_square /= static_cast<double>(block.size());
  if (mean_square < kQuietPower) return 0;

  std::array<double, kBinCount> power{};
  int best = 0;
  for (int bin = 0; bin < kBinCount; ++bin) {
    const auto index = static_cast<std::size_t>(bin);
    power[index] = goertzel(block, ToneDetector::kLowestHz + bin * ToneDetector::kStepHz);
    if (power[index] > power[static_cast<std::size_t>(best)]) best = bin;
  }
  const auto at = static_cast<std::size_t>(best);
  double share = power[at];
  if (best > 0) share += power[at - 1];
  if (best + 1 < kBinCount) share += power[at + 1];
  if (share < kPureShare * mean_square) return 0;
  return ToneDetector::kLowestHz + best * ToneDetector::kStepHz;
}

bool ToneDetector::add(std::int16_t sample) {
  block_[static_cast<std::size_t>(filled_++)] = sample;
  if (filled_ < kBlockSamples) return false;
  filled_ = 0;
  return finish_block();
}

bool ToneDetector::finish_block() {
  const int hz = dominant_tone_hz(block_);
  // A tone between two filters may be seen by either of them.
  if (std::abs(hz - candidate_hz_) > kStepHz || (hz == 0) != (candidate_hz_ == 0)) {
    candidate_hz_ = hz;
    candidate_blocks_ = 0;
  }
  if (++candidate_blocks_ < kBlocksToBelieve) return false;
  const bool changed = candidate_hz_ != tone_hz_;
  tone_hz_ = candidate_hz_;
  if (tone_hz_ == 0) return changed;
  if (tone_hz_ != heard_hz_) {
    heard_hz_ = tone_hz_;
    heard_blocks_ = 0;
  }
  heard_blocks_ += candidate_blocks_ == kBlocksToBelieve ? kBlocksToBelieve : 1;
  return changed;
}

}  // namespace ringway::lab
