"""A STUN Binding request and its answer (RFC 8489)."""

import ipaddress
import os
import struct

COOKIE = 0x2112A442


def binding_request(software=0):
    """software: bytes of a SOFTWARE attribute (RFC 8489 14.14), a multiple of four; 0: none."""
    identity = os.urandom(12)
    attribute = struct.pack("!HH", 0x8022, software - 4) + b"s" * (software - 4) if software else b""
    return identity, struct.pack("!HHI", 1, len(attribute), COOKIE) + identity + attribute


def mapped_address(data, identity):
    """The XOR-MAPPED-ADDRESS of a success response, as (ip, port)."""
    kind, size, cookie = struct.unpack("!HHI", data[:8])
    assert kind == 0x0101, f"not a Binding success: {kind:#x}"
    assert cookie == COOKIE and data[8:20] == identity and size == len(data) - 20 and size % 4 == 0
    offset = 20
    while offset < len(data):
        attribute, length = struct.unpack("!HH", data[offset:offset + 4])
        value = data[offset + 4:offset + 4 + length]
        if attribute == 0x0020:
            port = struct.unpack("!H", value[2:4])[0] ^ (COOKIE >> 16)
            key = struct.pack("!I", COOKIE) + identity
            address = bytes(a ^ b for a, b in zip(value[4:], key))
            return str(ipaddress.ip_address(address)), port
        offset += 4 + (length + 3) // 4 * 4
    raise AssertionError("no XOR-MAPPED-ADDRESS")
