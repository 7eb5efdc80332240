//===- serve.cpp - Serves one model over HTTP -----------------------------===//
// Assumes: a model compiled with --emit=library, and clients that mean well: there is no authentication, no encryption.
// Guarantees: each request is answered: 200, 400 (with what was wrong), 404, or 503 where more wait than --queue
// allows. Declines: several models, streaming.
//
//     serve model.so --name bert --port 8000
//     curl localhost:8000/predict -d '{"x": [[1, 2, 3, 4]]}'
//===----------------------------------------------------------------------===//
#include "Protocol.h"
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <httplib.h>
#include <string>
#include <sys/socket.h>

using nlohmann::json;

namespace {

struct Options {
  std::string model, name = "model", host = "127.0.0.1";
  int port = 8000;
  size_t connections = 256;
  serve::BatcherOptions batcher;
};

const char Usage[] = R"(usage: serve <model.so> [options]
  --name NAME          the model's name in URLs (model)
  --host ADDRESS       where to listen (127.0.0.1)
  --port N             0 chooses a free one (8000)
  --queue N            requests that may wait; more are answered 503 (256)
  --max-batch N        rows of a run (32)
  --sessions N         runs at a time (1)
  --threads N          threads of a run, 0 = one a CPU (0)
  --connections N      connections at a time (256)
)";

bool parse(int argc, char **argv, Options &options) {
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag.rfind("--", 0) != 0) {
      if (!options.model.empty())
        return false;
      options.model = flag;
      continue;
    }
    if (++i == argc)
      return false;
    char *end;
    const long number = strtol(argv[i], &end, 10);
    const bool isNumber = *argv[i] && !*end && number >= 0 && number <= 1000000;
    if (flag == "--name")
      options.name = argv[i];
    else if (flag == "--host")
      options.host = argv[i];
    else if (!isNumber)
      return false;
    else if (flag == "--port")
      options.port = int(number);
    else if (flag == "--queue")
      options.batcher.queue = size_t(number);
    else if (flag == "--max-batch")
      options.batcher.maxRows = number;
    else if (flag == "--sessions" && number > 0)
      options.batcher.sessions = unsigned(number);
    else if (flag == "--threads")
      options.batcher.threads = uint32_t(number);
    else if (flag == "--connections" && number > 0)
      options.connections = size_t(number);
    else
      return false;
  }
  return !options.model.empty();
}

json statistics(serve::Batcher &batcher) {
  const serve::Statistics &s = batcher.statistics();
  auto latency = [](const serve::Histogram &h) {
    return json{{"p50", double(h.percentile(0.5)) / 1000},
                {"p90", double(h.percentile(0.9)) / 1000},
                {"p99", double(h.percentile(0.99)) / 1000},
                {"max", double(h.max()) / 1000}};
  };
  const uint64_t runs = s.runs;
  return {{"done", s.done.load()},
          {"failed", s.failed.load()},
          {"rejected", s.rejected.load()},
          {"waiting", batcher.waiting()},
          {"runs", runs},
          {"rows_a_run", runs ? double(s.rows) / double(runs) : 0.0},
          {"batches", batcher.batches()},
          {"latency_ms", latency(s.total)},
          {"waiting_ms", latency(s.waiting)},
          {"running_ms", latency(s.running)}};
}

void answer(httplib::Response &response, int status, const json &body) {
  response.status = status;
  // Names in a model may be any bytes.
  response.set_content(body.dump(-1, ' ', false, json::error_handler_t::replace), "application/json");
}

/// The library lets 5 connections wait to be accepted; when many clients come at once, others would be reset.
class Server : public httplib::Server {
public:
  bool enlargeBacklog() { return ::listen(svr_sock_, 1024) == 0; }
};

httplib::Server *running = nullptr;
void stop(int) {
  if (running)
    running->stop();
}

class Service {
public:
  Service(const Options &options) : options(options), model(options.model), batcher(model, options.batcher) {}

