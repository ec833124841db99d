#pragma once

#include <array>
#include <cstdint>
#include <span>

// Tones at 8,000 samples a second: one to send, and a detector that says which one arrives.

namespace ringway::lab {

inline constexpr int kSampleRate = 8000;

// A sine of constant level; consecutive calls continue its phase.
class ToneGenerator {
 public:
  explicit ToneGenerator(int hz, double amplitude = 8000) : hz_(hz), amplitude_(amplitude) {}

  void fill(std::span<std::int16_t> samples);

 private:
  int hz_;
  double amplitude_;
  int position_ = 0;  // 0 <= position_ < kSampleRate
};

// Looks at blocks of 50 ms with Goertzel's filter, one filter for each 20 Hz. A block has a tone
// when one frequency and its neighbours carry most of the energy.
class ToneDetector {
 public:
  static constexpr int kBlockSamples = 400;
  static constexpr int kStepHz = kSampleRate / kBlockSamples;
  static constexpr int kLowestHz = 200;
  static constexpr int kHighestHz = 3600;

  // Returns true if the current tone changed, from or to silence too.
  bool add(std::int16_t sample);

  int tone_hz() const { return tone_hz_; }    // 0: no tone, or not for three blocks in a row yet
  int heard_hz() const { return heard_hz_; }  // the last tone that lasted for three blocks
  // How long the tone of heard_hz() was heard altogether.
  int heard_ms() const { return heard_blocks_ * 1000 * kBlockSamples / kSampleRate; }

 private:
  bool finish_block();

  std::array<std::int16_t, kBlockSamples> block_{};
  int filled_ = 0;  // 0 <= filled_ < kBlockSamples between calls
  int candidate_hz_ = 0;
  int candidate_blocks_ = 0;
  int tone_hz_ = 0;
  int heard_hz_ = 0;
  int heard_blocks_ = 0;
};

// The frequency, a multiple of kStepHz, that carries the block, or 0.
int dominant_tone_hz(std::span<const std::int16_t, ToneDetector::kBlockSamples> block);

}  // namespace ringway::lab
