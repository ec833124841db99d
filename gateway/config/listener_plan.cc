#include "gateway/config/listener_plan.h"

#include <algorithm>
#include <utility>

namespace ringway {
namespace {

// What tokens mean by a place: the socket and our names for it. The rest of a listener may change.
bool is_same_place(const ListenConfig& a, const ListenConfig& b) {
  return a.side == b.side && a.transport == b.transport && a.address == b.address &&
         a.advertise_host == b.advertise_host && a.advertise_port == b.advertise_port &&
         a.port_per_shard == b.port_per_shard && a.record_route_secure == b.record_route_secure &&
         a.record_route_wss == b.record_route_wss;
}

bool is_same_name(const ListenConfig& a, const ListenConfig& b) {
  return a.name == b.name && a.twin_of.empty() == b.twin_of.empty();
}

bool is_twin(const ListenConfig& listen) {
  return !listen.twin_of.empty();
}

std::string socket_text(const ListenConfig& listen) {
  return std::string(to_text(listen.transport)) + " " + text_of(listen.address);
}

class ListenerPlanner {
 public:
  ListenerPlanner(const Config& running, ReloadPlan& plan)
      : running_(running.listen),
        plan_(plan),
        next_(plan.next.listen),
        wanted_(std::exchange(plan.next.listen, running.listen)) {}

  void run() {
    for (ListenConfig& wanted : wanted_) keep_certificates_name(wanted);
    for (ListenConfig& place : next_) keep(place);
    add_new();
    remove_rest();
  }

 private:
  using List = std::vector<ListenConfig>;

  // A certificate may have given the name that the file leaves out.
  void keep_certificates_name(ListenConfig& wanted) const {
    if (!wanted.advertise_host.empty() || wanted.transport != Transport::Tls) return;
    for (const ListenConfig& place : running_) {
      if (!place.removed && is_same_name(place, wanted)) {
        wanted.advertise_host = place.advertise_host;
      }
    }
  }

  // The wanted listener that is at that place: of the same name, or one that is new by name alone.
  List::iterator find_for(const ListenConfig& place) {
    const auto found = std::ranges::find_if(wanted_, [&](const ListenConfig& one) {
      return is_same_name(one, place) && is_same_place(one, place);
    });
    if (found != wanted_.end()) return found;
    return std::ranges::find_if(wanted_, [&](const ListenConfig& one) {
      return is_same_place(one, place) && std::ranges::none_of(running_, [&](const auto& other) {
               return !other.removed && is_same_name(one, other) && is_same_place(one, other);
             });
    });
  }

  void keep(ListenConfig& place) {
    const auto found = place.removed ? wanted_.end() : find_for(place);
    kept_.push_back(found != wanted_.end());
    if (found == wanted_.end()) return;
    tell_kept(place, *found);
    place = std::move(*found);
    wanted_.erase(found);
  }

  void tell_kept(const ListenConfig& before, const ListenConfig& after) {
    if (is_twin(before) && is_twin(after)) return;
    if (is_twin(after)) return applied(before, "removed, it is the TCP side of " + after.twin_of);
    if (is_twin(before)) return applied(after, "added, " + socket_text(after));
    if (before.name != after.name) return applied(before, "is " + after.name + " now");
    if (before != after) applied(before, "changed");
  }

  // A place that has had that name and meaning before, or a new one.
  ListenConfig* find_room(const ListenConfig& added) {
    for (std::size_t i = 0; i < next_.size(); ++i) {
      const bool free = next_[i].removed && !kept_[i];
      if (!free || !is_same_name(next_[i], added) || !is_same_place(next_[i], added)) continue;
      kept_[i] = true;
      return &next_[i];
    }
    if (next_.size() >= kListenerPlacesMax) return nullptr;
    kept_.push_back(true);
    return &next_.emplace_back();
  }

  // The place that a listener of this name has now and is not to have any more.
  std::size_t place_to_leave(const ListenConfig& added) const {
    for (std::size_t i = 0; i < running_.size(); ++i) {
      if (!kept_[i] && !running_[i].removed && is_same_name(running_[i], added)) return i;
    }
    return running_.size();
  }

  void add_new() {
    for (ListenConfig& added : wanted_) {
      const std::size_t left = place_to_leave(added);
      const bool moves = left < running_.size();
      ListenConfig* const room = find_room(added);
      if (!room) {
        plan_.restart.push_back("listen " + added.name + ": " + (moves ? "changes" : "listens") +
                                " after a restart, all " + std::to_string(kListenerPlacesMax) +
                                " places for listeners were used");
        if (moves) kept_[left] = true;
        continue;
      }
      if (!is_twin(added)) tell_added(added, moves ? &running_[left] : nullptr);
      *room = std::move(added);
    }
  }

  void tell_added(const ListenConfig& added, const ListenConfig* before) {
    if (!before) return applied(added, "added, " + socket_text(added));
    moved_.push_back(added.name);
    const std::string from = socket_text(*before), to = socket_text(added);
    applied(added, from == to ? "changed" : "moved from " + from + " to " + to);
  }

  void remove_rest() {
    for (std::size_t i = 0; i < running_.size(); ++i) {
      ListenConfig& place = next_[i];
      if (kept_[i] || place.removed) continue;
      place.removed = true;
      if (!is_twin(place) && std::ranges::find(moved_, place.name) == moved_.end()) {
        applied(place, "removed");
      }
    }
  }

  void applied(const ListenConfig& listen, const std::string& what) {
    plan_.applied.push_back("listen " + listen.name + ": " + what);
  }

  const List& running_;
  ReloadPlan& plan_;
  List& next_;
  List wanted_;  // those that have no place yet
  std::vector<bool> kept_;  // by place: somebody wanted is there
  std::vector<std::string> moved_;
};

}  // namespace

void plan_listeners(const Config& running, ReloadPlan& plan) {
  ListenerPlanner(running, plan).run();
}

}  // namespace ringway
