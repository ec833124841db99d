#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tls/certificate.h"
#include "tls/context.h"

typedef struct evp_pkey_st EVP_PKEY;
typedef struct x509_st X509;

namespace ringway::tls::test {

// A certification authority that lives for one test.
class Authority {
 public:
  struct Order {
    std::string common_name;
    std::string
        alternative_names{};    // in OpenSSL's form: "DNS:a.test,URI:sip:b.test"; may be empty
    const char* key = "P-256";  // or "RSA"
    long valid_from = -3600;    // seconds from now
    long valid_until = 86400;
    const char* purpose = "serverAuth,clientAuth";
    long serial = 1000;
  };

  explicit Authority(const std::string& name = "Test CA");
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  Pem pem() const;
  KeyPair issue(const Order& order) const;
  // For one DNS name.
  KeyPair issue_for(const std::string& dns_name) const {
    return issue({.common_name = dns_name, .alternative_names = "DNS:" + dns_name});
  }
  Pem revoke(const std::vector<long>& serials, long next_update = 86400) const;

 private:
  EVP_PKEY* key_;
  X509* certificate_;
};

}  // namespace ringway::tls::test
