#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <system_error>

namespace ringway {

// What the system keeps from this process, in one line for who runs it: the limit that is in force,
// what it allows, and what helps.

// what has found no memory or address space; bytes: how much it wanted, 0: unknown. settings: those
// that make it want less.
std::string memory_refusal(std::string_view what, std::size_t bytes, std::string_view settings);

// Of a thread, a descriptor or whatever else error says.
std::string refusal(const std::system_error& error);

// Errors: the process may not open that many files at one time, or its stacks are too small.
[[nodiscard]] std::expected<void, std::string> check_limits(std::uint64_t descriptors);

}  // namespace ringway
