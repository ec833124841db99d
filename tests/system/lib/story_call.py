"""Both user agents of one call through the SIP server at 127.0.0.1:5060, for tests that run it in a network
namespace: story_call.py OFFER_FILE ANSWER_FILE NUMBER. Prints setup_ms=, from INVITE to the 200 at the caller, and
bye_ms=, from the BYE that leaves the caller to its 200: the SIP server deletes the media session in between."""

import re
import socket
import sys
import time


def take(sock, wanted, timeout):
    end = time.monotonic() + timeout
    while True:
        sock.settimeout(max(0.01, end - time.monotonic()))
        text, _ = sock.recvfrom(65536)
        text = text.decode()
        if wanted(text):
            return text


def header(text, name):
    return re.search(rf"^{name}:[ \t]*(.*?)\r$", text, re.M | re.I).group(1)


def headers(text, name):
    return re.findall(rf"^{name}:[ \t]*(.*?)\r$", text, re.M | re.I)


def answer(request, body=""):
    lines = ["SIP/2.0 200 OK"] + [f"Via: {via}" for via in headers(request, "Via")]
    lines += [f"Record-Route: {route}" for route in headers(request, "Record-Route")]
    to = header(request, "To")
    lines += [f"From: {header(request, 'From')}", f"To: {to}" + ("" if "tag=" in to else ";tag=callee"),
              f"Call-ID: {header(request, 'Call-ID')}", f"CSeq: {header(request, 'CSeq')}",
              "Contact: <sip:callee@127.0.0.1:5070>"]
    if body:
        lines.append("Content-Type: application/sdp")
    return "\r\n".join(lines + [f"Content-Length: {len(body)}", "", body]).encode()


def main(offer_file, answer_file, number):
    offer, reply = (open(name, newline="").read() for name in (offer_file, answer_file))
    caller, callee = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    caller.bind(("127.0.0.1", 5080))
    callee.bind(("127.0.0.1", 5070))
    server = ("127.0.0.1", 5060)
    call_id = f"story-{time.monotonic_ns()}-{number}"

    def request(method, cseq, to, routes=(), body=""):
        lines = [f"{method} sip:callee@127.0.0.1:5070 SIP/2.0",
                 f"Via: SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bK{call_id}{cseq}{method}"]
        lines += [f"Route: {route}" for route in routes]
        lines += ["From: <sip:caller@example.test>;tag=caller", f"To: {to}", f"Call-ID: {call_id}",
                  f"CSeq: {cseq} {method}", "Max-Forwards: 70", "Contact: <sip:caller@127.0.0.1:5080>"]
        if body:
            lines.append("Content-Type: application/sdp")
        return "\r\n".join(lines + [f"Content-Length: {len(body)}", "", body]).encode()

    began = time.monotonic()
    caller.sendto(request("INVITE", 1, "<sip:callee@example.test>", body=offer), server)
    invite = take(callee, lambda text: text.startswith("INVITE") and call_id in text, 40)
    callee.sendto(answer(invite, reply), server)
    ok = take(caller, lambda text: text.startswith("SIP/2.0 200") and call_id in text, 40)
    setup = time.monotonic() - began
    routes = headers(ok, "Record-Route")[::-1]
    caller.sendto(request("ACK", 1, header(ok, "To"), routes), server)
    take(callee, lambda text: text.startswith("ACK") and call_id in text, 10)
    began = time.monotonic()
    caller.sendto(request("BYE", 2, header(ok, "To"), routes), server)
    bye = take(callee, lambda text: text.startswith("BYE") and call_id in text, 40)
    callee.sendto(answer(bye), server)
    take(caller, lambda text: text.startswith("SIP/2.0 200") and "BYE" in header(text, "CSeq"), 10)
    print(f"setup_ms={setup * 1000:.1f} bye_ms={(time.monotonic() - began) * 1000:.1f}")


main(*sys.argv[1:4])
