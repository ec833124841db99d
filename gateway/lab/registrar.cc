#include "gateway/lab/registrar.h"

#include <algorithm>
#include <cstdlib>
#include <random>

#include "gateway/lab/journal.h"
#include "protocol/base/ascii.h"

namespace ringway::lab {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kExpiresDefault = 600;  // seconds
constexpr std::uint32_t kExpiresMax = 3600;
constexpr std::int64_t kNonceLife = 300;
constexpr std::size_t kBindingsMax = 32;  // for one user

std::string_view text_of(const char* text) {
  return text != nullptr ? text : "";
}

std::string md5(std::string_view text) {
  su_md5_t context;
  char digest[2 * SU_MD5_DIGEST_SIZE + 1];
  su_md5_init(&context);
  su_md5_update(&context, text.data(), static_cast<usize_t>(text.size()));
  su_md5_hexdigest(&context, digest);
  return digest;
}

// "<urn:uuid:...>" in quotes, as RFC 5626 4.1 writes it, becomes urn:uuid:...
std::string_view strip_instance(std::string_view text) {
  while (!text.empty() && (text.front() == '"' || text.front() == '<')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == '"' || text.back() == '>')) text.remove_suffix(1);
  return text;
}

// A value of a route-like header as text, without the header name.
std::string value_text(const void* header) {
  char memory[2048];
  const issize_t size =
      sip_header_field_e(memory, sizeof memory, static_cast<const sip_header_t*>(header), 0);
  if (size <= 0 || size >= static_cast<issize_t>(sizeof memory)) return "";
  return std::string(memory, static_cast<std::size_t>(size));
}

std::string url_text(const url_t* url) {
  char memory[1024];
  const issize_t size = url_e(memory, sizeof memory, url);
  if (size <= 0 || size >= static_cast<issize_t>(sizeof memory)) return "";
  return std::string(memory, static_cast<std::size_t>(size));
}

std::uint32_t expires_of(const sip_t& sip, const sip_contact_t& contact) {
  if (contact.m_expires != nullptr) {
    // Malformed values count as the default (RFC 3261 10.3 step 6).
    return std::min(ascii::parse_number(contact.m_expires, UINT32_MAX).value_or(kExpiresDefault),
                    kExpiresMax);
  }
  if (sip.sip_expires == nullptr) return kExpiresDefault;
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(sip.sip_expires->ex_delta, kExpiresMax));
}

std::int64_t seconds_left(const Binding& binding) {
  return std::chrono::duration_cast<std::chrono::seconds>(binding.expires - Clock::now() +
                                                          std::chrono::milliseconds(999))
      .count();
}

void drop_expired(std::vector<Binding>& bindings) {
  std::erase_if(bindings, [](const Binding& binding) { return binding.expires <= Clock::now(); });
}

}  // namespace

Registrar::Registrar(Options options) : options_(std::move(options)) {
  std::random_device random;
  for (int i = 0; i < 8; ++i) secret_ += std::to_string(random());
}

void Registrar::handle(nta_agent_t* agent, msg_t* msg, sip_t* sip) {
  nta_incoming_t* incoming = nta_incoming_create(agent, nullptr, msg, sip, TAG_END());
  if (incoming == nullptr) return;
  const std::string user(text_of(sip->sip_to->a_url->url_user));
  const Verdict verdict = authenticate(*sip);
  if (user.empty()) {
    nta_incoming_treply(incoming, 400, "Whose registration?", TAG_END());
  } else if (verdict == Verdict::Challenge || verdict == Verdict::StaleNonce) {
    nta_incoming_treply(incoming, SIP_401_UNAUTHORIZED,
                        SIPTAG_WWW_AUTHENTICATE_STR(make_challenge(verdict).c_str()), TAG_END());
  } else if (verdict == Verdict::Forbidden) {
    nta_incoming_treply(incoming, SIP_403_FORBIDDEN, TAG_END());
  } else {
    std::vector<Binding> bindings = find(user, "");
    if (!update(*sip, bindings)) {
      nta_incoming_treply(incoming, 500, "Out Of Order", TAG_END());
    } else {
      users_[user] = bindings;
      answer(incoming, *sip, bindings);
      write_event(JsonLine("registered")
                      .add("user", user)
                      .add("bindings", bindings.size())
                      .add("contact", bindings.empty() ? "" : bindings.front().contact)
                      .add("path", bindings.empty() || bindings.front().path.empty()
                                       ? ""
                                       : bindings.front().path.front()));
    }
  }
  nta_incoming_destroy(incoming);
}

// RFC 3261 10.3 step 7: all contacts or none. false: this request is older than what we have.
bool Registrar::update(const sip_t& sip, std::vector<Binding>& bindings) {
  const std::string call_id(text_of(sip.sip_call_id->i_id));
  const std::uint32_t cseq = sip.sip_cseq->cs_seq;
  std::vector<std::string> path;
  for (const sip_path_t* value = sip.sip_path; value != nullptr; value = value->r_next) {
    path.push_back(value_text(value));
  }
  for (const sip_contact_t* contact = sip.sip_contact; contact != nullptr;
       contact = contact->m_next) {
    if (contact->m_url->url_type == url_any) {
      bindings.clear();
      continue;
    }
    Binding next;
    next.contact = url_text(contact->m_url);
    next.instance =
        strip_instance(text_of(msg_header_find_param(contact->m_common, "+sip.instance=")));
    next.path = path;
    next.call_id = call_id;
    next.cseq = cseq;
    const std::uint32_t expires = expires_of(sip, *contact);
    next.expires = Clock::now() + std::chrono::seconds(expires);

    // A binding is the same if the URI is, or if one instance comes back with a new URI.
    const auto same = [&](const Binding& old) {
      return old.contact == next.contact ||
             (!next.instance.empty() && old.instance == next.instance);
    };
    for (const Binding& old : bindings) {
      if (same(old) && old.call_id == call_id && old.cseq >= cseq) return false;
    }
    std::erase_if(bindings, same);
    if (expires > 0) bindings.insert(bindings.begin(), std::move(next));
  }
  if (bindings.size() > kBindingsMax) bindings.resize(kBindingsMax);
  return true;
}

