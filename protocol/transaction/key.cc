#include "protocol/transaction/key.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "protocol/base/ascii.h"
#include "protocol/base/bytes.h"

namespace ringway::transaction {
namespace {

// Hashes texts of any number and length without putting them into one buffer: whenever the block
// is full its hash becomes the key of the next one. Each text is preceded by its size, so that no
// two lists of texts look alike.
class Absorber {
 public:
  explicit Absorber(const HashKey& key) : key_(key) {}

  void number(std::uint32_t value) {
    if (block_.size() - size_ <= sizeof value) compress();
    write_u32(MutableBytes{block_}.subspan(size_), value);
    size_ += sizeof value;
  }
  void text(std::string_view text) {
    number(static_cast<std::uint32_t>(text.size()));
    while (!text.empty()) {
      const std::size_t taken = std::min(text.size(), block_.size() - 1 - size_);
      std::memcpy(block_.data() + size_, text.data(), taken);
      size_ += taken;
      text.remove_prefix(taken);
      if (size_ == block_.size() - 1) compress();
    }
  }
  void text_ignoring_case(std::string_view text) {
    std::array<char, 64> lower;
    number(static_cast<std::uint32_t>(text.size()));
    while (!text.empty()) {
      const std::string_view piece = text.substr(0, lower.size());
      std::transform(piece.begin(), piece.end(), lower.begin(), ascii::to_lower);
      this->text({lower.data(), piece.size()});
      text.remove_prefix(piece.size());
    }
  }

  TransactionKey finish() {
    compress();
    return {key_[0], key_[1]};
  }

 private:
  // The two halves differ in the last byte of what is hashed.
  void compress() {
    const Bytes block = Bytes{block_}.first(size_ + 1);
    block_[size_] = 0;
    const std::uint64_t high = keyed_hash(key_, block);
    block_[size_] = 1;
    key_ = {high, keyed_hash(key_, block)};
    size_ = 0;
  }

  HashKey key_;
  std::array<std::uint8_t, 256> block_;
  std::size_t size_ = 0;  // size_ < block_.size()
};

}  // namespace

bool has_magic_cookie(std::string_view branch) {
  return ascii::starts_with_ignoring_case(branch, "z9hG4bK");
}

TransactionKey transaction_key(const HashKey& key, const RequestIdentity& request) {
  Absorber absorber(key);
  absorber.text(request.method == "ACK" ? "INVITE" : request.method);
  if (has_magic_cookie(request.branch)) {
    // Branches are compared byte for byte although tokens ignore case: who writes random ones in
    // mixed case means them to differ, and nobody changes the case of a branch on its way.
    absorber.text(request.branch);
    absorber.text_ignoring_case(request.sent_by);
    return absorber.finish();
  }
  absorber.text(request.call_id);
  absorber.text(request.from_tag);
  absorber.text(request.top_via);
  absorber.text(request.request_uri);
  absorber.number(request.cseq);
  return absorber.finish();
}

}  // namespace ringway::transaction
