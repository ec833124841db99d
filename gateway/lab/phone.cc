#include "gateway/lab/phone.h"

#include "gateway/lab/journal.h"

namespace ringway::lab {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kTickMs = 20;
constexpr std::chrono::milliseconds kGlareRetry{1500};

std::string_view text_of(const char* text) {
  return text != nullptr ? text : "";
}

std::string_view body_of(const sip_t* sip) {
  if (sip == nullptr || sip->sip_payload == nullptr) return "";
  return {sip->sip_payload->pl_data, sip->sip_payload->pl_len};
}

const Number& number_for(Source source) {
  return *find_number(source == Source::Echo ? "echo" : "tone");
}

}  // namespace

struct Phone::Call {
  unsigned id = 0;
  nua_handle_t* handle = nullptr;
  const Number* number = nullptr;
  std::string sip_call_id;
  std::string ended_by;  // "us", "peer" or empty
  int status = 0;        // final status of the INVITE, once there is one
  bool ringing = false;  // 180 was sent, 200 is due
  bool established = false;
  bool offer_is_ours = false;  // the answer will come in a 2xx or an ACK
  std::optional<RemoteAudio> remote;
  LocalAudio local;
  Direction wanted = Direction::SendReceive;  // differs from local.direction while we hold
  std::optional<Clock::time_point> due;       // of the next step of Phone::advance
  std::unique_ptr<AudioStream> audio;

  JsonLine line(std::string_view event) const {
    JsonLine out(event);
    out.add("call", id).add("number", number->number).add("call_id", sip_call_id);
    return out;
  }
};

Phone::Phone(su_root_t* root, Options options) : root_(root), options_(std::move(options)) {
  const bool ipv6 = options_.address.find(':') != std::string::npos;
  const std::string host = ipv6 ? "[" + options_.address + "]" : options_.address;
  const std::string url = "sip:" + host + ":*;transport=udp";
  const std::string proxy = "sip:" + options_.proxy + ";transport=udp";
  nua_ = nua_create(root, on_event, this, NUTAG_URL(url.c_str()), NUTAG_PROXY(proxy.c_str()),
                    NUTAG_MEDIA_ENABLE(0), NUTAG_AUTOANSWER(0), NUTAG_AUTOALERT(0),
                    NUTAG_AUTOACK(1), NUTAG_SESSION_TIMER(0), NUTAG_MIN_SE(90),
                    NTATAG_UDP_MTU(65535),
                    SIPTAG_ALLOW_STR("INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, MESSAGE"),
                    SIPTAG_SUPPORTED_STR("timer"),
                    SIPTAG_USER_AGENT_STR("ringway-lab/" RINGWAY_VERSION), TAG_END());
  if (nua_ == nullptr) return;
  nua_get_params(nua_, TAG_ANY(), TAG_END());
  timer_ = su_timer_create(su_root_task(root), kTickMs);
  su_timer_set_for_ever(timer_, on_tick, this);
}

Phone::~Phone() {
  if (timer_ != nullptr) su_timer_destroy(timer_);
  for (auto& [id, call] : calls_) nua_handle_destroy(call->handle);
  calls_.clear();
  if (nua_ != nullptr && shut_down_) nua_destroy(nua_);
}

void Phone::on_event(nua_event_t event, int status, const char* phrase, nua_t*, void* magic,
                     nua_handle_t* handle, void*, const sip_t* sip, tagi_t tags[]) {
  auto* self = static_cast<Phone*>(magic);
  Call* call = self->find_call(handle);
  switch (event) {
    case nua_r_get_params: {
      const sip_contact_t* contact = nullptr;
      tl_gets(tags, NTATAG_CONTACT_REF(contact), TAG_END());
      self->take_address(contact);
      break;
    }
    case nua_i_invite:
      if (call != nullptr) {
        self->on_reinvite(*call, *sip);
      } else if (sip != nullptr) {
        self->on_invite(handle, *sip);
      }
      break;
    case nua_i_ack:
      if (call != nullptr) self->on_ack(*call, sip);
      break;
    case nua_i_bye:
    case nua_i_cancel:
      if (call != nullptr && call->ended_by.empty()) call->ended_by = "peer";
      break;
    case nua_i_info:
      if (call != nullptr) write_event(call->line("info").add("body", body_of(sip)));
      break;
    case nua_r_invite:
      if (call != nullptr && status >= 200) self->on_final(*call, status, phrase, sip);
      break;
    case nua_i_state:
      self->on_state(handle, call, tags);
      break;
    case nua_r_shutdown:
      if (status >= 200) self->shut_down_ = true;
      break;
    default:
      // A request outside a call came with a handle of its own, which is ours to end.
      if (call == nullptr && handle != nullptr && event < nua_r_set_params &&
          event != nua_i_terminated) {
        nua_handle_destroy(handle);
      }
      break;
  }
}

