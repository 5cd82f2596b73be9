"""What modelwatch calls: a pager and a deployment API, which count every effect, and can be as bad as real ones."""
import collections
import contextlib
import json
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import chain as chains

IN_VAIN = ("hang", "reset", "500", "429", "garbage")        # before there is an effect
TOO_LATE = ("lost", "late")                                 # the effect is there, the answer is not, or comes too late
TIMEOUT_S = 2                                               # how long modelwatch waits, by the configuration of a round
IN_A_ROW = 3                                                # so often at most one request is in trouble


class Outside:
    """trouble() gives the next trouble, or None."""

    def __init__(self):
        self.trouble, self.troubles = lambda: None, collections.Counter()
        self._in_a_row, outer = collections.Counter(), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                outer._answer(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def do_GET(self):
                outer._answer(self, b"")

            def log_message(self, *_): pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None          # who was killed does not listen
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def identity(self, request):
        """What a repeated request has in common with the first."""
        raise NotImplementedError

    def effect(self, request, body):
        """Does what is asked, and returns (status, answer)."""
        raise NotImplementedError

    def _next_trouble(self, request):
        identity, trouble = self.identity(request), self.trouble()
        if not trouble or self._in_a_row[identity] == IN_A_ROW:
            self._in_a_row[identity] = 0
            return None
        self._in_a_row[identity] += 1
        self.troubles[trouble] += 1
        return trouble

    def _answer(self, request, body):
        trouble = self._next_trouble(request)
        request.close_connection = True
        if trouble in IN_VAIN:
            self._be_bad(request, trouble)
            return
        status, answer = self.effect(request, body)
        if trouble == "lost":
            self._be_bad(request, "reset")
        elif trouble == "late":
            time.sleep(TIMEOUT_S + 0.5)
        self._write(request, status, answer)

    def _be_bad(self, request, trouble):
        if trouble == "hang":
            time.sleep(TIMEOUT_S + 0.5)
        elif trouble == "reset":
            with contextlib.suppress(OSError):              # closed with linger 0, it is a reset
                request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                request.connection.shutdown(socket.SHUT_RD)
        elif trouble == "garbage":
            with contextlib.suppress(OSError):
                request.connection.sendall(bytes(range(255, 0, -1)) * 20)
        else:
            self._write(request, int(trouble), b"not now", {"Retry-After": "1"} if trouble == "429" else {})

    @staticmethod
    def _write(request, status, answer, headers=None):
        with contextlib.suppress(OSError):
            request.send_response(status)
            for name, value in {"Content-Length": str(len(answer)), **(headers or {})}.items():
                request.send_header(name, value)
            request.end_headers()
            request.wfile.write(answer)


class Pager(Outside):
    """Remembers (id, body, when) of every delivery whose signature is right."""

    def __init__(self):
        self.deliveries, self.forged = [], 0
        self._verify = chains.verifier()
        super().__init__()
        self.url += "/hook"

    def identity(self, request):
        return request.headers["webhook-id"]

    def effect(self, request, body):
        if self._verify(request.headers, body, chains.SECRET):
            self.deliveries.append((request.headers["webhook-id"], json.loads(body)["data"], time.time()))
        else:
            self.forged += 1
        return 204, b""

    alerts = chains.Hook.alerts


class Deployments(Outside):
    """Which version of a model serves in which role. A rollback has its effect once per Idempotency-Key, and has settled
    half a second later."""

    SETTLE_S = 0.5

    def __init__(self):
        self.models, self.effects, self.calls = {}, collections.defaultdict(list), collections.Counter()
        self.called = {}                                    # key: when first, in ms
        self._lock = threading.Lock()
        super().__init__()

    def release(self, model, production, canary="6", canary_share=0.4):
        with self._lock:
            before = self.models.get(model, {}).get("production", production)
            self.models[model] = {"production": production, "before": before, "canary": canary,
                                  "canary_share": canary_share, "changed": time.monotonic()}

    def identity(self, request):
        return request.headers["Idempotency-Key"] or request.path

    def effect(self, request, body):
        _, _, model, *verb = request.path.split("/")
        with self._lock:
            state = self.models.get(model)
            if state is None:
                return 404, b"{}"
            if verb == ["rollback"] and request.command == "POST":
                self._roll_back(model, state, request.headers["Idempotency-Key"])
            converged = time.monotonic() - state["changed"] >= self.SETTLE_S
        return 200, json.dumps({"production": state["production"], "converged": converged}).encode()

    def _roll_back(self, model, state, key):
        self.calls[key] += 1
        self.called.setdefault(key, int(time.time() * 1000))
        if key not in self.effects[model]:
            self.effects[model].append(key)
            state.update(production=state["before"], changed=time.monotonic())
