#include <string>

#include "gateway/tunnel/admin.h"

namespace ringway::tunnel {
namespace {

struct Line {
  const char* name;
  const char* help;
  const char* type;
  Counter Numbers::*counter;
};

constexpr Line kLines[] = {
    {"messages_in_total", "Datagrams from controllers, or from the target", "counter",
     &Numbers::messages_in},
    {"messages_out_total", "Datagrams to controllers, or to the target", "counter",
     &Numbers::messages_out},
    {"bytes_in_total", "Their bytes", "counter", &Numbers::bytes_in},
    {"bytes_out_total", "Their bytes", "counter", &Numbers::bytes_out},
    {"frames_in_total", "Frames from the far end", "counter", &Numbers::frames_in},
    {"frames_out_total", "Frames to the far end", "counter", &Numbers::frames_out},
    {"stream_bytes_in_total", "Bytes of frames from the far end", "counter",
     &Numbers::tunnel_bytes_in},
    {"stream_bytes_out_total", "Bytes of frames to the far end", "counter",
     &Numbers::tunnel_bytes_out},
    {"errors_answered_total", "Error replies that the tunnel wrote itself", "counter",
     &Numbers::errors_answered},
    {"timeouts_total", "Requests that the target never answered", "counter", &Numbers::timeouts},
    {"target_refused_total", "Messages that the target's port refused", "counter",
     &Numbers::targets_refused},
    {"connections_made_total", "Connections that both ends greeted on", "counter",
     &Numbers::connections_made},
    {"connections_broken_total", "Of these, those that ended", "counter",
     &Numbers::connections_broken},
    {"connections_refused_total", "Connections beyond the bound", "counter",
     &Numbers::connections_refused},
    {"failovers_total", "Changes from one relay end to another", "counter", &Numbers::failovers},
    {"connections", "Connections that are up", "gauge", &Numbers::connections},
    {"sources", "Controllers' sockets, or sockets to the target", "gauge", &Numbers::sources},
    {"pending", "Requests that wait for their answer", "gauge", &Numbers::pending},
    {"queued_bytes", "Bytes that wait to be sent to the far end", "gauge", &Numbers::queued_bytes},
    {"target_serves", "Relay end: 1 while the target answers", "gauge", &Numbers::target_serves},
    {"round_trip_microseconds", "From end to end and back, measured last", "gauge",
     &Numbers::round_trip_us},
};

struct Drop {
  const char* reason;
  Counter Numbers::*counter;
};
constexpr Drop kDrops[] = {{"too_long", &Numbers::dropped_too_long},
                           {"unnamed", &Numbers::dropped_unnamed},
                           {"unexpected", &Numbers::dropped_unexpected},
                           {"socket", &Numbers::dropped_socket},
                           {"down", &Numbers::dropped_down},
                           {"full", &Numbers::dropped_full},
                           {"malformed", &Numbers::dropped_malformed}};

}  // namespace

std::string metrics_page(const Numbers& numbers, std::string_view end) {
  const std::string label = "end=\"" + std::string(end) + "\"";
  std::string page;
  const auto head = [&page](const std::string& name, const char* help, const char* type) {
    page += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
  };
  for (const Line& line : kLines) {
    const std::string name = std::string("ringway_tunnel_") + line.name;
    head(name, line.help, line.type);
    page += name + "{" + label + "} " + std::to_string((numbers.*line.counter).value()) + "\n";
  }
  const std::string dropped = "ringway_tunnel_dropped_total";
  head(dropped, "Messages dropped, by reason", "counter");
  for (const Drop& drop : kDrops) {
    page += dropped + "{" + label + ",reason=\"" + drop.reason + "\"} " +
            std::to_string((numbers.*drop.counter).value()) + "\n";
  }
  const std::string latency = "ringway_tunnel_answer_seconds";
  head(latency, "From a controller's request to its answer", "histogram");
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < numbers.latency.size(); ++i) {
    count += numbers.latency[i].value();
    const bool last = i + 1 == numbers.latency.size();
    page += latency + "_bucket{" + label + ",le=\"" +
            (last ? "+Inf" : std::to_string(static_cast<double>(64ULL << i) / 1e6)) + "\"} " +
            std::to_string(count) + "\n";
  }
  page += latency + "_sum{" + label + "} " +
          std::to_string(static_cast<double>(numbers.latency_us.value()) / 1e6) + "\n" + latency +
          "_count{" + label + "} " + std::to_string(count) + "\n";
  return page;
}

}  // namespace ringway::tunnel
