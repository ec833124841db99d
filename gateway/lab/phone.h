#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/lab/audio_stream.h"
#include "gateway/lab/numbers.h"
#include "gateway/lab/sofia.h"

namespace ringway::lab {

// The answering phones: one SIP user agent (sofia-sip's nua) on a UDP port of its own, a call for
// each INVITE. What a call does stands in numbers.h.
class Phone {
 public:
  struct Options {
    std::string address;  // literal; IPv6 without brackets
    std::string domain;   // for From of calls that we make
    std::string proxy;    // host:port that calls go out through
    PortRange rtp_ports;
  };

  Phone(su_root_t* root, Options options);
  ~Phone();
  Phone(const Phone&) = delete;
  Phone& operator=(const Phone&) = delete;

  bool is_open() const { return nua_ != nullptr; }
  // host:port, empty until the stack has said it: run the root until then.
  const std::string& host_port() const { return host_port_; }

  // Calls uri and sends source when it answers.
  void call(const std::string& uri, Source source);
  // Ends the call with this id; false if there is none.
  bool hang_up(unsigned id);

  // Ends all calls and the stack. is_shut_down() when nobody has to wait any more.
  void shut_down();
  bool is_shut_down() const { return shut_down_; }

 private:
  struct Call;

  static void on_event(nua_event_t event, int status, const char* phrase, nua_t* nua, void* self,
                       nua_handle_t* handle, void* call, const sip_t* sip, tagi_t tags[]);
  static void on_tick(void*, su_timer_t*, void* self);

  void take_address(const sip_contact_t* contact);
  void on_invite(nua_handle_t* handle, const sip_t& sip);
  void on_reinvite(Call& call, const sip_t& sip);
  void on_ack(Call& call, const sip_t* sip);
  void on_final(Call& call, int status, const char* phrase, const sip_t* sip);
  void on_state(nua_handle_t* handle, Call* call, tagi_t tags[]);
  void advance(Call& call);
  void accept(Call& call);
  void reinvite(Call& call, Direction direction);
  void bye(Call& call, std::string_view by);
  bool open_audio(Call& call);
  std::string make_sdp(Call& call);
  void apply_remote(Call& call, std::string_view body);
  void finish(Call& call);
  Call& add_call(nua_handle_t* handle, const Number& number);
  Call* find_call(nua_handle_t* handle);

  su_root_t* root_;
  Options options_;
  nua_t* nua_ = nullptr;
  su_timer_t* timer_ = nullptr;
  std::string host_port_;
  bool shut_down_ = false;
  unsigned next_id_ = 1;
  std::map<unsigned, std::unique_ptr<Call>> calls_;
};

}  // namespace ringway::lab