void Phone::take_address(const sip_contact_t* contact) {
  if (contact == nullptr) return;
  host_port_ = contact->m_url->url_host;
  host_port_ += ":";
  host_port_ += contact->m_url->url_port != nullptr ? contact->m_url->url_port : "5060";
}

Phone::Call* Phone::find_call(nua_handle_t* handle) {
  if (handle == nullptr) return nullptr;
  for (auto& [id, call] : calls_) {
    if (call->handle == handle) return call.get();
  }
  return nullptr;
}

Phone::Call& Phone::add_call(nua_handle_t* handle, const Number& number) {
  auto call = std::make_unique<Call>();
  call->id = next_id_++;
  call->handle = handle;
  call->number = &number;
  call->local.session_id = call->id;
  return *calls_.emplace(call->id, std::move(call)).first->second;
}

bool Phone::open_audio(Call& call) {
  AudioStream::Listener listener;
  listener.tone = [&call](int hz) { write_event(call.line("tone").add("hz", hz)); };
  listener.digit = [&call](char digit) {
    write_event(call.line("digit").add("digit", std::string_view(&digit, 1)));
  };
  call.audio = AudioStream::open(root_, options_.address, options_.rtp_ports, std::move(listener));
  if (call.audio == nullptr) return false;
  call.audio->set_source(call.number->source, kToneHz);
  call.local.address = options_.address;
  call.local.port = call.audio->port();
  return true;
}

void Phone::on_invite(nua_handle_t* handle, const sip_t& sip) {
  const Number* number = find_number(text_of(sip.sip_request->rq_url->url_user));
  if (number == nullptr || shut_down_) {
    nua_respond(handle, SIP_404_NOT_FOUND, TAG_END());
    nua_handle_destroy(handle);
    return;
  }
  Call& call = add_call(handle, *number);
  call.sip_call_id = text_of(sip.sip_call_id->i_id);
  write_event(call.line("incoming").add("from", text_of(sip.sip_from->a_url->url_user)));
  if (number->refusal != 0) {
    call.status = number->refusal;
    nua_respond(handle, number->refusal, sip_status_phrase(number->refusal), TAG_END());
    return;
  }
  const std::string_view body = body_of(&sip);
  if (!body.empty()) call.remote = parse_remote_audio(body);
  if ((!body.empty() && !call.remote) || !open_audio(call)) {
    call.status = body.empty() || call.remote ? 500 : 488;
    nua_respond(handle, call.status, sip_status_phrase(call.status), TAG_END());
    return;
  }
  if (number->ringing.count() > 0) {
    nua_respond(handle, SIP_180_RINGING, TAG_END());
    call.ringing = true;
    call.due = Clock::now() + number->ringing;
    return;
  }
  accept(call);
}

// Offer or answer for the state of the call; each is a new version of our description.
std::string Phone::make_sdp(Call& call) {
  ++call.local.version;
  call.local.direction = call.wanted;
  call.offer_is_ours = !call.remote;
  return call.remote ? write_answer(call.local, *call.remote) : write_offer(call.local);
}

void Phone::accept(Call& call) {
  call.status = 200;
  const std::string sdp = make_sdp(call);
  if (call.remote) apply_remote(call, "");
  nua_respond(call.handle, SIP_200_OK, SIPTAG_CONTENT_TYPE_STR("application/sdp"),
              SIPTAG_PAYLOAD_STR(sdp.c_str()), TAG_END());
  write_event(call.line("answered").add("sdp", sdp));
}

// Directs the audio by what the other side wants; body, if any, is its description.
void Phone::apply_remote(Call& call, std::string_view body) {
  if (!body.empty()) {
    const auto remote = parse_remote_audio(body);
    if (!remote) return;
    call.remote = remote;
  }
  if (!call.remote || call.audio == nullptr) return;
  const bool peer_listens = call.remote->direction == Direction::SendReceive ||
                            call.remote->direction == Direction::ReceiveOnly;
  const bool we_send = call.wanted == Direction::SendReceive || call.wanted == Direction::SendOnly;
  call.audio->set_remote(*call.remote, peer_listens && we_send);
  write_event(call.line("media")
                  .add("codec", codec_name(call.remote->codec))
                  .add("remote", call.remote->address + " " + std::to_string(call.remote->port))
                  .add("sending", peer_listens && we_send ? 1 : 0));
}

void Phone::on_reinvite(Call& call, const sip_t& sip) {
  const std::string_view body = body_of(&sip);
  std::optional<RemoteAudio> offered;
  if (!body.empty()) {
    offered = parse_remote_audio(body);
    if (!offered) {
      nua_respond(call.handle, SIP_488_NOT_ACCEPTABLE, TAG_END());
      return;
    }
  }
  call.remote = offered;
  accept(call);
}

void Phone::on_ack(Call& call, const sip_t* sip) {
  if (call.offer_is_ours) {
    call.offer_is_ours = false;
    apply_remote(call, body_of(sip));
  }
  if (call.established) return;
  call.established = true;
  write_event(call.line("established"));
  if (call.number->hang_up_after.count() > 0) {
    call.due = Clock::now() + call.number->hang_up_after;
  } else if (call.number->hold_after.count() > 0) {
    call.due = Clock::now() + call.number->hold_after;
  }
}

