#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "protocol/base/bytes.h"
#include "protocol/base/keyed_hash.h"

namespace ringway::tls {

using MacKey = std::array<std::uint8_t, 32>;
using MacTag = std::array<std::uint8_t, 16>;

// A keyed signature for tokens that we hand out and get back: HMAC-SHA-256 truncated to 128 bits
// (RFC 2104 5). Keyed once; signing allocates nothing and changes nothing, so one object may serve
// several threads. Copies are independent.
class Mac {
 public:
  explicit Mac(const MacKey& key);
  ~Mac();
  Mac(const Mac&) = default;
  Mac& operator=(const Mac&) = default;

  // Over the concatenation of parts; lengths are not part of it, so fields of variable size need
  // a separator or a length of their own.
  MacTag sign(Bytes data) const { return sign({data}); }
  MacTag sign(std::initializer_list<Bytes> parts) const;

  // A signature over a few fields and one text of any size, for tokens that each message brings.
  // One block under a secret state is a function that nobody can tell from a random one, so no
  // outer hash is needed; the text goes in as its keyed hash, which nobody ever sees. fields: at
  // most kFieldBytesMax. Cost: one SHA-256 block, where sign() takes three or four.
  static constexpr std::size_t kFieldBytesMax = 55;
  MacTag sign_fields(Bytes fields, Bytes text) const;

  // Hides text, or shows it again, under a tag that sign() gave for it: the synthetic
  // initialisation vector of RFC 5297, so equal texts with equal tags look equal and nothing else
  // shows. Sealing signs first and hides then; opening shows first and then must verify() before
  // anything is believed. The first 12 bytes of tag count; text: at most 64 bytes.
  // Cost: one SHA-256 block for each 32 bytes.
  void hide(MutableBytes text, Bytes tag) const;

  // In constant time. tag: as received; the first 8 to 16 bytes of a MacTag.
  bool verify(Bytes tag, std::initializer_list<Bytes> parts) const;
  bool verify_fields(Bytes tag, Bytes fields, Bytes text) const;

 private:
  // SHA-256 after the padded key: inner and outer, and with pads of their own for hide() and
  // sign_fields(): eight words each.
  std::array<std::uint32_t, 8> inner_;
  std::array<std::uint32_t, 8> outer_;
  std::array<std::uint32_t, 8> stream_;
  std::array<std::uint32_t, 8> fields_;
  HashKey text_key_;
};

// True if both have the same size and content; the time depends on the sizes only.
bool equal_in_constant_time(Bytes a, Bytes b);

}  // namespace ringway::tls
