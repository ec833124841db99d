#pragma once

#include "protocol/base/bytes.h"

// What must hold for every input. Each function takes bytes of any content and ends the process
// if it finds a broken promise; libFuzzer drives them with its inputs (one small file for each
// target), an ordinary test with the corpus.

namespace ringway::fuzz {

// parse_message, validate_*, and what is written from the view.
void check_message(Bytes input);
// The stream framer, fed in parts whose sizes the first bytes choose, against the parser.
void check_framer(Bytes input);
// URIs, addresses and lists of them.
void check_address(Bytes input);
// Via values, parameters and the small header values.
void check_via(Bytes input);
// The path of a forwarded message: parse, edit, write, parse again.
void check_forward(Bytes input);

}  // namespace ringway::fuzz
