#include "tls/allocator.h"

#include <gtest/gtest.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>

#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "tests/tls/pair.h"
#include "tests/tls/pki.h"

// A program of its own, since the allocator must come before any other use of OpenSSL.

namespace ringway::tls::test {
namespace {

TEST(Allocator, BlocksOfEverySizeKeepTheirContent) {
  const AllocatorStatistics before = allocator_statistics();
  std::mt19937 random(7);
  struct Block {
    unsigned char* data;
    std::size_t size;
    unsigned char fill;
  };
  std::vector<Block> blocks;
  // The first byte is the fill, and each is as the one before it.
  const auto check = [](const Block& block) {
    ASSERT_EQ(block.data[0], block.fill);
    ASSERT_EQ(std::memcmp(block.data, block.data + 1, block.size - 1), 0);
  };
  for (std::size_t size = 1; size < 70000; size += 1 + size / 40) {
    Block block{static_cast<unsigned char*>(OPENSSL_malloc(size)), size,
                static_cast<unsigned char>(random())};
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(block.data) % 16, 0u);
    std::memset(block.data, block.fill, size);
    blocks.push_back(block);
  }
  for (int round = 0; round < 3000; ++round) {
    Block& block = blocks[random() % blocks.size()];
    check(block);
    const std::size_t size = 1 + random() % 40000;
    const std::size_t kept = std::min(size, block.size);
    block.data = static_cast<unsigned char*>(OPENSSL_realloc(block.data, size));
    check({block.data, kept, block.fill});
    block.size = size;
    std::memset(block.data, block.fill, size);
  }
  for (const Block& block : blocks) OPENSSL_free(block.data);
  const AllocatorStatistics after = allocator_statistics();
  EXPECT_EQ(after.live_bytes, before.live_bytes);
  EXPECT_EQ(after.live_blocks, before.live_blocks);
  EXPECT_GT(after.cache_hits, before.cache_hits);
}

TEST(Allocator, BlocksCrossThreadsAndThreadsEnd) {
  const AllocatorStatistics before = allocator_statistics();
  std::vector<void*> blocks(500);
  std::thread([&blocks] {
    for (void*& block : blocks) block = OPENSSL_malloc(17000);
  }).join();
  EXPECT_EQ(allocator_statistics().live_blocks, before.live_blocks + blocks.size());
  std::thread([&blocks] {
    for (void* const block : blocks) OPENSSL_free(block);
  }).join();
  const AllocatorStatistics after = allocator_statistics();
  EXPECT_EQ(after.live_blocks, before.live_blocks);
  EXPECT_EQ(after.live_bytes, before.live_bytes);
  EXPECT_EQ(after.cached_bytes, before.cached_bytes);  // ended threads keep nothing
}

TEST(Allocator, CachingIsBounded) {
  std::vector<void*> blocks(2000);
  for (void*& block : blocks) block = OPENSSL_malloc(16 * 1024);  // 32 MB
  for (void* const block : blocks) OPENSSL_free(block);
  EXPECT_LE(allocator_statistics().cached_bytes, 4u * 1024 * 1024);
}

// The floor under "bytes for each idle connection"; the figures are printed.
TEST(Allocator, MemoryOfIdleSessions) {
  const Authority authority;
  ServerProfile profile;
  profile.certificates = {{.primary = authority.issue_for("gw.test")}};
  const auto context = TlsContext::build({{profile}, {}}, {TicketKey::random(), std::nullopt});
  ASSERT_TRUE(context.has_value());
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    constexpr std::size_t kSessions = 20;
    std::vector<TlsSession> sessions;
    std::uint64_t live = 0;
    std::uint64_t blocks = 0;
    for (std::size_t i = 0; i <= kSessions; ++i) {
      {
        ForeignClient a(version, "gw.test");
        Endpoint b(TlsSession::accept(*context, 0));
        shuttle(a, b);
        a.send(std::string(600, 'x'));
        b.send(std::string(600, 'y'));
        shuttle(a, b);
        ASSERT_EQ(a.received().size() + b.received().size(), 1200u);
        sessions.push_back(std::move(b.session()));
      }
      if (i > 0) continue;
      live = allocator_statistics().live_bytes;  // what comes once only has come
      blocks = allocator_statistics().live_blocks;
    }
    live = (allocator_statistics().live_bytes - live) / kSessions;
    blocks = (allocator_statistics().live_blocks - blocks) / kSessions;
    std::printf("%s: %llu bytes in %llu blocks for an idle server session, %zu of our own\n",
                version == TLS1_2_VERSION ? "TLS 1.2" : "TLS 1.3",
                static_cast<unsigned long long>(live), static_cast<unsigned long long>(blocks),
                sizeof(TlsSession));
    // OpenSSL 3.5 keeps the hybrid key share and more of the handshake: 21 and 28 kB, 3.0 13 kB.
    EXPECT_LT(live, (OPENSSL_VERSION_NUMBER >= 0x30500000L ? 32u : 16u) * 1024);
  }
}

}  // namespace
}  // namespace ringway::tls::test

int main(int argc, char** argv) {
  if (!ringway::tls::install_allocator()) return 1;
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
