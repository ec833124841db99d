#include "protocol/sdp/connections.h"

#include "protocol/sdp/body.h"

namespace ringway::sdp {
namespace {

std::string_view connection_line(std::string_view part) {
  Lines lines(part);
  while (const auto line = lines.next()) {
    if (line->type == 'c') return line->raw;
  }
  return {};
}

// With its end, also where the text stops in or before it.
void write_line(const Line& line, Writer& out) {
  out.text(line.raw);
  if (!line.raw.ends_with('\n')) out.text(line.raw.ends_with('\r') ? "\n" : "\r\n");
}

// RFC 8866 5: m=, then i=, then c=.
void write_section(std::string_view section, std::string_view connection, Writer& out) {
  bool written = !connection_line(section).empty();
  Lines lines(section);
  while (const auto line = lines.next()) {
    if (!written && line->type != 'm' && line->type != 'i') {
      out.text(connection);
      written = true;
    }
    write_line(*line, out);
  }
  if (!written) out.text(connection);
}

}  // namespace

SlimResult write_media_connections(std::string_view text, Writer& out) {
  const auto body = Body::parse(text);
  if (!body) return SlimResult::NotSdp;
  const std::string_view connection = connection_line(body->session());
  const bool moves = !connection.empty() && body->media_count() != 0;
  Lines lines(body->session());
  while (const auto line = lines.next()) {
    if (!moves || line->type != 'c') write_line(*line, out);
  }
  for (std::size_t i = 0; i < body->media_count(); ++i) {
    write_section(body->media(i), connection, out);
  }
  return out.overflowed() ? SlimResult::Overflowed : SlimResult::Slimmed;
}

}  // namespace ringway::sdp