  void install(httplib::Server &server) {
    auto always = [](const httplib::Request &, httplib::Response &response) { answer(response, 200, json::object()); };
    server.Get("/v2/health/live", always);
    server.Get("/v2/health/ready", always);
    server.Get("/v2", [](const httplib::Request &, httplib::Response &response) {
      answer(response, 200, {{"name", "ds-serve"}, {"version", DS_RUNTIME_VERSION}, {"extensions", json::array()}});
    });
    server.Get("/metrics", [this](const httplib::Request &, httplib::Response &response) {
      answer(response, 200, statistics(batcher));
    });
    server.Get(R"(/v2/models/([^/]+)(?:/versions/1)?(/ready)?)", [this](const httplib::Request &request,
                                                                        httplib::Response &response) {
      if (isOurs(request, response))
        answer(response, 200, request.matches[2].length() ? json::object() : serve::describeModel(model, options.name));
    });
    server.Post(R"(/v2/models/([^/]+)(?:/versions/1)?/infer)",
                [this](const httplib::Request &request, httplib::Response &response) {
                  if (isOurs(request, response))
                    run(request, response, serve::parseInfer, [this](const json &body, const auto &outputs) {
                      return serve::formatInfer(model, options.name, body, outputs);
                    });
                });
    server.Post("/predict", [this](const httplib::Request &request, httplib::Response &response) {
      run(request, response, serve::parsePlain,
          [this](const json &, const auto &outputs) { return serve::formatPlain(model, outputs); });
    });
    server.set_error_handler([](const httplib::Request &request, httplib::Response &response) {
      if (response.body.empty())
        answer(response, response.status, {{"error", "no such thing: " + request.method + " " + request.path}});
    });
  }
  serve::Batcher &getBatcher() { return batcher; }

private:
  bool isOurs(const httplib::Request &request, httplib::Response &response) {
    if (request.matches[1] == options.name)
      return true;
    answer(response, 404,
           {{"error", "there is no model '" + request.matches[1].str() + "'; this is '" + options.name + "'"}});
    return false;
  }

  template <typename Parse, typename Format>
  void run(const httplib::Request &request, httplib::Response &response, Parse parse, Format format) {
    try {
      const json body = json::parse(request.body);
      auto future = batcher.submit(parse(model, body));
      if (!future) {
        response.set_header("Retry-After", "1");
        return answer(response, 503, {{"error", "too many requests wait already; try again later"}});
      }
      answer(response, 200, format(body, future->get()));
    } catch (const json::exception &error) {
      answer(response, 400, {{"error", std::string("not the JSON that was expected: ") + error.what()}});
    } catch (const serve::BadRequest &error) {
      answer(response, 400, {{"error", error.what()}});
    } catch (const ds::Error &error) {
      const bool isTheirs = error.status() == DS_BAD_INPUT || error.status() == DS_BAD_ARGUMENT;
      answer(response, isTheirs ? 400 : 500, {{"error", error.what()}});
    }
  }

  Options options;
  ds::Model model;
  serve::Batcher batcher;
};

} // namespace

int main(int argc, char **argv) try {
  Options options;
  if (!parse(argc, argv, options)) {
    fputs(Usage, stderr);
    return 2;
  }
  Service service(options);
  Server server;
  service.install(server);
  server.new_task_queue = [&] { return new httplib::ThreadPool(options.connections); };
  server.set_keep_alive_max_count(1000000);
  server.set_keep_alive_timeout(60);
  server.set_read_timeout(60);
  server.set_tcp_nodelay(true);
  server.set_payload_max_length(256 << 20);
  if (options.port == 0)
    options.port = server.bind_to_any_port(options.host.c_str());
  else if (!server.bind_to_port(options.host.c_str(), options.port))
    options.port = -1;
  if (options.port < 0 || !server.enlargeBacklog()) {
    fprintf(stderr, "serve: error: cannot listen on %s\n", options.host.c_str());
    return 1;
  }
  running = &server;
  signal(SIGINT, stop);
  signal(SIGTERM, stop);
  printf("listening on http://%s:%d\n", options.host.c_str(), options.port);
  fflush(stdout);
  server.listen_after_bind();
  printf("%s\n", statistics(service.getBatcher()).dump().c_str());
  return 0;
} catch (const std::exception &error) {
  fprintf(stderr, "serve: error: %s\n", error.what());
  return 1;
}
