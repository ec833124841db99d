#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "gateway/lab/audio_stream.h"

// The numbers that somebody answers, and what happens there.

namespace ringway::lab {

struct Number {
  std::string_view number;
  std::string_view name;  // may be dialled too
  std::string_view what;  // for people
  int refusal = 0;        // the final status, 0: the phone answers
  Source source = Source::Tone;
  std::chrono::milliseconds ringing{0};        // time between 180 and 200
  std::chrono::milliseconds hang_up_after{0};  // 0: never
  std::chrono::milliseconds hold_after{0};     // 0: never; resumes after the same time
};

inline constexpr int kToneHz = 1000;

// nullptr if nobody answers there.
const Number* find_number(std::string_view dialled);

// [{"number":"100","name":"echo","what":"..."},...]
std::string numbers_as_json();

}  // namespace ringway::lab
