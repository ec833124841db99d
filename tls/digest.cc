#include "tls/digest.h"

#include <openssl/evp.h>

#include <cstdlib>

namespace ringway::tls {
namespace {

template <std::size_t kSize>
std::array<std::uint8_t, kSize> digest(const EVP_MD* algorithm, Bytes data) {
  std::array<std::uint8_t, kSize> result;
  unsigned size = 0;
  // Fails only without memory, or where an administrator has removed the algorithm.
  if (EVP_Digest(data.data(), data.size(), result.data(), &size, algorithm, nullptr) != 1 ||
      size != kSize) {
    std::abort();
  }
  return result;
}

}  // namespace

std::array<std::uint8_t, 16> md5(Bytes data) {
  return digest<16>(EVP_md5(), data);
}
std::array<std::uint8_t, 20> sha1(Bytes data) {
  return digest<20>(EVP_sha1(), data);
}
std::array<std::uint8_t, 32> sha256(Bytes data) {
  return digest<32>(EVP_sha256(), data);
}

}  // namespace ringway::tls
