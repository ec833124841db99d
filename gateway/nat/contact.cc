#include "gateway/nat/contact.h"

#include <array>

#include "gateway/nat/base64url.h"

namespace ringway {
namespace {

constexpr std::size_t kOriginalMax = 600;

// What the signature of an alias covers beside the token: user and original.
std::string_view write_scope(std::string_view user, std::string_view original, Writer& out) {
  out.text(user).character('@').text(original);
  return out.written_text();
}

// Everything of the URI but scheme and user: from the host to the end.
std::string_view behind_user(const sip::Uri& uri) {
  std::string_view text = uri.text.substr(uri.scheme_text.size() + 1);
  if (uri.has_user) text.remove_prefix(text.find('@', uri.user.size()) + 1);
  return text;
}

}  // namespace

bool write_contact_alias(const sip::Uri& contact, const FlowToken& token, ListenerIndex listener,
                         const OwnUris& own, const tls::Mac& mac, Writer& out) {
  const std::string_view original = behind_user(contact);
  if (original.size() > kOriginalMax) return false;
  std::array<std::uint8_t, kOriginalMax + sip::kUriBytesMax> scope_memory;
  Writer scope(scope_memory);
  write_scope(contact.user, original, scope);
  std::array<std::uint8_t, sip::kUriBytesMax> memory;
  Writer alias(memory);
  alias.text(contact.scheme_text).character(':');
  // A password, if any, stays with the user.
  const std::string_view text = contact.text.substr(contact.scheme_text.size() + 1);
  alias.text(text.substr(0, text.size() - original.size()));
  alias.text(own.host_port_transport(listener)).text(";rwc=");
  write_flow_token(token, mac, scope.written_text(), alias);
  alias.text(";rwo=");
  write_base64url(as_bytes(original), alias);
  if (alias.overflowed()) return false;
  out.text(alias.written_text());
  return true;
}

std::optional<ContactAlias> undo_contact_alias(const sip::Uri& uri, const OwnUris& own,
                                               const tls::Mac& mac, Writer& scratch) {
  const auto token_text = uri.param("rwc");
  if (!token_text || !own.is_own(uri)) return std::nullopt;
  ContactAlias alias;
  if (looks_like_old_flow_token(*token_text)) {
    alias.outdated = true;
    return alias;
  }
  const auto original_text = uri.param("rwo");
  std::array<std::uint8_t, kOriginalMax> memory;
  const std::size_t size = original_text ? read_base64url(*original_text, memory) : 0;
  const std::string_view original = as_text(Bytes(memory).first(size));
  std::array<std::uint8_t, kOriginalMax + sip::kUriBytesMax> scope_memory;
  Writer scope(scope_memory);
  write_scope(uri.user, original, scope);
  const auto token =
      size == 0 ? std::nullopt : read_flow_token(*token_text, mac, scope.written_text());
  if (!token || token->kind != FlowToken::Kind::Contact) {
    alias.refused = true;
    return alias;
  }
  alias.token = *token;
  const std::size_t before = scratch.size();
  const std::string_view text = uri.text;
  const std::string_view behind = behind_user(uri);
  scratch.text(text.substr(0, text.size() - behind.size())).text(original);
  alias.uri = scratch.written_text().substr(before);
  return alias;
}

}  // namespace ringway