void Registrar::answer(nta_incoming_t* incoming, const sip_t& sip,
                       const std::vector<Binding>& bindings) {
  const bool wants_gruu =
      options_.gruu && sip.sip_supported != nullptr && sip_has_feature(sip.sip_supported, "gruu");
  std::string contacts;
  for (const Binding& binding : bindings) {
    if (!contacts.empty()) contacts += ", ";
    contacts += "<" + binding.contact + ">;expires=" + std::to_string(seconds_left(binding));
    if (binding.instance.empty()) continue;
    contacts += ";+sip.instance=\"<" + binding.instance + ">\"";
    if (!wants_gruu) continue;
    contacts += ";pub-gruu=\"sip:" + std::string(sip.sip_to->a_url->url_user) + "@" +
                std::string(text_of(sip.sip_to->a_url->url_host)) + ";gr=" + binding.instance +
                "\"";
  }
  std::string path;
  for (const sip_path_t* value = sip.sip_path; value != nullptr; value = value->r_next) {
    if (!path.empty()) path += ", ";
    path += value_text(value);
  }
  nta_incoming_treply(incoming, SIP_200_OK,
                      TAG_IF(!contacts.empty(), SIPTAG_CONTACT_STR(contacts.c_str())),
                      TAG_IF(!path.empty(), SIPTAG_PATH_STR(path.c_str())),
                      SIPTAG_SUPPORTED_STR("path, gruu"), TAG_END());
}

Registrar::Verdict Registrar::authenticate(const sip_t& sip) const {
  if (options_.password.empty()) return Verdict::Accepted;
  const sip_authorization_t* header = sip.sip_authorization;
  while (header != nullptr && !ascii::equal_ignoring_case(text_of(header->au_scheme), "Digest")) {
    header = header->au_next;
  }
  if (header == nullptr || header->au_params == nullptr) return Verdict::Challenge;

  su_home_t home[1] = {SU_HOME_INIT(home)};
  auth_response_t response{};
  response.ar_size = sizeof response;
  auth_hexmd5_t ha1 = "";
  auth_hexmd5_t expected = "";
  Verdict verdict = Verdict::Challenge;
  bool fresh = false;
  if (auth_digest_response_get(home, &response, header->au_params) > 0 &&
      text_of(response.ar_realm) == options_.realm &&
      nonce_is_ours(text_of(response.ar_nonce), fresh) && response.ar_username != nullptr &&
      response.ar_uri != nullptr && response.ar_response != nullptr) {
    auth_digest_a1(&response, ha1, options_.password.c_str());
    auth_digest_response(&response, expected, ha1, sip.sip_request->rq_method_name, nullptr, 0);
    const bool right = ascii::equal_ignoring_case(text_of(response.ar_response), expected) &&
                       text_of(response.ar_username) == text_of(sip.sip_to->a_url->url_user);
    verdict = !right ? Verdict::Forbidden : fresh ? Verdict::Accepted : Verdict::StaleNonce;
  }
  su_home_deinit(home);
  return verdict;
}

std::string Registrar::make_challenge(Verdict verdict) const {
  const std::int64_t now =
      std::chrono::duration_cast<std::chrono::seconds>(Clock::now().time_since_epoch()).count();
  std::string challenge = "Digest realm=\"" + options_.realm + "\", nonce=\"" + make_nonce(now) +
                          "\", algorithm=MD5, qop=\"auth\"";
  if (verdict == Verdict::StaleNonce) challenge += ", stale=true";
  return challenge;
}

std::string Registrar::make_nonce(std::int64_t second) const {
  const std::string time = std::to_string(second);
  return time + "." + md5(time + secret_);
}

bool Registrar::nonce_is_ours(std::string_view nonce, bool& fresh) const {
  const std::int64_t made =
      std::strtoll(std::string(nonce.substr(0, nonce.find('.'))).c_str(), nullptr, 10);
  const std::int64_t now =
      std::chrono::duration_cast<std::chrono::seconds>(Clock::now().time_since_epoch()).count();
  fresh = now - made <= kNonceLife;
  return made <= now && nonce == make_nonce(made);
}

std::vector<Binding> Registrar::find(std::string_view user, std::string_view instance) {
  const auto entry = users_.find(user);
  if (entry == users_.end()) return {};
  drop_expired(entry->second);
  std::vector<Binding> found = entry->second;
  if (!instance.empty()) {
    std::erase_if(found, [&](const Binding& binding) { return binding.instance != instance; });
  }
  return found;
}

void Registrar::remove(std::string_view user, std::string_view contact) {
  const auto entry = users_.find(user);
  if (entry == users_.end()) return;
  std::erase_if(entry->second, [&](const Binding& binding) { return binding.contact == contact; });
}

}  // namespace ringway::lab
