#pragma once

#include "protocol/base/bytes.h"

// What must hold of frames and cookies of the tunnel for every input. Each function ends the
// process if it finds a broken promise; libFuzzer drives them, and an ordinary test does.

namespace ringway::tunnel {

// However a stream is cut, the same is received or the same is wrong; what is kept of unfinished
// messages stays within the bounds.
void check_frames(Bytes input);
// A message split, sent under another cookie and restored is the same message, and fits where it
// fitted before; an error for it is bencode where it was.
void check_cookies(Bytes input);

}  // namespace ringway::tunnel
