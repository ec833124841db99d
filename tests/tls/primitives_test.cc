#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tls/base64.h"
#include "tls/digest.h"
#include "tls/mac.h"
#include "tls/random.h"

namespace ringway::tls {
namespace {

template <std::size_t kSize>
std::string hex(const std::array<std::uint8_t, kSize>& bytes) {
  std::array<std::uint8_t, 2 * kSize> memory;
  Writer out(memory);
  for (const std::uint8_t byte : bytes) out.hex(byte, 2);
  return std::string(out.written_text());
}

TEST(Digest, KnownValues) {
  EXPECT_EQ(hex(md5(as_bytes("abc"))), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(hex(sha1(as_bytes("abc"))), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hex(sha256(as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(md5({})), "d41d8cd98f00b204e9800998ecf8427e");
}

TEST(Base64, WebSocketAcceptOfRfc6455) {
  std::array<std::uint8_t, 64> memory;
  Writer out(memory);
  write_base64(out, sha1(as_bytes("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11")),
               Base64::Standard);
  EXPECT_EQ(out.written_text(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(Base64, VectorsOfRfc4648AndBack) {
  const struct {
    std::string_view plain, standard, url;
  } kCases[] = {
      {"", "", ""},
      {"f", "Zg==", "Zg"},
      {"fo", "Zm8=", "Zm8"},
      {"foo", "Zm9v", "Zm9v"},
      {"foob", "Zm9vYg==", "Zm9vYg"},
      {"fooba", "Zm9vYmE=", "Zm9vYmE"},
      {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
      {"\xfb\xff\xfe", "+//+", "-__-"},
  };
  for (const auto& each : kCases) {
    for (const Base64 alphabet : {Base64::Standard, Base64::Url}) {
      const std::string_view text = alphabet == Base64::Standard ? each.standard : each.url;
      std::array<std::uint8_t, 16> memory;
      Writer out(memory);
      write_base64(out, as_bytes(each.plain), alphabet);
      EXPECT_EQ(out.written_text(), text);
      EXPECT_EQ(base64_size(each.plain.size(), alphabet), text.size());
      std::vector<std::uint8_t> decoded(each.plain.size());
      const auto size = decode_base64(text, alphabet, decoded);
      ASSERT_EQ(size, each.plain.size()) << text;
      EXPECT_EQ(as_text(decoded), each.plain);
      if (!decoded.empty()) {
        EXPECT_FALSE(decode_base64(text, alphabet, MutableBytes(decoded).subspan(1)).has_value());
      }
    }
  }
}

TEST(Base64, Refused) {
  std::array<std::uint8_t, 16> memory;
  for (const std::string_view text :
       {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "-__-", "Z g="}) {
    EXPECT_FALSE(decode_base64(text, Base64::Standard, memory).has_value()) << text;
  }
  for (const std::string_view text : {"Z", "Zh", "Zm9", "Zg==", "+//+", "Zm9vY"}) {
    EXPECT_FALSE(decode_base64(text, Base64::Url, memory).has_value()) << text;
  }
}

TEST(Mac, Rfc4231) {
  MacKey key{};
  std::fill_n(key.begin(), 20, std::uint8_t{0x0b});  // case 1; zeros behind change nothing
  EXPECT_EQ(hex(Mac(key).sign(as_bytes("Hi There"))), "b0344c61d8db38535ca8afceaf0bf12b");
  key = {'J', 'e', 'f', 'e'};
  EXPECT_EQ(hex(Mac(key).sign({as_bytes("what do ya want "), as_bytes("for nothing?")})),
            "5bdcc146bf60754e6a042426089575c7");
}

TEST(Mac, VerifyAndTruncation) {
  const Mac mac(random_bytes<32>());
  const std::string data(200, 'x');
  MacTag tag = mac.sign(as_bytes(data));
  EXPECT_TRUE(mac.verify(tag, {as_bytes(data)}));
  EXPECT_TRUE(
      mac.verify(Bytes(tag).first(8), {as_bytes(data).first(70), as_bytes(data).subspan(70)}));
  EXPECT_FALSE(mac.verify(Bytes(tag).first(7), {as_bytes(data)}));
  EXPECT_FALSE(mac.verify({}, {as_bytes(data)}));
  for (std::uint8_t& byte : tag) {
    byte ^= 0x80;
    EXPECT_FALSE(mac.verify(tag, {as_bytes(data)}));
    byte ^= 0x80;
  }
  EXPECT_FALSE(Mac(random_bytes<32>()).verify(tag, {as_bytes(data)}));
  EXPECT_TRUE(equal_in_constant_time({}, {}));
  EXPECT_FALSE(equal_in_constant_time(as_bytes("ab"), as_bytes("abc")));
}

TEST(Mac, FieldsAndTextCountEachByItself) {
  const Mac mac(MacKey{1}), other(MacKey{2});
  const auto sign = [&](const Mac& with, std::string_view fields, std::string_view text) {
    return with.sign_fields(as_bytes(fields), as_bytes(text));
  };
  const MacTag tag = sign(mac, "fields", "text");
  EXPECT_EQ(sign(mac, "fields", "text"), tag);
  EXPECT_TRUE(mac.verify_fields(tag, as_bytes("fields"), as_bytes("text")));
  EXPECT_TRUE(mac.verify_fields(Bytes(tag).first(8), as_bytes("fields"), as_bytes("text")));
  EXPECT_FALSE(mac.verify_fields(Bytes(tag).first(7), as_bytes("fields"), as_bytes("text")));
  // Bytes do not move from one to the other, zeros at the end count, and so does the key.
  using namespace std::string_view_literals;
  for (const auto& [fields, text] :
       {std::pair("field"sv, "stext"sv), {"fieldst"sv, "ext"sv}, {"fields\0"sv, "text"sv},
        {"fields"sv, "text\0"sv}, {"fields"sv, ""sv}, {""sv, "text"sv}, {"Fields"sv, "text"sv}}) {
    EXPECT_NE(sign(mac, fields, text), tag) << fields << ' ' << text;
    EXPECT_FALSE(mac.verify_fields(tag, as_bytes(fields), as_bytes(text)));
  }
  EXPECT_NE(sign(other, "fields", "text"), tag);
  // It is a construction of its own: what sign() gives for the same bytes says nothing about it.
  EXPECT_NE(mac.sign({as_bytes("fields"), as_bytes("text")}), tag);
  const std::string most(Mac::kFieldBytesMax, 'f'), call_id(300, 'c');
  EXPECT_NE(sign(mac, most, call_id), sign(mac, most, call_id + "c"));
  EXPECT_NE(sign(mac, most, call_id), sign(mac, most.substr(1) + "g", call_id));
}

TEST(Random, Differs) {
  EXPECT_NE(random_bytes<16>(), random_bytes<16>());
}

TEST(Mac, HideShowsAgainUnderTheSameTagOnly) {
  const Mac mac(MacKey{1}), other(MacKey{2});
  std::array<std::uint8_t, 64> text{};
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<std::uint8_t>(i);
  const MacTag tag = mac.sign(text), another = mac.sign(as_bytes("another"));
  auto hidden = text;
  mac.hide(hidden, tag);
  // Each byte is changed or not by chance: far from all stay.
  EXPECT_LT(std::ranges::count(hidden, 0), 8);
  EXPECT_NE(hidden, text);
  for (const auto& [with, under] : {std::pair(&mac, &another), std::pair(&other, &tag)}) {
    auto wrong = hidden;
    with->hide(wrong, *under);
    EXPECT_NE(wrong, text);
  }
  // Both halves have a block of their own, and a short text is the front of a long one.
  std::array<std::uint8_t, 64> zeros{};
  mac.hide(zeros, tag);
  EXPECT_FALSE(std::equal(zeros.begin(), zeros.begin() + 32, zeros.begin() + 32));
  std::array<std::uint8_t, 5> front{0, 1, 2, 3, 4};
  mac.hide(front, Bytes(tag).first(12));
  EXPECT_TRUE(std::equal(front.begin(), front.end(), hidden.begin()));
  mac.hide(hidden, tag);
  EXPECT_EQ(hidden, text);
}

}  // namespace
}  // namespace ringway::tls
