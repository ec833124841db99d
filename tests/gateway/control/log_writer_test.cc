#include "gateway/control/log_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>

#include "gateway/reactor/clock.h"

namespace ringway {
namespace {

using Format = LogWriter::Format;

class LogWriterTest : public testing::TestWithParam<Format> {
 protected:
  // What an event leaves on standard error.
  template <typename Write>
  static std::string written(Format format, Write&& write, LogLevel level = LogLevel::Debug) {
    testing::internal::CaptureStderr();
    {
      LogWriter writer(format, level);
      write(writer);
    }
    return testing::internal::GetCapturedStderr();
  }
  // The record of a shard, as it comes out of the queue.
  static LogRecord record(LogLevel level, std::string_view event,
                          std::initializer_list<LogField> fields) {
    Log::Queue queue(4);
    Counters counters;
    Log log(5, LogLevel::Debug, queue, counters);
    log.set_time(read_clock());
    log.write(level, event, fields);
    return *queue.front();
  }
};

using namespace std::string_view_literals;

constexpr std::string_view kHostile =
    "\"},{\"level\":\"x\"\n\r\t\0\x1b[31m\x7f\xc2\x9b\xff\xfe\xc3\xe4 =\\"sv;

TEST_F(LogWriterTest, AJsonLineIsOneObjectWhateverTheValuesHold) {
  const auto fields = {LogField{"remote", kHostile}, LogField{"count", -7}, LogField{"empty", ""}};
  const std::string text = written(Format::Json, [&](LogWriter& writer) {
    writer.write(record(LogLevel::Warning, "shard_event", fields));
    writer.event(LogLevel::Error, "control_event", fields);
  });
  std::istringstream lines(text);
  std::vector<nlohmann::json> objects;
  for (std::string line; std::getline(lines, line);) {
    objects.push_back(nlohmann::json::parse(line, nullptr, false));
    ASSERT_TRUE(objects.back().is_object()) << line;
  }
  ASSERT_EQ(objects.size(), 2u);
  EXPECT_EQ(objects[0]["event"], "shard_event");
  EXPECT_EQ(objects[0]["level"], "warning");
  EXPECT_EQ(objects[0]["shard"], 5);
  EXPECT_EQ(objects[1]["event"], "control_event");
  EXPECT_EQ(objects[1]["level"], "error");
  for (const auto& object : objects) {
    EXPECT_EQ(object["count"], -7);
    EXPECT_EQ(object["empty"], "");
    EXPECT_TRUE(object["remote"].get<std::string>().starts_with("\"},{\"level\":\"x\"\n\r\t"));
    std::string time = object["time"];
    for (char& c : time) c = c >= '0' && c <= '9' ? '0' : c;
    EXPECT_EQ(time, "0000-00-00T00:00:00.000Z");
  }
}

TEST_F(LogWriterTest, ATextLineNeverLetsTheWireReachTheTerminal) {
  const std::string text = written(Format::Text, [&](LogWriter& writer) {
    writer.write(record(LogLevel::Info, "event", {{"remote", kHostile}, {"plain", "a.test:5060"}}));
    writer.event(LogLevel::Info, "event", {{"remote", kHostile}, {"empty", ""}});
  });
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
  for (const char c : text) {
    EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << int{c};
    EXPECT_NE(c, '\x7f') << "delete is a control character too";
  }
  EXPECT_EQ(text.find("\xc2\x9b"), std::string::npos) << "terminals obey it like ESC [";
  EXPECT_NE(text.find(" plain=a.test:5060"), std::string::npos) << text;
  EXPECT_NE(text.find(" empty=\"\""), std::string::npos) << text;
}

TEST_F(LogWriterTest, WhatIsBelowTheLevelIsNotWritten) {
  const std::string text = written(
      Format::Json,
      [](LogWriter& writer) {
        writer.write(record(LogLevel::Info, "too_low", {}));
        writer.event(LogLevel::Info, "too_low", {});
        writer.event_with_json(LogLevel::Info, "too_low", "list", "[]", "");
        writer.set_level(LogLevel::Debug);
        writer.event(LogLevel::Debug, "now", {});
      },
      LogLevel::Warning);
  EXPECT_EQ(text.find("too_low"), std::string::npos) << text;
  EXPECT_NE(text.find("\"now\""), std::string::npos) << text;
}

TEST_F(LogWriterTest, AListStandsInJsonAsItIsAndInTextReadable) {
  const auto write = [](LogWriter& writer) {
    writer.event_with_json(LogLevel::Info, "ready", "listeners", R"([{"name":"a"}])", "udp:a");
  };
  const auto line = nlohmann::json::parse(written(Format::Json, write));
  EXPECT_EQ(line["listeners"][0]["name"], "a");
  EXPECT_NE(written(Format::Text, write).find("listeners=udp:a"), std::string::npos);
}

TEST_F(LogWriterTest, WhatADiskThatIsFullDoesNotTakeIsCountedAndToldOnceThereIsRoom) {
  const int before = dup(STDERR_FILENO), full = open("/dev/full", O_WRONLY);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  FILE* const lines = fdopen(ends[0], "r");
  const auto next_line = [&] {
    char line[1'024] = "";
    return std::string(fgets(line, sizeof line, lines) ? line : "");
  };
  {
    LogWriter writer(Format::Json, LogLevel::Debug);
    dup2(full, STDERR_FILENO);
    for (int i = 0; i < 3; ++i) writer.event(LogLevel::Info, "lost", {});
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (writer.dropped() < 3 && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    EXPECT_EQ(writer.dropped(), 3u);
    dup2(ends[1], STDERR_FILENO);
    std::string text;
    do {  // it is told with a line that follows one which could be written
      writer.event(LogLevel::Info, "again", {});
      text = next_line();
      EXPECT_EQ(text.find("\"lost\""), std::string::npos) << text;
    } while (text.find("log_lines_dropped") == std::string::npos);
    EXPECT_NE(text.find("\"lines\":3"), std::string::npos) << text;
    writer.event(LogLevel::Info, "last", {});
    do {
      text = next_line();
      EXPECT_EQ(text.find("log_lines_dropped"), std::string::npos) << text;
    } while (text.find("\"last\"") == std::string::npos);
    EXPECT_EQ(writer.dropped(), 3u);
    dup2(before, STDERR_FILENO);
  }
  fclose(lines);
  for (const int descriptor : {ends[1], full, before}) close(descriptor);
}

// Lines of that many bytes that fit while nobody reads the pipe that the log goes to. One more is
// in the hands of the writer's thread.
std::size_t lines_that_fit(std::size_t bytes) {
  const int before = dup(STDERR_FILENO), nowhere = open("/dev/null", O_WRONLY);
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_NONBLOCK), 0);
  const std::string page(4'096, 'x');
  while (::write(ends[1], page.data(), page.size()) > 0) continue;
  EXPECT_EQ(fcntl(ends[1], F_SETFL, 0), 0);  // from here on a write waits
  dup2(ends[1], STDERR_FILENO);
  std::size_t written = 0;
  {
    LogWriter writer(Format::Text, LogLevel::Debug);
    const std::string value(bytes, 'v');
    while (writer.dropped() == 0 && written < 2 * LogWriter::kLinesMax) {
      writer.event(LogLevel::Info, "line", {{"value", value}});
      ++written;
    }
    EXPECT_EQ(writer.dropped(), 1u);
    dup2(nowhere, STDERR_FILENO);  // for what waits
    close(ends[0]);                // the thread's write ends with an error
  }
  dup2(before, STDERR_FILENO);
  for (const int descriptor : {ends[1], before, nowhere}) close(descriptor);
  return written - 1;
}

TEST_F(LogWriterTest, WhatWaitsIsBoundedInLinesAndInBytes) {
  signal(SIGPIPE, SIG_IGN);
  const std::size_t lines = lines_that_fit(10);
  EXPECT_GE(lines, LogWriter::kLinesMax);
  EXPECT_LE(lines, LogWriter::kLinesMax + 1);
  constexpr std::size_t kLong = 64 << 10;  // and some 30 bytes that stand before it
  const std::size_t in_bytes = lines_that_fit(kLong);
  EXPECT_GE(in_bytes, LogWriter::kBytesMax / (kLong + 64));
  EXPECT_LE(in_bytes, LogWriter::kBytesMax / kLong + 1);
}

TEST_F(LogWriterTest, TheWordOfTheConfigurationChoosesTheForm) {
  EXPECT_EQ(LogWriter::format_of("json"), Format::Json);
  EXPECT_EQ(LogWriter::format_of("text"), Format::Text);
}

}  // namespace
}  // namespace ringway