void Phone::on_final(Call& call, int status, const char* phrase, const sip_t* sip) {
  if (sip != nullptr && sip->sip_call_id != nullptr) {
    call.sip_call_id = text_of(sip->sip_call_id->i_id);
  }
  if (call.established && status == 491) {
    call.due = Clock::now() + kGlareRetry;
    call.wanted = call.wanted == Direction::SendOnly ? Direction::SendReceive : Direction::SendOnly;
    return;
  }
  if (!call.established) call.status = status;
  if (status >= 300) {
    write_event(call.line("refused").add("status", status).add("phrase", phrase));
    return;
  }
  apply_remote(call, body_of(sip));
  if (!call.established) {
    call.established = true;
    write_event(call.line("established"));
  }
}

void Phone::on_state(nua_handle_t* handle, Call* call, tagi_t tags[]) {
  int state = nua_callstate_init;
  tl_gets(tags, NUTAG_CALLSTATE_REF(state), TAG_END());
  if (state != nua_callstate_terminated) return;
  if (call != nullptr) {
    finish(*call);
  } else {
    nua_handle_destroy(handle);
  }
}

void Phone::on_tick(void*, su_timer_t*, void* magic) {
  auto* self = static_cast<Phone*>(magic);
  const auto now = Clock::now();
  for (auto& [id, call] : self->calls_) {
    if (call->audio != nullptr) call->audio->tick();
    if (call->due && *call->due <= now) {
      call->due.reset();
      self->advance(*call);
    }
  }
}

// What the number does next by itself.
void Phone::advance(Call& call) {
  if (call.ringing) {
    call.ringing = false;
    accept(call);
  } else if (call.number->hang_up_after.count() > 0) {
    bye(call, "us");
  } else if (call.wanted == Direction::SendReceive) {
    reinvite(call, Direction::SendOnly);
    call.due = Clock::now() + call.number->hold_after;
  } else {
    reinvite(call, Direction::SendReceive);
  }
}

void Phone::reinvite(Call& call, Direction direction) {
  call.wanted = direction;
  call.remote.reset();
  const std::string sdp = make_sdp(call);
  call.offer_is_ours = false;  // the answer comes in the 2xx
  write_event(call.line(direction == Direction::SendOnly ? "hold" : "resume"));
  nua_invite(call.handle, SIPTAG_CONTENT_TYPE_STR("application/sdp"),
             SIPTAG_PAYLOAD_STR(sdp.c_str()), TAG_END());
}

void Phone::call(const std::string& uri, Source source) {
  const Number& number = number_for(source);
  const std::string from = "<sip:" + std::string(number.number) + "@" + options_.domain + ">";
  const std::string to = "<" + uri + ">";
  nua_handle_t* handle = nua_handle(nua_, nullptr, SIPTAG_TO_STR(to.c_str()),
                                    SIPTAG_FROM_STR(from.c_str()), TAG_END());
  if (handle == nullptr) {
    write_event(JsonLine("error").add("text", "not a SIP URI").add("uri", uri));
    return;
  }
  Call& call = add_call(handle, number);
  if (!open_audio(call)) {
    write_event(call.line("error").add("text", "no RTP port is free"));
    finish(call);
    return;
  }
  const std::string sdp = make_sdp(call);
  call.offer_is_ours = false;
  write_event(call.line("outgoing").add("to", uri));
  nua_invite(handle, NUTAG_URL(uri.c_str()), SIPTAG_CONTENT_TYPE_STR("application/sdp"),
             SIPTAG_PAYLOAD_STR(sdp.c_str()), TAG_END());
}

bool Phone::hang_up(unsigned id) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return false;
  bye(*found->second, "us");
  return true;
}

void Phone::bye(Call& call, std::string_view by) {
  if (call.ended_by.empty()) call.ended_by = by;
  if (call.established) {
    nua_bye(call.handle, TAG_END());
  } else {
    nua_cancel(call.handle, TAG_END());
  }
}

void Phone::finish(Call& call) {
  JsonLine line = call.line("ended");
  line.add("status", call.status).add("by", call.ended_by);
  if (call.audio != nullptr) {
    const AudioCounters& counters = call.audio->counters();
    line.add("packets_received", counters.packets_received)
        .add("octets_received", counters.octets_received)
        .add("packets_sent", counters.packets_sent)
        .add("packets_refused", counters.packets_refused)
        .add("sequence_gaps", counters.sequence_gaps)
        .add("tone_hz", call.audio->detector().heard_hz())
        .add("tone_ms", call.audio->detector().heard_ms());
  }
  write_event(line);
  nua_handle_destroy(call.handle);
  calls_.erase(call.id);
}

void Phone::shut_down() {
  nua_shutdown(nua_);
}

}  // namespace ringway::lab
