"""Certificates for tests, made by the openssl program: an authority and whatever it signs."""

import subprocess
from pathlib import Path


def _openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"openssl {arguments[0]}: {done.stderr}")


class Authority:
    """A certificate authority in a directory of its own."""

    def __init__(self, directory, name="Test Authority"):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.certificate, self.key = self.directory / "ca.pem", self.directory / "ca.key"
        self.serial = 1000
        self.revoked = []
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-keyout", self.key, "-out", self.certificate, "-days", "30", "-subj", f"/CN={name}",
                 "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, name, *, names=(), kind="ec", usage="serverAuth,clientAuth", common=None,
              days=30):
        """Signs a certificate; names are subjectAltName entries like DNS:a.test. Returns (chain, key, serial)."""
        stem = self.directory / name
        chain, key, request = stem.with_suffix(".pem"), stem.with_suffix(".key"), stem.with_suffix(".csr")
        algorithm = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" \
            else ["-newkey", "rsa:2048"]
        _openssl("req", "-new", *algorithm, "-nodes", "-keyout", key, "-out", request,
                 "-subj", f"/CN={common or name}")
        extensions = stem.with_suffix(".ext")
        lines = ["basicConstraints=CA:FALSE", f"extendedKeyUsage={usage}"]
        if names:
            lines.append("subjectAltName=" + ",".join(names))
        extensions.write_text("\n".join(lines) + "\n")
        self.serial += 1
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-set_serial",
                 self.serial, "-days", str(days), "-out", chain, "-extfile", extensions)
        return chain, key, self.serial

    def crl(self, path, revoked=(), days=30):
        """Writes a revocation list with those serial numbers, which is good for so long."""
        index, config = self.directory / "index.txt", self.directory / "ca.cnf"
        index.write_text("".join(f"R\t361231235959Z\t250101000000Z\t{serial:04X}\tunknown\t/CN=x\n"
                                 for serial in revoked))
        number = self.directory / "crlnumber"
        number.write_text("01\n")
        config.write_text(f"[ca]\ndefault_ca=one\n[one]\ndatabase={index}\ncrlnumber={number}\n"
                          "default_md=sha256\ndefault_crl_days=30\n")
        _openssl("ca", "-config", config, "-gencrl", "-crlsec", str(int(days * 86400)), "-keyfile", self.key, "-cert", self.certificate, "-out", path)


def fingerprint_of(der):
    import hashlib
    return hashlib.sha256(der).hexdigest()
