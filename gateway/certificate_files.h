#pragma once

#include <expected>
#include <string>
#include <vector>

namespace ringway {

struct CertificateFiles {
  std::string chain, key;
};

enum class Overwrite : bool { No, Yes };

// Makes a self-signed certificate and its key, directory/certificate.pem and key.pem. Each is
// written beside its place, synced and renamed, so that what is there is either the old or the new
// whole; the key is readable by its owner alone from the first byte.
//
// Errors: one line with what to do. Files that exist are left alone unless overwrite says so.
[[nodiscard]] std::expected<CertificateFiles, std::string> make_certificate_files(
    const std::string& directory, const std::vector<std::string>& names, Overwrite overwrite);

}  // namespace ringway
