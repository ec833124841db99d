#include "gateway/lab/numbers.h"

#include <array>

namespace ringway::lab {
namespace {

using namespace std::chrono_literals;

constexpr std::array<Number, 7> kNumbers = {{
    {.number = "100", .name = "echo", .what = "Echo: you hear yourself", .source = Source::Echo},
    {.number = "101", .name = "tone", .what = "A steady tone of 1000 Hz"},
    {.number = "102", .name = "busy", .what = "Always busy", .refusal = 486},
    {.number = "103", .name = "slow", .what = "Rings for 5 s, then a tone", .ringing = 5s},
    {.number = "104", .name = "short", .what = "Hangs up after 5 s", .hang_up_after = 5s},
    {.number = "105", .name = "decline", .what = "Declines every call", .refusal = 603},
    {.number = "106",
     .name = "hold",
     .what = "Holds after 3 s, resumes 3 s later",
     .hold_after = 3s},
}};

}  // namespace

const Number* find_number(std::string_view dialled) {
  for (const Number& number : kNumbers) {
    if (dialled == number.number || dialled == number.name) return &number;
  }
  return nullptr;
}

std::string numbers_as_json() {
  std::string json = "[";
  for (const Number& number : kNumbers) {
    if (json.size() > 1) json += ',';
    json += R"({"number":")" + std::string(number.number) + R"(","name":")" +
            std::string(number.name) + R"(","what":")" + std::string(number.what) + R"("})";
  }
  return json + "]";
}

}  // namespace ringway::lab
