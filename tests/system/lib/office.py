"""The usual set-up: Kamailio as registrar with digest authentication, rtpengine, and the gateway before them."""


from .case import plain_tls


class Office:
    """users register at Kamailio through the gateway; "phone" is a plain SIP phone played by the test."""

    def __init__(self, t, *transports, path=True, hop="udp", phone_frequency=700, binding=None, timers=None,
                 gruu=False, **top):
        self.t = t
        self.phone = t.backend(name="phone")
        self.audio = t.phone(frequency=phone_frequency)
        self.rtpengine = t.rtpengine()
        pair = t.certificate("pbx.test", names=["DNS:pbx.test", "IP:127.0.0.1"])
        self.kamailio = t.kamailio(forwards={"phone": self.phone.uri()}, path=path, gruu=gruu,
                                   transports=("udp", "tcp", "tls"), certificate=pair[:2])
        plain = [name for name in transports or ("wss",) if name != "tls"]
        self.gateway = t.gateway(*plain, network=("udp", "tcp", "tls"), start=False, **top)
        if "tls" in transports:
            chain, key, _ = self.gateway.certificate
            self.gateway.listen("tls", certificate=str(chain), key=str(key), **plain_tls(self.gateway))
        options = {"tls_ca": str(t.authority.certificate), "tls_name_check": "off"} if hop == "tls" else {}
        if binding:
            options["binding"] = binding
        self.gateway.next_hop(self.kamailio.uri(hop), **options)
        self.gateway.config["media"] = {"rtpengine": [self.rtpengine.address]}
        if timers:
            self.gateway.config["timers"].update(timers)
        self.gateway.start()
        self.server = "wss://127.0.0.1:%d" % self.gateway.listeners.get("access-wss", ("", 0))[1]

    # ---- the phone -----------------------------------------------------------------------------

    def phone_answers(self, ring=True, timeout=10):
        """Takes an INVITE, rings, answers with audio; returns the phone's dialog."""
        invite = self.phone.expect("INVITE", timeout)
        if ring:
            self.phone.reply(invite, 180)
        answer = self.phone.reply(invite, 200, body=self.audio.answer(invite.body))
        self.phone.expect("ACK", timeout)
        self.invite = invite
        return self.phone.dialog(invite, answer)

    def phone_calls(self, user="alice", body=None):
        """Sends an INVITE to a registered user; returns it."""
        invite = self.phone.build("INVITE", f"sip:{user}@example.test",
                                  body=self.audio.sdp() if body is None else body)
        return self.phone.send_to(self.kamailio.uri("udp"), invite)

    def phone_called_back(self, invite, timeout=15):
        """Waits for the 200 to the phone's INVITE, acknowledges, aims the audio; returns the dialog."""
        answer = self.phone.response(200, timeout, to=invite)
        if answer.body:
            self.audio.aim(answer.body)
        dialog = self.phone.caller_dialog(invite, answer)
        dialog.request("ACK", cseq=invite.cseq[0])
        return dialog

    def phone_reinvites(self, dialog, body, timeout=10):
        """A re-INVITE from the phone; returns the answer."""
        sent = dialog.request("INVITE", body=body)
        answer = self.phone.response(200, timeout, to=sent)
        dialog.request("ACK", cseq=sent.cseq[0])
        return answer

    def phone_takes_reinvite(self, direction, timeout=10):
        invite = self.phone.expect("INVITE", timeout)
        self.phone.reply(invite, 200, body=self.audio.answer(invite.body, direction, version=2))
        self.phone.expect("ACK", timeout)
        return invite

    def both_hear(self, page, page_frequency=440):
        self.audio.expect_tone(page_frequency)
        page.expect_tone(self.audio.frequency)

    def page_released(self, page):
        page.event("ended")

    def nothing_left(self, timeout=10):
        """No media session, at the gateway and at rtpengine."""
        from .waiting import until
        until(lambda: self.gateway.metric("ringway_media_sessions") == 0, timeout, "no media session")
        until(lambda: not self.rtpengine.sessions(), timeout, "rtpengine holds no call")

    def client(self, transport, user="alice", **options):
        return self.t.client(self.gateway, transport, user, **options)

    def register(self, client, **options):
        """Registers with digest; returns the 200."""
        from .kamailio import digest
        call_id = options.pop("call_id", None) or client.user + str(id(client))
        cseq = options.pop("cseq", 1)
        first = client.register(call_id=call_id, cseq=cseq, **options)
        assert first.status == 401, first
        credentials = digest(first.get("WWW-Authenticate"), "REGISTER", "sip:example.test", client.user,
                             self.kamailio.password)
        got = client.register(call_id=call_id, cseq=cseq + 1, headers=[("Authorization", credentials)], **options)
        assert got.status == 200, got
        return got

    def invite(self, client, uri, **options):
        """An INVITE with the answer to the 407; returns it, on its way."""
        from . import sip
        from .kamailio import digest
        options.setdefault("body", sip.webrtc_sdp() if client.flow.transport in ("WS", "WSS") else sip.sdp())
        first = client.invite(uri, **options)
        challenge = client.final(first)
        assert challenge.status == 407, challenge
        ack = sip.Message(f"ACK {first.uri} SIP/2.0")
        for name in ("Via", "Max-Forwards", "From", "Call-ID"):
            ack.add(name, first.get(name))
        ack.add("To", challenge.get("To")).add("CSeq", "1 ACK")
        client.flow.send(ack)
        credentials = digest(challenge.get("Proxy-Authenticate"), "INVITE", uri, client.user, self.kamailio.password)
        return client.invite(uri, call_id=first.call_id, from_tag=first.from_.tag, cseq=2,
                             headers=[("Proxy-Authorization", credentials)], **options)
