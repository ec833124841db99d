#include "gateway/config/validate_web.h"

#include <string>
#include <string_view>

#include "protocol/base/ascii.h"

namespace ringway {
namespace {

// scheme "://" host [ ":" port ], as browsers write it, or null (RFC 6454 6.1, 7.1).
bool is_origin(std::string_view text) {
  if (ascii::equal_ignoring_case(text, "null")) return true;
  const std::size_t scheme = text.find("://");
  if (scheme == text.npos || scheme == 0 || scheme + 3 == text.size()) return false;
  return text.substr(scheme + 3).find_first_of("/?#@,* \t") == text.npos;
}

// A name, an IPv4 address, or an IPv6 address in brackets.
bool is_host(std::string_view text) {
  if (text.empty() || text.find_first_of("/?#@,* \t") != text.npos) return false;
  if (text.front() == '[') return text.find(']') == text.size() - 1;
  return text.find(':') == text.npos;
}

void check_host(const std::string& host, const std::string& path, const AddMistake& add) {
  if (is_host(host)) return;
  add(path, "\"" + host +
                "\" is no host: write the name alone, without scheme and port, like "
                "\"gateway.example.org\"");
}

}  // namespace

void validate_admin_names(const AdminConfig& admin, const AddMistake& add) {
  for (std::size_t i = 0; i < admin.names.size(); ++i) {
    check_host(admin.names[i], "admin.names[" + std::to_string(i) + "]", add);
  }
}

void validate_web(const ListenConfig& listen, const std::string& path, const AddMistake& add) {
  for (std::size_t i = 0; i < listen.origins.size(); ++i) {
    if (is_origin(listen.origins[i])) continue;
    add(path + ".origins[" + std::to_string(i) + "]",
        "\"" + listen.origins[i] +
            "\" is no origin as browsers send it: scheme and host, with the port if it is not the "
            "scheme's own, and nothing behind, like \"https://phone.example.org\"");
  }
  for (std::size_t i = 0; i < listen.hosts.size(); ++i) {
    check_host(listen.hosts[i], path + ".hosts[" + std::to_string(i) + "]", add);
  }
  if (listen.path.find_first_of("?# \t") != listen.path.npos) {
    add(path + ".path", "path ends before a \"?\": what follows it is not compared");
  }
}

}  // namespace ringway
